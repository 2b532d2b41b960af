/** Cost of starting: bytes to load, the time of `init()`, and the time of the first forward pass of a small network. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';

export interface Sizes {
  /** Gzipped, minified: tensors, layers, optimisers and backends, without the kernels. */
  engineBytes: number;
  /** The build of the kernels that one thread in strict mode loads, gzipped: as a file, and inlined as base64 text. */
  kernelBytes: number;
  inlinedKernelBytes: number;
  /** The whole entry point `zfnet`, without kernels. */
  entryBytes: number;
}

export interface Start {
  initMs: number;
  firstForwardMs: number;
}

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const KERNELS = 'simd';
const ENGINE = `
  export { init, backendInfo, memory } from './src/index.ts';
  export * from './src/tensor/index.ts';
  export * from './src/nn/index.ts';`;
const ENTRY = "export * from './src/index.ts';";

export async function measureSizes(): Promise<Sizes> {
  const engine = await bundle(ENGINE);
  const entry = await bundle(ENTRY);
  return {
    engineBytes: engine.code,
    kernelBytes: compressed(readFileSync(new URL(`../../build/${KERNELS}.wasm`, import.meta.url))),
    inlinedKernelBytes: engine.kernels,
    entryBytes: entry.code,
  };
}

const compressed = (bytes: Uint8Array): number => gzipSync(bytes, { level: 9 }).length;

/** Bundles as for a web page, with on-demand parts in chunks of their own, and sums the parts that are always loaded. */
async function bundle(code: string): Promise<{ code: number; kernels: number }> {
  const { outputFiles, metafile } = await build({
    stdin: { contents: code, resolveDir: ROOT, loader: 'ts' },
    absWorkingDir: ROOT,
    bundle: true,
    minify: true,
    splitting: true,
    metafile: true,
    write: false,
    outdir: 'out',
    format: 'esm',
    platform: 'neutral',
    target: 'es2022',
    external: ['node:*'],
    logLevel: 'error',
  });
  const outputs = Object.entries(metafile.outputs);
  const bytesOf = (name: string) => compressed(outputFiles.find(({ path }) => path.endsWith(name))!.contents);
  const always = new Set<string>();
  const load = (name: string) => {
    if (always.has(name)) return;
    always.add(name);
    for (const { path, kind } of metafile.outputs[name].imports) if (kind === 'import-statement') load(path);
  };
  load(outputs.find(([, { entryPoint }]) => entryPoint === '<stdin>')![0]);
  const kernels = outputs.find(([, { inputs }]) => Object.keys(inputs).some((path) => path.endsWith(`/${KERNELS}.js`)))![0];
  return { code: [...always].reduce((sum, name) => sum + bytesOf(name), 0), kernels: bytesOf(kernels) };
}

/** Median of `count` fresh processes. */
export function measureStart(processes: number): Start {
  const script = fileURLToPath(new URL('start.mjs', import.meta.url));
  const all = Array.from({ length: processes }, () => JSON.parse(execFileSync(process.execPath, [script], { encoding: 'utf8' })) as Start);
  const middle = (key: keyof Start) => all.map((each) => each[key]).sort((a, b) => a - b)[Math.floor(processes / 2)];
  return { initMs: middle('initMs'), firstForwardMs: middle('firstForwardMs') };
}
