/** Bundles the program for other runtimes. */
import { build } from 'esbuild';

/** Writes one file that needs no others. */
export async function bundle(entry: string, outfile: string): Promise<void> {
  await build({
    entryPoints: [entry],
    outfile,
    bundle: true,
    format: 'esm',
    platform: 'neutral',
    target: 'es2022',
    mainFields: ['module', 'main'],
    external: ['node:*', '*.wasm', 'sharp', 'mnist', 'hyparquet*', 'webgpu'],
    logOverride: { 'ignored-bare-import': 'silent' },
    logLevel: 'warning',
  });
}
