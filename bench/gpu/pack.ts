/**
 * Writes a folder that tests and measures the WebGPU backend on a Linux machine (x86-64, glibc 2.34 or later, a Vulkan driver) that has
 * neither npm nor Node: Node itself, Dawn, the Vulkan loader, the bundled tests and benchmark, and TensorFlow.js to compare with.
 */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { type BuildOptions, build, type Plugin } from 'esbuild';
import { README, RUN } from './pack_files.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** Limit of all compressed parts together, in bytes. */
const MOST_BYTES = 60e6;
/** Where Linux distributions put the Vulkan loader. */
const LOADERS = [
  '/usr/lib/x86_64-linux-gnu/libvulkan.so.1',
  '/usr/lib64/libvulkan.so.1',
  '/usr/lib/libvulkan.so.1',
  '/usr/lib/chromium/libvulkan.so.1',
];

/** Removes the symbols of a program, which it runs without. They stay on a machine that lacks `strip`. */
function stripped(path: string): Buffer {
  const folder = mkdtempSync(join(tmpdir(), 'zfnet-strip-'));
  const copy = join(folder, 'binary');
  copyFileSync(path, copy);
  try {
    execFileSync('strip', [copy], { stdio: 'ignore' });
  } catch {
    // The file is larger, and runs.
  }
  const bytes = readFileSync(copy);
  rmSync(folder, { recursive: true });
  return bytes;
}

/** Takes our engine from its sources rather than from the last build. */
const fromSources: Plugin = {
  name: 'engine from its sources',
  setup: ({ onResolve }) => void onResolve({ filter: /\/dist\/index\.js$/ }, () => ({ path: join(ROOT, 'src/index.ts') })),
};

/** Settings of every bundle: one ES module for Node, which may call `require`. */
const BUNDLE: BuildOptions = {
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node20',
  minify: true,
  logLevel: 'error',
  plugins: [fromSources],
  external: ['webgpu', 'sharp', 'mnist', 'hyparquet', 'hyparquet-compressors', 'fast-check', '@iconify-json/*', '@stdlib/*'],
  banner: { js: "import { createRequire as requireFrom } from 'node:module'; const require = requireFrom(import.meta.url);" },
  alias: { '@acemir/cssom': './src/report/charts/no_style_sheets.ts' },
  absWorkingDir: ROOT,
};

/** Bundles the programs into the folder `app`. */
async function bundle(app: string): Promise<void> {
  const entries = { 'tests.mjs': 'interop/gpu/run.ts', 'bench.mjs': 'bench/gpu/packed.ts' };
  for (const [name, entry] of Object.entries(entries)) await build({ ...BUNDLE, entryPoints: [entry], outfile: join(app, name) });
  const peers = join(app, 'peers');
  mkdirSync(peers, { recursive: true });
  for (const name of ['zfnet.mjs', 'tfjs-wasm.mjs']) {
    const outfile = join(peers, name);
    // The WebAssembly backend of TensorFlow.js is not part of the pack.
    await build({
      ...BUNDLE,
      entryPoints: [join('bench/peers', name)],
      outfile,
      external: [...BUNDLE.external!, '@tensorflow/tfjs-backend-wasm'],
    });
  }
  // Our engine reads its version there.
  copyFileSync(join(ROOT, 'package.json'), join(app, '..', 'package.json'));
}

/** Writes the npm package `webgpu` with the one binary that a Linux x86-64 machine needs. Returns the path of the original binary. */
function addDawn(app: string): string {
  const index = createRequire(join(ROOT, 'interop/gpu/package.json')).resolve('webgpu');
  const folder = join(app, 'node_modules/webgpu');
  mkdirSync(folder, { recursive: true });
  for (const name of ['package.json', 'index.js', 'LICENSE.md']) cpSync(join(dirname(index), name), join(folder, name));
  return join(dirname(index), 'dist/linux-x64/dawn.node');
}

interface Part {
  name: string;
  raw: number;
  packed: number;
}

/** Writes the pack and prints the sizes of its parts. @throws Error if a part is missing or the parts are too large together */
export async function pack(target: string): Promise<void> {
  if (process.platform !== 'linux' || process.arch !== 'x64')
    throw new Error('--pack: the pack contains this Node, which must be one for Linux on x86-64');
  const folder = resolve(target);
  if (existsSync(folder) && readdirSync(folder).length > 0) throw new Error(`--pack: ${target} is not empty; name a new folder`);
  const loader = LOADERS.find((path) => existsSync(path));
  if (!loader) throw new Error('--pack: found no Vulkan loader; install libvulkan1');
  const work = mkdtempSync(join(tmpdir(), 'zfnet-pack-'));
  try {
    const app = join(work, 'app');
    mkdirSync(app);
    await bundle(app);
    const dawn = addDawn(app);
    execFileSync('tar', ['-cf', join(work, 'app.tar'), '-C', work, 'app', 'package.json']);
    mkdirSync(join(folder, 'parts'), { recursive: true });
    const parts = Object.entries({
      node: stripped(process.execPath),
      'dawn.node': stripped(dawn),
      'libvulkan.so.1': readFileSync(loader),
      'app.tar': readFileSync(join(work, 'app.tar')),
    }).map(([name, bytes]): Part => {
      const packed = gzipSync(bytes, { level: 9 });
      writeFileSync(join(folder, 'parts', `${name}.gz`), packed);
      return { name, raw: bytes.length, packed: packed.length };
    });
    writeFileSync(join(folder, 'run.sh'), RUN);
    chmodSync(join(folder, 'run.sh'), 0o755);
    writeFileSync(join(folder, 'README.txt'), README);
    printSizes(parts, folder);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function printSizes(parts: readonly Part[], folder: string): void {
  const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`.padStart(9);
  for (const { name, raw, packed } of parts) console.log(`${name.padEnd(16)} ${megabytes(raw)}, compressed ${megabytes(packed)}`);
  const total = parts.reduce((sum, { name }) => sum + statSync(join(folder, 'parts', `${name}.gz`)).size, 0);
  console.log(`${'together'.padEnd(16)} ${''.padStart(9)}  compressed ${megabytes(total)}`);
  if (total > MOST_BYTES)
    throw new Error(`--pack: the compressed parts take ${megabytes(total).trim()}, expected at most ${megabytes(MOST_BYTES).trim()}`);
  console.log(`copy ${folder} to the machine and run ./run.sh there`);
}
