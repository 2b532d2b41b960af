// Runs the engine in pages of real browsers: on the main thread and in a worker, with and without the headers that allow shared memory.

import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CHROMIUM_ARGS, findChromium, findFirefox } from '../programs.mjs';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const TYPES = { '.js': 'text/javascript', '.mjs': 'text/javascript' };

/** Serves the project's files, and a blank page for everything else; `isolated` says whether pages may share memory with workers. */
async function serve(isolated) {
  const server = createServer(async (request, response) => {
    const path = normalize(new URL(request.url, 'http://localhost').pathname);
    if (isolated) {
      response.setHeader('Cross-Origin-Opener-Policy', 'same-origin');
      response.setHeader('Cross-Origin-Embedder-Policy', 'require-corp');
    }
    const type = TYPES[extname(path)];
    response.setHeader('Content-Type', type ?? 'text/html');
    try {
      response.end(type ? await readFile(join(ROOT, path)) : '<!doctype html><title>zfnet</title>');
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { url: `http://localhost:${server.address().port}/`, close: () => server.close() };
}

const onMain = async (options) => {
  const [zfnet, { train }] = await Promise.all([import('/dist/index.js'), import('/interop/runtimes/train.mjs')]);
  return train(zfnet, options);
};

const inWorker = (options) =>
  new Promise((resolve, reject) => {
    const worker = new Worker('/interop/runtimes/worker.mjs', { type: 'module' });
    worker.onmessage = ({ data }) => resolve(data);
    worker.onerror = ({ message }) => reject(new Error(message));
    worker.postMessage(options);
  });

/** Configurations of the engine in a page: where it runs, whether memory may be shared, and the threads requested and expected. */
const WAYS = [
  { name: 'page', run: onMain, isolated: true, asked: 1, threads: 1 },
  { name: 'page', run: onMain, isolated: true, asked: 2, threads: 2 },
  { name: 'worker', run: inWorker, isolated: true, asked: 2, threads: 2 },
  { name: 'page, not isolated', run: onMain, isolated: false, asked: 2, threads: 1 },
];

const BROWSERS = {
  Chromium: { engine: 'chromium', path: findChromium, options: { args: CHROMIUM_ARGS } },
  Firefox: { engine: 'firefox', path: findFirefox, options: { channel: 'moz-firefox' } },
};

/** Trains in every configuration in an installed browser: [name, result, threads expected], or [name, reason why not]. */
export async function* inBrowsers(only) {
  const playwright = await import('playwright-core');
  for (const [browserName, { engine, path, options }] of Object.entries(BROWSERS)) {
    if (!browserName.includes(only)) continue;
    const executablePath = path();
    if (!executablePath) {
      yield [browserName, 'it is not installed'];
      continue;
    }
    const browser = await playwright[engine].launch({ executablePath, ...options });
    try {
      for (const { name, run, isolated, asked, threads } of WAYS) {
        const { url, close } = await serve(isolated);
        try {
          const page = await browser.newPage();
          await page.goto(url);
          yield [`${browserName}, ${name}`, await page.evaluate(run, { threads: asked }), threads];
          await page.close();
        } finally {
          close();
        }
      }
    } finally {
      await browser.close();
    }
  }
}
