// The package's files as bundlers give them: `zfnet/simd.wasm` and `zfnet/worker.js` by address, and the engine inside a worker that Vite
// builds or serves. Each form is the one that docs/RUNTIMES.md writes down.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { openPage } from '../browser.mjs';
import { checkResult, Project, refuseWarnings } from '../project.mjs';
import { ISOLATED, serve } from '../server.mjs';

const HTML = (page) => `<!doctype html><html lang="en"><title>zfnet</title><script type="module" src="./${page}.js"></script></html>`;
const SETTLE = '.then((result) => { window.result = result; }, (error) => { window.failure = String(error?.stack ?? error); });';

/** A page that passes the kernels to `init`, as `form` imports them. */
const wasmPage = (form) => `import { program } from './program.mjs';\n${form}\nprogram({ wasm })${SETTLE}`;
const IMPORT = "import wasm from 'zfnet/simd.wasm';";

/** A page that starts the threads from the file of the package. */
const threadsPage = (form) => `import { program } from './program.mjs';\n${form}\nprogram({ threads: 2, workerUrl })${SETTLE}`;

/** A page that runs the program in a module worker of its own. */
const WORKER_PAGE = `const worker = new Worker(new URL('./mine.js', import.meta.url), { type: 'module' });
new Promise((resolve, reject) => {
  worker.onmessage = ({ data }) => resolve(data);
  worker.onerror = (event) => reject(new Error(event.message));
})${SETTLE}`;
const WORKER = `import { program } from './program.mjs';\nprogram({ threads: 2 }).then(postMessage);`;

const FORMS = {
  'simd-by-loader': wasmPage(IMPORT),
  'simd-by-url': wasmPage("const wasm = new URL('zfnet/simd.wasm', import.meta.url);"),
  'simd-by-suffix': wasmPage("import wasm from 'zfnet/simd.wasm?url';"),
  'worker-by-url': threadsPage("const workerUrl = new URL('zfnet/worker.js', import.meta.url);"),
  'worker-by-suffix': threadsPage("import workerUrl from 'zfnet/worker.js?url';"),
  'in-a-worker': WORKER_PAGE,
};

/** A script that builds the pages of these names, and prints warnings and errors. */
const WEBPACK = (names) => `import webpack from 'webpack';
const entry = Object.fromEntries(${JSON.stringify(names)}.map((name) => [name, './' + name + '.js']));
webpack({ mode: 'production', entry, output: { path: process.cwd() + '/out', filename: '[name].js' }, performance: { hints: false },
  optimization: { minimize: false }, module: { rules: [{ test: /\\.wasm$/, type: 'asset/resource' }] } }, (error, stats) => {
  if (error) throw error;
  console.log(stats.toString({ colors: false, all: false, errors: true, warnings: true }));
  if (stats.hasErrors()) process.exit(1);
});`;

const VITE = (names) => `import { build } from 'vite';
const input = Object.fromEntries(${JSON.stringify(names)}.map((name) => [name, name + '.js']));
await build({ logLevel: 'warn', base: './', worker: { format: 'es' }, build: { outDir: 'out', modulePreload: false, minify: false,
  chunkSizeWarningLimit: 5000, rollupOptions: { input, output: { entryFileNames: '[name].js' } } } });`;

const script = (text) => (project, names) => {
  project.write('build.mjs', text(names));
  return project.runBoth('node', ['build.mjs']);
};

const esbuild = (loader) => (project, names) => {
  const options = ['--bundle', '--splitting', '--format=esm', '--outdir=out', '--log-level=warning', `--loader:.wasm=${loader}`];
  return project.runBoth(project.bin('esbuild'), [...names.map((name) => `${name}.js`), ...options]);
};

/** Each tool builds its pages at once. */
const TOOLS = [
  { tool: 'esbuild, loader file', names: ['simd-by-loader'], build: esbuild('file') },
  { tool: 'esbuild, loader binary', names: ['simd-by-loader'], build: esbuild('binary') },
  { tool: 'webpack', names: ['simd-by-loader', 'simd-by-url', 'worker-by-url'], build: script(WEBPACK) },
  { tool: 'vite', names: ['simd-by-suffix', 'worker-by-suffix', 'in-a-worker'], build: script(VITE) },
].map((each) => ({ ...each, name: `files: ${each.tool}` }));

/** Opens one page of the folder `out` in Chromium. */
async function open(project, page) {
  project.write('out/index.html', HTML(page));
  const server = await serve(join(project.folder, 'out'), ISOLATED);
  try {
    const opened = await openPage('Chromium', server.url);
    return opened.skipped ? opened : checkResult(opened.result, { threads: page.startsWith('simd') ? 1 : 2 });
  } finally {
    server.close();
  }
}

const DEV = 'files: vite development server, in the page and in a worker';

/** Opens the page on Vite's development server. */
async function development(project) {
  const config = { worker: { format: 'es' }, server: { headers: ISOLATED, port: 0, strictPort: false, hmr: false } };
  project.write('index.html', HTML('main'));
  project.write('vite.config.js', `export default ${JSON.stringify(config)};`);
  project.write(
    'main.js',
    `import { program } from './program.mjs';\n${WORKER_PAGE.replace(SETTLE, '')}.then(async (mine) => ({ ...(await program({ threads: 2 })), mine }))${SETTLE}`,
  );
  const server = spawn(process.execPath, [project.bin('vite')], {
    cwd: project.folder,
    env: project.env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    const url = await new Promise((resolve, reject) => {
      let said = '';
      setTimeout(() => reject(new Error(`Vite did not start: ${said}`)), 60_000).unref();
      server.stdout.on('data', (data) => {
        said += data;
        // The port may be printed in bold.
        const port = /localhost:(?:[^\d/]*\[1m)?(\d+)/.exec(said);
        if (port) resolve(`http://localhost:${port[1]}/`);
      });
    });
    const opened = await openPage('Chromium', url);
    if (opened.skipped) return opened;
    checkResult(opened.result.mine, { threads: 2 });
    return checkResult(opened.result, { threads: 2 });
  } finally {
    server.kill();
  }
}

export const files = {
  name: 'files',
  async run({ folder, registry, check, wanted }) {
    if (![...TOOLS.map(({ name }) => name), DEV].some(wanted)) return;
    const project = new Project(join(folder, 'project'), registry);
    project.install('zfnet', 'esbuild', 'webpack', 'vite@7');
    project.write('mine.js', WORKER);
    for (const [page, code] of Object.entries(FORMS)) project.write(`${page}.js`, code);
    for (const { name, names, build } of TOOLS) {
      await check(name, async () => {
        const { stdout, stderr } = await build(project, names);
        refuseWarnings(stdout + stderr);
        const shown = [];
        for (const page of names) shown.push(await open(project, page));
        return shown.find(({ skipped }) => skipped) ?? shown.join('; ');
      });
    }
    await check(DEV, () => development(project));
  },
};
