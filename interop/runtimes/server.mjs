// Serves the bundles and a page to browsers, and receives the result that the page posts.
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { basename, join } from 'node:path';
import { within } from '../checks.mjs';
import { BUNDLES } from './bundle.mjs';

/** The first script posts what keeps the second from running, such as syntax that the browser does not know. */
const HTML = `<!doctype html><html lang="en"><meta charset="utf-8"><title>zfnet</title>
<script>addEventListener('error', (event) => fetch('/result', { method: 'POST', body: JSON.stringify({ error: event.message }) }));</script>
<script type="module" src="/page.mjs"></script></html>`;
const ISOLATED = { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' };

/**
 * Serves the page while `open(url)` shows it, and returns what it posts.
 *
 * @param isolated whether the page may share memory with workers
 * @param worker whether the engine runs in a worker of the page
 * @param options those of `run` of the program
 */
export async function resultOfPage({ isolated, worker = false, options, seconds }, open) {
  let received;
  const result = new Promise((resolve) => {
    received = resolve;
  });
  const server = createServer(async (request, response) => {
    for (const [name, value] of Object.entries(isolated ? ISOLATED : {})) response.setHeader(name, value);
    const { pathname } = new URL(request.url, 'http://localhost');
    if (request.method === 'POST') {
      const parts = [];
      for await (const part of request) parts.push(part);
      response.end();
      received(JSON.parse(Buffer.concat(parts).toString()));
    } else if (pathname.endsWith('.mjs')) {
      response.setHeader('Content-Type', 'text/javascript');
      response.end(await readFile(join(BUNDLES, basename(pathname))));
    } else if (pathname === '/') response.setHeader('Content-Type', 'text/html').end(HTML);
    else response.writeHead(404).end();
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const query = `?options=${encodeURIComponent(JSON.stringify(options))}${worker ? '&worker' : ''}`;
  try {
    await within(seconds, open(`http://localhost:${server.address().port}/${query}`));
    return await within(seconds, result);
  } finally {
    server.close();
    server.closeAllConnections();
  }
}
