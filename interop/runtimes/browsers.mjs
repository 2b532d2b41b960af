// Chromium and Firefox: on the main thread and in a worker, with and without the headers that allow shared memory.
import { CHROMIUM_ARGS, findChromium, findFirefox } from '../programs.mjs';
import { resultOfPage } from './server.mjs';

/** Where the engine runs in a page, whether memory may be shared, and the threads requested and expected. */
export const WAYS = [
  { name: 'page', isolated: true, asked: 1, threads: 1 },
  { name: 'page', isolated: true, asked: 2, threads: 2 },
  { name: 'worker', worker: true, isolated: true, asked: 2, threads: 2 },
  { name: 'page, not isolated', isolated: false, asked: 2, threads: 1 },
];

const BROWSERS = {
  Chromium: { engine: 'chromium', path: findChromium, options: { args: CHROMIUM_ARGS } },
  Firefox: { engine: 'firefox', path: findFirefox, options: { channel: 'moz-firefox' } },
};

/** One row per browser and way. A browser starts with its first row and ends with its last. */
export const browserRows = (seconds) =>
  Object.entries(BROWSERS).flatMap(([browserName, { engine, path, options }]) => {
    let browser;
    return WAYS.map((way, i) => ({
      name: `${browserName}, ${way.name}, ${way.asked} ${way.asked === 1 ? 'thread' : 'threads'} requested`,
      threads: way.threads,
      async run() {
        const executablePath = path();
        if (!executablePath) return { skipped: 'it is not installed' };
        browser ??= (await import('playwright-core'))[engine].launch({ executablePath, timeout: 60_000, ...options });
        const page = await (await browser).newPage();
        try {
          return await resultOfPage({ ...way, options: { threads: way.asked }, seconds }, (url) => page.goto(url));
        } finally {
          await page.close();
          if (i === WAYS.length - 1) await (await browser).close();
        }
      },
    }));
  });
