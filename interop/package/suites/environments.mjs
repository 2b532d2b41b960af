// Places other than a page's module script: classic scripts, service workers, shared workers, browser extensions, runtimes without
// DecompressionStream, and Hermes, the engine of React Native. docs/RUNTIMES.md is the guide that these checks hold.
import { createHash, generateKeyPairSync } from 'node:crypto';
import { cpSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import vm from 'node:vm';
import { openExtension, openPage } from '../browser.mjs';
import { checkFallback, checkResult, lastLine, Project } from '../project.mjs';
import { ISOLATED, serve } from '../server.mjs';

const html = (body) => `<!doctype html><html lang="en"><title>zfnet</title>${body}</html>`;

/** `program.mjs` as a classic script that uses the global variable `zfnet`. */
function classic(project) {
  const program = readFileSync(join(project.folder, 'program.mjs'), 'utf8').replace('export async function', 'async function');
  const body = program.replace(/import (\{[^}]*\}) from 'zfnet';/, 'const $1 = engine;');
  return `const program = ((engine) => {\n${body}\nreturn program;\n})(zfnet);`;
}

const SETTLE = '.then((result) => { window.result = result; }, (error) => { window.failure = String(error?.stack ?? error); });';

/** A service worker that answers each message with the result of the program, or its error. */
const SERVICE_WORKER = `import { program } from './program.mjs';
self.addEventListener('message', ({ data, source }) =>
  program(data).then((result) => source.postMessage(result), ({ name, message }) => source.postMessage({ error: name + ': ' + message })));
`;

const SERVICE_PAGE = `const options = JSON.parse(new URLSearchParams(location.search).get('options'));
(async () => {
  const registration = await navigator.serviceWorker.register(new URLSearchParams(location.search).get('script'), { type: 'module' });
  const answer = new Promise((resolve) => navigator.serviceWorker.addEventListener('message', ({ data }) => resolve(data)));
  (registration.installing ?? registration.active).postMessage(options);
  return answer;
})()${SETTLE}`;

const SHARED_WORKER = `import { program } from './program.mjs';
self.onconnect = ({ ports: [port] }) =>
  program({ threads: 2 }).then((result) => port.postMessage(result), (error) => port.postMessage({ error: String(error) }));
`;

const SHARED_PAGE = `new Promise((resolve, reject) => {
  const worker = new SharedWorker('shared/shared.js', { type: 'module' });
  worker.onerror = (event) => reject(new Error(event.message));
  worker.port.onmessage = ({ data }) => resolve(data);
  worker.port.start();
})${SETTLE}`;

/** Bundles an entry with esbuild into the folder `out/NAME`. */
function bundle(project, entry, out, ...args) {
  project.run(project.bin('esbuild'), [entry, '--bundle', '--minify', `--outdir=out/${out}`, '--log-level=warning', ...args]);
}

/** Opens a page of the folder `out` and hands its result to `verify`. */
async function inPage(project, browser, path, verify, headers = {}) {
  const server = await serve(join(project.folder, 'out'), headers);
  try {
    const opened = await openPage(browser, server.url + path);
    return opened.skipped ? opened : verify(opened.result);
  } finally {
    server.close();
  }
}

const service = (script, options) => `service.html?script=${script}&options=${encodeURIComponent(JSON.stringify(options))}`;

function refusal(result, pattern) {
  if (!pattern.test(result.error)) throw new Error(`got ${JSON.stringify(result)}, expected an error like ${pattern}`);
  return result.error.slice(0, 60);
}

const WAY_OUT = /^BackendError: .*bundle it into one file.*init\(\{ wasm \}\)/;

/** Installs the engine and writes the pages and the scripts that they load. */
function writePages(project) {
  project.install('zfnet', 'esbuild');
  const dist = join(project.folder, 'node_modules/zfnet/dist');
  cpSync(join(dist, 'zfnet.iife.js'), join(project.folder, 'out/zfnet.iife.js'));
  cpSync(join(dist, 'simd.wasm'), join(project.folder, 'out/simd.wasm'));
  project.write('out/classic.js', `${classic(project)}\nprogram({ threads: 2 })${SETTLE}`);
  project.write('out/classic.html', html('<script src="zfnet.iife.js"></script><script src="classic.js"></script>'));
  project.write('out/service.html', html('<script src="service.js"></script>'));
  project.write('out/service.js', SERVICE_PAGE);
  project.write('out/shared.html', html('<script src="shared.js"></script>'));
  project.write('out/shared.js', SHARED_PAGE);
  project.write('service_worker.js', SERVICE_WORKER);
  project.write('shared.js', SHARED_WORKER);
  bundle(project, 'service_worker.js', 'whole', '--format=esm');
  bundle(project, 'service_worker.js', 'split', '--format=esm', '--splitting');
  bundle(project, 'shared.js', 'shared', '--format=esm', '--splitting');
}

/** A manifest 3 extension whose page trains; extension pages may start workers from files only. */
async function extension(project) {
  const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const key = publicKey.export({ type: 'spki', format: 'der' });
  const id = [...createHash('sha256').update(key).digest().subarray(0, 16).toString('hex')]
    .map((digit) => 'abcdefghijklmnop'[Number.parseInt(digit, 16)])
    .join('');
  const manifest = {
    manifest_version: 3,
    name: 'zfnet',
    version: '1',
    key: key.toString('base64'),
    content_security_policy: { extension_pages: "script-src 'self' 'wasm-unsafe-eval'; object-src 'self'" },
    cross_origin_opener_policy: { value: 'same-origin' },
    cross_origin_embedder_policy: { value: 'require-corp' },
  };
  project.write('extension/manifest.json', JSON.stringify(manifest));
  project.write('extension.js', `import { program } from './program.mjs';\nprogram({ threads: 2, workerUrl: 'worker.js' })${SETTLE}`);
  project.run(project.bin('esbuild'), [
    'extension.js',
    '--bundle',
    '--splitting',
    '--format=esm',
    '--outdir=extension',
    '--log-level=warning',
  ]);
  cpSync(join(project.folder, 'node_modules/zfnet/dist/worker.js'), join(project.folder, 'extension/worker.js'));
  project.write('extension/index.html', html('<script type="module" src="extension.js"></script>'));
  const opened = await openExtension(join(project.folder, 'extension'), `chrome-extension://${id}/index.html`);
  return opened.skipped ? opened : checkResult(opened.result, { threads: 2 });
}

/** Runs the script build in a context with these globals only, and returns its variable `zfnet` and the program. */
function inContext(project, globals) {
  const context = vm.createContext(globals);
  vm.runInContext(readFileSync(join(project.folder, 'node_modules/zfnet/dist/zfnet.iife.js'), 'utf8'), context);
  return vm.runInContext(`${classic(project)};program`, context);
}

async function edge(project) {
  const warnings = [];
  const globals = () => ({
    WebAssembly,
    URL,
    Blob,
    Response,
    ReadableStream,
    fetch,
    atob,
    performance,
    setTimeout,
    console: { warn: (text) => warnings.push(text) },
  });
  const shown = checkFallback(await inContext(project, globals())(), /no DecompressionStream.*init\(\{ wasm \}\)/);
  if (warnings.length !== 1) throw new Error(`warnings: ${warnings}`);
  const bytes = readFileSync(join(project.folder, 'node_modules/zfnet/dist/simd.wasm'));
  const module = await WebAssembly.compile(bytes);
  checkResult(await inContext(project, globals())({ wasm: module }), { threads: 1 });
  return shown;
}

/** Transforms the bundle as React Native does, and runs it with Hermes, which has neither WebAssembly nor finalisers. */
const HERMES = `const { readFileSync, writeFileSync } = require('node:fs');
const { transformSync } = require('@babel/core');
// Metro makes an import() of a computed name throw; the published command line of Hermes is older than Array.prototype.at.
const code = readFileSync('out/hermes.js', 'utf8').replace(/\\bimport\\(\\s*(\\/\\*.*?\\*\\/\\s*)*[a-z]\\w*\\s*\\)/gis, 'Promise.reject(new Error("no import()"))');
const presets = [['@react-native/babel-preset', { disableImportExportTransform: true, enableBabelRuntime: false }]];
const before = 'globalThis.performance = { now: () => Date.now() }; Array.prototype.at ??= function (i) { return this[i < 0 ? this.length + i : i]; };';
writeFileSync('out/hermes.js', before + transformSync(code, { presets, compact: false, babelrc: false, configFile: false, filename: 'hermes.js' }).code);`;

async function hermes(project) {
  const bin = join(project.folder, 'node_modules/hermes-engine-cli/linux64-bin/hermes');
  if (process.platform !== 'linux' || process.arch !== 'x64') return { skipped: 'the command line of Hermes is for Linux on x64' };
  project.install('hermes-engine-cli@0.12', '@babel/core@7', '@react-native/babel-preset');
  if (!existsSync(bin)) throw new Error(`there is no ${bin}`);
  project.write(
    'hermes.js',
    "import { program } from './program.mjs';\nprogram().then((result) => print(JSON.stringify(result)), (error) => print(error.stack));",
  );
  bundle(project, 'hermes.js', '', '--format=iife', '--minify=false');
  project.write('transform.cjs', HERMES);
  project.run('node', ['transform.cjs']);
  return checkFallback(lastLine(project.run(bin, ['-O', '-Xes6-promise', '-Xmicrotask-queue', 'out/hermes.js'])), /no WebAssembly/);
}

const oneThread = (result) => checkResult(result, { threads: 1 });

/** The checks: their names, and the functions that run them. */
const CHECKS = [
  ...['Chromium', 'Firefox'].map((browser) => [
    `classic script, ${browser}`,
    (project) => inPage(project, browser, 'classic.html', (result) => checkResult(result, { threads: 2 }), ISOLATED),
  ]),
  ['service worker in one file, Chromium', (project) => inPage(project, 'Chromium', service('whole/service_worker.js', {}), oneThread)],
  [
    'service worker in several files, Chromium',
    (project) => inPage(project, 'Chromium', service('split/service_worker.js', {}), (result) => refusal(result, WAY_OUT)),
  ],
  [
    'service worker in several files with simd.wasm, Chromium',
    (project) => inPage(project, 'Chromium', service('split/service_worker.js', { wasm: '/simd.wasm' }), oneThread),
  ],
  ['SharedWorker, Chromium', (project) => inPage(project, 'Chromium', 'shared.html', oneThread)],
  ['browser extension (manifest 3), Chromium', extension],
  ['a runtime without DecompressionStream', edge],
  ['Hermes (React Native)', hermes],
].map(([name, run]) => ({ name: `environments: ${name}`, run }));

export const environments = {
  name: 'environments',
  async run({ folder, registry, check, wanted }) {
    if (!CHECKS.some(({ name }) => wanted(name))) return;
    const project = new Project(join(folder, 'project'), registry);
    writePages(project);
    for (const { name, run } of CHECKS) await check(name, () => run(project));
  },
};
