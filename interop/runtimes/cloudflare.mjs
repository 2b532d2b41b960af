// Cloudflare's runtime, serving one worker: the library's own files and the compiled kernels, embedded by a configuration.
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** Finds a free port. */
const freePort = () =>
  new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });

function configuration(port) {
  const scripts = readdirSync(join(ROOT, 'dist')).filter((name) => name.endsWith('.js'));
  const modules = [
    ['workerd.mjs', 'esModule', 'interop/runtimes/workerd.mjs'],
    ['interop/runtimes/train.mjs', 'esModule', 'interop/runtimes/train.mjs'],
    ['dist/simd.wasm', 'wasm', 'dist/simd.wasm'],
    ...scripts.map((name) => [`dist/${name}`, 'esModule', `dist/${name}`]),
  ].map(([name, kind, file]) => `(name = "${name}", ${kind} = embed "/${file}")`);
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = (modules = [${modules.join(', ')}], compatibilityDate = "2026-01-01"))],
  sockets = [(name = "http", address = "127.0.0.1:${port}", http = (), service = "main")],
);
`;
}

/** Trains in workerd and returns the result. */
export async function inWorkerd() {
  const folder = mkdtempSync(join(tmpdir(), 'zfnet-workerd-'));
  const port = await freePort();
  const file = join(folder, 'config.capnp');
  writeFileSync(file, configuration(port));
  const workerd = spawn('node_modules/.bin/workerd', ['serve', '--import-path', ROOT, file], { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  workerd.stderr.on('data', (data) => {
    said += data;
  });
  try {
    for (let attempt = 0; ; attempt++) {
      try {
        const response = await fetch(`http://127.0.0.1:${port}/`);
        const text = await response.text();
        if (!response.ok) throw new Error(`workerd answers ${response.status}: ${text || said}`);
        return JSON.parse(text);
      } catch (error) {
        // The server needs a moment before it listens.
        if (!(error instanceof TypeError) || attempt === 50 || workerd.exitCode !== null) throw said ? new Error(said) : error;
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    }
  } finally {
    workerd.kill();
    rmSync(folder, { recursive: true, force: true });
  }
}
