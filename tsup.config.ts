/** Builds the library (dist/: ESM, CommonJS and types) and the command line (cli/dist/). */
import { copyFileSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { build, defineConfig, type Options } from 'tsup';
import { writeNotices } from './interop/package/notices.js';
import { markConstants } from './interop/package/pure.js';
import { WEB_SCRIPT } from './src/backend/wasm/runtime/worker.js';

const entries = {
  index: 'src/index.ts',
  train: 'src/train.ts',
  data: 'src/data/index.ts',
  // Started by the data room, as a thread.
  image_worker: 'src/data/reading/image_worker.ts',
  safetensors: 'src/formats/safetensors.ts',
  onnx: 'src/formats/onnx/index.ts',
  interpret: 'src/interpret/index.ts',
  models: 'src/models.ts',
  report: 'src/report/index.ts',
  pictures: 'src/report/pictures/index.ts',
  testing: 'src/testing.ts',
};
const existing = Object.fromEntries(Object.entries(entries).filter(([, path]) => existsSync(path)));

/** Needed by some entry points alone, and installed by those who use them. */
const external = [/^node:/, 'sharp', 'mnist', /^hyparquet/, 'fast-check', /^@iconify-json\//, /^@stdlib\//];

/** Calls that only describe something. esbuild forgets between files that they have no side effects, so each call is marked. */
const WITHOUT_EFFECTS =
  /(?<![\w.$'"`])(?<!function )(rule|integer|finite|oneOf|arrayOf|orNull|either|instanceOf|objectWith|recordOf|defineOp)\(/g;

/**
 * Finishes the written files. In CommonJS, an `import()` of our own files becomes a `require`, since Jest offers no other way. An
 * `import()` of a computed name gets the comments that keep bundlers from resolving it, where esbuild has removed them.
 */
function finish(): void {
  for (const name of readdirSync('dist')) {
    if (!/\.c?js$/.test(name)) continue;
    const path = `dist/${name}`;
    let code = readFileSync(path, 'utf8');
    if (name.endsWith('.cjs')) code = code.replace(/\bimport\((['"]\.[^'"]+['"])\)/g, 'Promise.resolve().then(()=>require($1))');
    // rollup and tsup both name the source map. The changes below stay within their lines, to which the maps point.
    code = code.replace(/(\n\/\/# sourceMappingURL=\S+)\1+/, '$1');
    code = code.replace(/\bimport\((?=[A-Za-z])/g, 'import(/* webpackIgnore: true */ /* @vite-ignore */ ');
    code = code.replace(WITHOUT_EFFECTS, '/* @__PURE__ */ $1(');
    // Constants of bundled packages may have side effects.
    if (name.endsWith('.js') && !code.includes('// node_modules/') && !name.endsWith('.iife.js')) code = markConstants(code);
    writeFileSync(path, code);
  }
}

/** Files that are loaded by their address. */
async function writeAssets(): Promise<void> {
  // For runtimes that may not compile: `import module from 'zfnet/simd.wasm'`, then `init({ wasm: module })`.
  copyFileSync('build/simd.wasm', 'dist/simd.wasm');
  // For pages that may not start workers from memory: `init({ workerUrl })`.
  writeFileSync('dist/worker.js', WEB_SCRIPT);
  // For `<script src>`: everything in one file, minified, with the exports in the variable `zfnet`.
  const script = {
    entry: { zfnet: 'src/index.ts' },
    format: ['iife' as const],
    globalName: 'zfnet',
    outExtension: () => ({ js: '.iife.js' }),
  };
  await build({
    ...script,
    config: false,
    target: 'es2022',
    platform: 'browser',
    minify: true,
    sourcemap: true,
    outDir: 'dist',
    silent: true,
  });
}

const library: Options = {
  name: 'zfnet',
  entry: existing,
  format: ['esm', 'cjs'],
  dts: true,
  target: 'es2022',
  platform: 'neutral',
  // What the entries have in common becomes chunks of its own, so that `zfnet` and `zfnet/data` share one engine and one
  // set of classes; so does each build of the kernels, so that only the chosen one is loaded.
  splitting: true,
  sourcemap: true,
  // Has rollup turn the chunks into CommonJS, rather than sucrase, which trips over minified code.
  treeshake: true,
  external,
  clean: true,
  outDir: 'dist',
  metafile: true,
  onSuccess: async () => {
    await writeAssets();
    const metafiles = ['dist/metafile-esm.json', 'dist/metafile-cjs.json'];
    writeFileSync('build/bundled.json', JSON.stringify(writeNotices(metafiles, 'dist/THIRD-PARTY-NOTICES.md')));
    for (const file of metafiles) rmSync(file);
    finish();
  },
  // Keeps the prefix of `node:fs`, by which bundlers and Deno recognise built-in modules.
  removeNodeProtocol: false,
  // The files are not minified: names and lines stay in users' stack traces, and bundlers, which minify anyway, see what a page does not
  // use. (Minification merges declarations, and removes the marks of calls without side effects.)
  esbuildOptions: (options) => {
    // The CSS parser of linkedom contains an `eval`, and charts have no style sheets.
    options.alias = { '@acemir/cssom': './src/report/charts/no_style_sheets.ts' };
  },
};

const cli: Options = {
  name: 'cli',
  entry: { main: 'cli/src/main.ts' },
  format: ['esm'],
  target: 'node20',
  platform: 'node',
  external: ['zfnet', /^zfnet\//, ...Object.keys(JSON.parse(readFileSync('cli/package.json', 'utf8')).dependencies)],
  clean: true,
  outDir: 'cli/dist',
};

export default defineConfig([...(existsSync(entries.index) ? [library] : []), ...(existsSync('cli/src/main.ts') ? [cli] : [])]);
