/**
 * The suite that runs one program in other runtimes: Deno with its own WebGPU, Bun with the npm package, and pages and workers of Chromium and
 * Firefox. The runtimes are those of interop/runtimes; what is not installed is left out.
 */
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { bundle } from './bundle.js';
import { softwareDriver } from './find.js';
import type { ProgramOptions, ProgramResult } from './program.js';
import { check, difference, type SuiteContext } from './suite.js';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const RUNTIMES = `${HERE}../runtimes/node_modules/`;
/** A few operations of each kind; Node runs all of them. */
const OPERATIONS = ['conv2d', 'maxPool2d', 'localResponseNorm', 'relu', 'dropout', 'crossEntropy', 'sum', 'cast'];
const SECONDS = 240;
const TOLERANCE = 1e-3;

/** Returns the fault of a result, or null. */
function faultOf({ faults, passed, webgpu, wasm }: ProgramResult): string | null {
  if (faults.length > 0) return `${faults.length} operation cases failed: ${faults[0]}`;
  if (passed === 0) return 'no operation case ran';
  return difference(webgpu, wasm, TOLERANCE);
}

/** Runs the program in a runtime with a command line. */
function command(path: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<ProgramResult> {
  return new Promise((resolve, reject) => {
    execFile(path, args, { env, timeout: SECONDS * 1000, maxBuffer: 2 ** 26 }, (error, stdout, stderr) => {
      const last = stdout.trim().split('\n').at(-1) ?? '';
      if (error || !last.startsWith('{')) reject(new Error(stderr.trim().split('\n').at(-1) || String(error)));
      else resolve(JSON.parse(last));
    });
  });
}

/** The parts of playwright-core that are used here. */
interface Page {
  goto(url: string): Promise<unknown>;
  evaluate<A, R>(fn: (argument: A) => R | Promise<R>, argument: A): Promise<R>;
}
interface Browser {
  newPage(): Promise<Page>;
  close(): Promise<void>;
}
type Playwright = Record<'chromium' | 'firefox', { launch(options: object): Promise<Browser> }>;

const inPage = async ({ url, operations }: { url: string; operations: string[] }): Promise<ProgramResult> =>
  (await import(url)).program({ operations });
const inWorker = ({ url, operations }: { url: string; operations: string[] }): Promise<ProgramResult> =>
  new Promise((resolve, reject) => {
    const worker = new Worker(url, { type: 'module' });
    worker.onmessage = ({ data }) => (data.error ? reject(new Error(data.error)) : resolve(data));
    worker.onerror = ({ message }) => reject(new Error(message));
    worker.postMessage({ operations } satisfies ProgramOptions);
  });

const BROWSERS = [
  {
    name: 'Chromium',
    engine: 'chromium',
    path: '/usr/bin/chromium',
    options: { args: ['--no-sandbox', '--disable-quic', '--no-first-run', '--disable-sync', '--enable-unsafe-webgpu'] },
  },
  {
    name: 'Firefox',
    engine: 'firefox',
    path: '/usr/bin/firefox-esr',
    options: {
      channel: 'moz-firefox',
      firefoxUserPrefs: { 'dom.webgpu.enabled': true, 'dom.webgpu.workers.enabled': true, 'gfx.webgpu.ignore-blocklist': true },
    },
  },
] as const;

/** Runs the program in a page and in a worker of each browser that is installed. */
async function inBrowsers(context: SuiteContext, folder: string, env: NodeJS.ProcessEnv): Promise<void> {
  const playwright: Playwright = createRequire(RUNTIMES)('playwright-core');
  const server = createServer(({ url = '/' }, response) => {
    const isScript = url.endsWith('.mjs');
    response.setHeader('Content-Type', isScript ? 'text/javascript' : 'text/html');
    response.end(isScript ? readFileSync(`${folder}${url}`) : '<!doctype html><title>zfnet</title>');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const origin = `http://localhost:${(server.address() as AddressInfo).port}`;
  for (const { name, engine, path, options } of BROWSERS) {
    if (!existsSync(path)) {
      console.log(`  left out: ${name} is not installed`);
      continue;
    }
    const browser = await playwright[engine].launch({ executablePath: path, timeout: 60_000, env, ...options });
    for (const [place, run, file] of [
      ['page', inPage, 'program.mjs'],
      ['worker', inWorker, 'worker.mjs'],
    ] as const)
      await check(context, `${name}, ${place}`, async () => {
        const page = await browser.newPage();
        await page.goto(origin);
        return faultOf(await page.evaluate(run, { url: `${origin}/${file}`, operations: OPERATIONS }));
      });
    await browser.close();
  }
  server.close();
  server.closeAllConnections();
}

/** Runs the suite. */
export async function runtimes(context: SuiteContext): Promise<void> {
  const folder = mkdtempSync(`${tmpdir()}/zfnet-gpu-`);
  try {
    for (const name of ['command', 'program', 'worker']) await bundle(`${HERE}${name}.ts`, `${folder}/${name}.mjs`);
    const driver = process.env.VK_ICD_FILENAMES ?? softwareDriver();
    const env = { ...process.env, ...(driver !== undefined && { VK_ICD_FILENAMES: driver }) };
    const operations = OPERATIONS.join();
    const dawn = createRequire(import.meta.url).resolve('webgpu');
    for (const [name, path, args] of [
      ['Deno', `${RUNTIMES}.bin/deno`, ['run', '--allow-all', '--quiet', `${folder}/command.mjs`, operations]],
      ['Bun', `${RUNTIMES}.bin/bun`, [`${folder}/command.mjs`, operations, dawn]],
    ] as const) {
      if (existsSync(path)) await check(context, name, async () => faultOf(await command(path, args, env)));
      else console.log(`  left out: ${name} is not installed; run npm install --prefix interop/runtimes`);
    }
    if (existsSync(`${RUNTIMES}playwright-core`)) await inBrowsers(context, folder, env);
    else console.log('  left out: browsers, whose driver is not installed; run npm install --prefix interop/runtimes');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
