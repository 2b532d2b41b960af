// WebKit by its own WebDriver: WebKitGTK on a virtual screen, and WPE, whose build in Debian 12 has no WebAssembly SIMD.
import { spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { answerOf, freePort } from '../ports.mjs';
import { find } from '../programs.mjs';
import { resultOfPage } from './server.mjs';

/** Returns the path of MiniBrowser in the first folder of libraries whose name starts with `prefix`. */
function miniBrowser(prefix) {
  const libraries = ['/usr/lib/x86_64-linux-gnu', '/usr/lib/aarch64-linux-gnu', '/usr/lib64', '/usr/libexec'].filter(existsSync);
  const folders = libraries.flatMap((library) => readdirSync(library).map((name) => [name, join(library, name, 'MiniBrowser')]));
  return folders.find(([name, path]) => name.startsWith(prefix) && existsSync(path))?.[1];
}

/** Starts a virtual screen and returns its process and the value of DISPLAY. */
async function startScreen(program) {
  const screen = spawn(program, ['-displayfd', '3', '-screen', '0', '800x600x24', '-nolisten', 'tcp'], {
    stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
  });
  const number = await new Promise((resolve, reject) => {
    screen.stdio[3].once('data', (data) => resolve(String(data).trim()));
    screen.once('error', reject);
    screen.once('exit', () => reject(new Error('Xvfb has ended')));
  });
  return { screen, display: `:${number}` };
}

/** Opens a page in a browser that a WebDriver starts, runs `use`, and ends the browser. */
async function withDriver({ driver, capabilities, env }, use) {
  const port = await freePort();
  // In a process group of its own, with the browser that it starts, so that both can be ended.
  const own = spawn(driver, [`--port=${port}`], { env: { ...process.env, ...env }, stdio: 'ignore', detached: true });
  const call = async (method, path, body) => {
    const options = { method, body: body && JSON.stringify(body), signal: AbortSignal.timeout(60_000) };
    const response = await fetch(`http://127.0.0.1:${port}${path}`, options);
    const { value } = await response.json();
    if (!response.ok) throw new Error(`WebDriver: ${value.error}: ${value.message}`);
    return value;
  };
  try {
    await answerOf(`http://127.0.0.1:${port}/status`, { alive: () => own.exitCode === null });
    const { sessionId } = await call('POST', '/session', { capabilities: { alwaysMatch: capabilities } });
    try {
      return await use((url) => call('POST', `/session/${sessionId}/url`, { url }));
    } finally {
      await call('DELETE', `/session/${sessionId}`).catch(() => undefined);
    }
  } finally {
    process.kill(-own.pid, 'SIGKILL');
  }
}

/** A page in WebKitGTK. */
export async function inWebKitGtk(seconds) {
  const [driver, binary, xvfb] = [find(['WebKitWebDriver']), miniBrowser('webkit2gtk'), find(['Xvfb'])];
  if (!driver || !binary || !xvfb) return { skipped: 'not installed (Debian: webkit2gtk-driver and xvfb)' };
  const { screen, display } = await startScreen(xvfb);
  try {
    const env = { DISPLAY: display, GDK_BACKEND: 'x11', LIBGL_ALWAYS_SOFTWARE: '1', WEBKIT_DISABLE_COMPOSITING_MODE: '1' };
    const capabilities = { 'webkitgtk:browserOptions': { binary, args: ['--automation'] } };
    return await withDriver({ driver, capabilities, env }, (open) =>
      resultOfPage({ isolated: true, options: { threads: 1 }, seconds }, open),
    );
  } finally {
    screen.kill('SIGKILL');
  }
}

/** A page in WPE, without a screen. */
export async function inWpe(seconds) {
  const [driver, binary] = [find(['WPEWebDriver']), miniBrowser('wpe-webkit')];
  if (!driver || !binary) return { skipped: 'not installed (Debian: wpewebkit-driver)' };
  const capabilities = { 'wpe:browserOptions': { binary, args: ['--automation', '--headless'] } };
  const env = { LIBGL_ALWAYS_SOFTWARE: '1', XDG_RUNTIME_DIR: process.env.XDG_RUNTIME_DIR ?? '/tmp' };
  return await withDriver({ driver, capabilities, env }, (open) =>
    resultOfPage({ isolated: true, options: { values: true }, seconds }, open),
  );
}
