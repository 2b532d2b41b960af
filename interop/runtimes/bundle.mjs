// Bundles the program with the engine and the operation cases into one file that every runtime can load. Cases need fast-check, which
// pages and Cloudflare Workers could not find by its name.
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const HERE = fileURLToPath(new URL('.', import.meta.url));

/** Folder of the bundles: `command.mjs`, `page.mjs`, `worker.mjs` and `workerd.mjs`. */
export const BUNDLES = `${HERE}build/`;

export async function bundle() {
  mkdirSync(BUNDLES, { recursive: true });
  await build({
    absWorkingDir: HERE,
    entryPoints: ['command', 'page', 'worker', 'workerd'].map((name) => `program/${name}.mjs`),
    outdir: BUNDLES,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    format: 'esm',
    platform: 'neutral',
    target: 'es2022',
    mainFields: ['module', 'main'],
    external: ['node:*', '*.wasm', 'sharp', 'mnist', 'hyparquet*'],
    logOverride: { 'ignored-bare-import': 'silent' },
    logLevel: 'warning',
  });
}
