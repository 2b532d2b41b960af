// Opens pages in the installed browsers and returns what `program.mjs` computed there.
import { CHROMIUM_ARGS, findChromium, findFirefox } from '../programs.mjs';

const BROWSERS = {
  Chromium: { engine: 'chromium', path: findChromium, options: { args: CHROMIUM_ARGS } },
  Firefox: { engine: 'firefox', path: findFirefox, options: { channel: 'moz-firefox' } },
};

const open = new Map();

/** Returns the browser, started at its first use; null if it is not installed. */
async function browserOf(name) {
  const { engine, path, options } = BROWSERS[name];
  const executablePath = path();
  if (!executablePath) return null;
  if (!open.has(name)) {
    const playwright = await import('playwright-core');
    open.set(name, await playwright[engine].launch({ executablePath, timeout: 60_000, ...options }));
  }
  return open.get(name);
}

/** Closes all browsers. */
export async function closeBrowsers() {
  for (const browser of open.values()) await browser.close();
  open.clear();
}

/** Opens a page that leaves its result in `window.result`, and returns `{ result, messages }`, or `{ skipped }`. */
export async function openPage(name, url) {
  const browser = await browserOf(name);
  if (!browser) return { skipped: `${name} is not installed` };
  const context = await browser.newContext();
  try {
    return await resultOf(await context.newPage(), url);
  } finally {
    await context.close();
  }
}

/** Loads the address and returns the result of the page, and the warnings and errors on its console. */
async function resultOf(page, url) {
  const messages = [];
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type()) && !/favicon/.test(message.location().url + message.text()))
      messages.push(message.text());
  });
  page.on('pageerror', (error) => messages.push(String(error)));
  await page.goto(url);
  await page
    .waitForFunction(() => window.result ?? window.failure, null, { timeout: 60_000 })
    .catch((error) => Promise.reject(new Error(`${error.message}\n${messages.join('\n')}`)));
  const { result, failure } = await page.evaluate(() => ({ result: window.result, failure: window.failure }));
  if (failure) throw new Error(`${failure}\n${messages.join('\n')}`);
  return { result, messages };
}

/** Opens a page of an unpacked extension in Chromium, in a profile of its own. Returns what `openPage` does. */
export async function openExtension(folder, url) {
  const executablePath = findChromium();
  if (!executablePath) return { skipped: 'Chromium is not installed' };
  const { chromium } = await import('playwright-core');
  const args = [...CHROMIUM_ARGS, `--disable-extensions-except=${folder}`, `--load-extension=${folder}`];
  const context = await chromium.launchPersistentContext('', { executablePath, args, ignoreDefaultArgs: ['--disable-extensions'] });
  try {
    return await resultOf(await context.newPage(), url);
  } finally {
    await context.close();
  }
}
