// Runs all examples: `npm run test:examples -- [--only TEXT]`. Bun, Deno and browsers are left out where they are not installed. The last
// line is "N passed, N failed, N skipped".
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { startChecks } from '../interop/checks.mjs';
import { CHROMIUM_ARGS, find, findChromium } from '../interop/programs.mjs';

const [MINUTES, SECONDS] = [7.5, 120];
const ROOT = fileURLToPath(new URL('..', import.meta.url));
const RUNTIMES = 'interop/runtimes/node_modules';

const { only } = parseArgs({ options: { only: { type: 'string', default: '' } } }).values;
process.chdir(ROOT);
if (!existsSync('dist/index.js')) throw new Error('build first: npm run build');
const { check, finish } = startChecks({ minutes: MINUTES, only, seconds: SECONDS });

/** Runs a program and returns the last line of its output. */
const program = (command, ...args) =>
  new Promise((resolve, reject) => {
    execFile(command, args, { encoding: 'utf8', timeout: SECONDS * 1000, killSignal: 'SIGKILL' }, (error, stdout, stderr) =>
      error ? reject(Object.assign(error, { stdout, stderr })) : resolve(stdout.trim().split('\n').at(-1)),
    );
  });

/** Runs an example in another runtime, from the tools of the runtime test or from the PATH. */
const inRuntime = (name, ...args) => {
  const own = join(ROOT, RUNTIMES, '.bin', name);
  const path = existsSync(own) ? own : find([name]);
  return path ? program(path, ...args) : { skipped: `${name} is not installed` };
};

const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.mjs': 'text/javascript' };

/** Serves the repository and returns the address and a function that ends it. */
async function serve() {
  const server = createServer(async (request, response) => {
    const path = normalize(new URL(request.url, 'http://localhost').pathname);
    const type = TYPES[extname(path)];
    const content = type && (await readFile(join(ROOT, path)).catch(() => null));
    if (content) response.writeHead(200, { 'Content-Type': type }).end(content);
    else response.writeHead(404).end();
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const close = () => {
    server.close();
    server.closeAllConnections();
  };
  return { url: `http://localhost:${server.address().port}/`, close };
}

/** Returns the driver of browsers from the tools of another test; undefined where none is installed. */
function playwright() {
  const folder = ['browser', 'runtimes', 'package']
    .map((name) => `interop/${name}/`)
    .find((name) => existsSync(`${name}node_modules/playwright-core`));
  return folder && createRequire(join(ROOT, folder, 'package.json'))('playwright-core');
}

/** Opens a page in Chromium and waits until `read`, a function that runs there, returns `{ ok, text }`. */
async function page(path, read) {
  const [driver, executablePath] = [playwright(), findChromium()];
  if (!driver || !executablePath) return { skipped: 'Chromium or its driver is not installed' };
  const { url, close } = await serve();
  const browser = await driver.chromium.launch({ executablePath, args: CHROMIUM_ARGS, timeout: 60_000 });
  try {
    const opened = await browser.newPage();
    const errors = [];
    opened.on('pageerror', (error) => errors.push(String(error)));
    await opened.goto(url + path);
    const ended = await opened.waitForFunction(read, null, { timeout: 60_000 }).catch((error) => void errors.push(error.message));
    const result = await ended?.jsonValue();
    if (errors.length > 0 || !result?.ok) throw new Error([result?.text, ...errors].join('\n'));
    return result.text;
  } finally {
    await browser.close();
    close();
  }
}

/** Runs in the page of the worker: its last line but one is the loss. */
function readLog() {
  const lines = document.querySelector('#log').textContent.trim().split('\n');
  const end = lines.at(-1);
  return end === 'done' || end.startsWith('failed') ? { ok: end === 'done', text: lines.slice(-2).join(', ') } : null;
}

const node = (path) => program(process.execPath, `examples/${path}`);
await check('twenty lines', () => node('twenty-lines/train.mjs'));
await check('Node', () => node('node/server.mjs'));
await check('Bun', () => inRuntime('bun', 'examples/bun/train.ts'));
await check('Deno', () => inRuntime('deno', 'run', '--allow-read', '--allow-env', '--node-modules-dir=manual', 'examples/deno/train.ts'));
await check('plain page', () => page('examples/page/index.html', () => window.result));
await check('Web Worker', () => page('examples/web-worker/index.html', readLog));
await check('deconvnet of an ONNX model', () => node('deconvnet-of-onnx/main.mjs'));
await check('property-test your layer', () => node('property-test/main.mjs'));
await check('fine-tune from few images', () => node('fine-tune/main.mjs'));
await check('custom operation', () => node('custom-operation/main.mjs'));
finish();
