// Cloudflare's runtime, serving one worker: the bundled program and the compiled kernels, embedded by a configuration.
import { spawn } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { answerOf, freePort } from '../ports.mjs';
import { BUNDLES } from './bundle.mjs';

const KERNELS = fileURLToPath(new URL('../../dist/simd.wasm', import.meta.url));

const configuration = (port) => `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = (modules = [
    (name = "workerd.mjs", esModule = embed "workerd.mjs"), (name = "simd.wasm", wasm = embed "simd.wasm")
  ], compatibilityDate = "2026-01-01"))],
  sockets = [(name = "http", address = "127.0.0.1:${port}", http = (), service = "main")],
);
`;

/** Runs the program in workerd and returns the result. */
export async function inWorkerd(seconds) {
  const folder = mkdtempSync(join(tmpdir(), 'zfnet-workerd-'));
  const port = await freePort();
  copyFileSync(join(BUNDLES, 'workerd.mjs'), join(folder, 'workerd.mjs'));
  copyFileSync(KERNELS, join(folder, 'simd.wasm'));
  writeFileSync(join(folder, 'config.capnp'), configuration(port));
  const workerd = spawn('node_modules/.bin/workerd', ['serve', join(folder, 'config.capnp')], { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  workerd.stderr.on('data', (data) => {
    said += data;
  });
  try {
    const answer = await answerOf(`http://127.0.0.1:${port}/`, { seconds, alive: () => workerd.exitCode === null });
    return await answer.json();
  } catch (error) {
    throw new Error(`${error.message}\n${said}`);
  } finally {
    workerd.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  }
}
