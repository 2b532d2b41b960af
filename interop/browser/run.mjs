// Opens a report in a real browser and tests it by mouse, by keyboard, at phone size, in the dark colour scheme and with axe for
// accessibility. `npm run test:browser -- runs/demo/report/index.html [--shots FOLDER]`. Exits with status 1 if a check fails.
// It takes at most 4.5 minutes. The last line is "N passed, N failed, N skipped".
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { within } from '../checks.mjs';
import { CHROMIUM_ARGS, CHROMIUM_NAMES, findChromium } from '../programs.mjs';
import { endDescendants, startWatchdog } from '../watchdog.mjs';

const { values, positionals } = parseArgs({ allowPositionals: true, options: { shots: { type: 'string' } } });
const tell = startWatchdog(4.5);
const file = resolve(positionals[0] ?? 'runs/demo/report/index.html');
const shots = values.shots && resolve(values.shots);
if (!existsSync(file)) throw new Error(`there is no ${file}: write one with npx zfnet report RUN`);
if (shots) mkdirSync(shots, { recursive: true });

process.chdir(fileURLToPath(new URL('.', import.meta.url)));
if (!existsSync('node_modules'))
  execFileSync('npm', ['install', '--no-package-lock', '--no-audit', '--no-fund'], { stdio: 'inherit', timeout: 120_000 });
const { chromium } = await import('playwright-core');
const axe = createRequire(import.meta.url).resolve('axe-core/axe.min.js');

const executablePath = findChromium();
if (!executablePath)
  throw new Error(`no browser: install Debian's chromium, or set CHROME to one (looked for ${CHROMIUM_NAMES.join(', ')})`);

let checks = 0;
const problems = [];
const check = (right, what) => {
  checks++;
  if (!right) problems.push(what);
  tell({ running: `what follows the check of ${what || 'accessibility'}`, ...counts() });
};
const counts = () => ({ passed: checks - problems.length, failed: problems.length, skipped: 0 });

const browser = await chromium.launch({ executablePath, args: CHROMIUM_ARGS, timeout: 60_000 });
try {
  for (const colorScheme of ['light', 'dark']) {
    for (const [device, width] of Object.entries({ desktop: 1280, phone: 360 })) {
      const where = `${device}, ${colorScheme}`;
      const context = await browser.newContext({ colorScheme, viewport: { width, height: 800 }, reducedMotion: 'reduce' });
      const page = await context.newPage();
      page.on('console', (message) => check(message.type() !== 'error', `${where}: console: ${message.text()}`));
      page.on('pageerror', (error) => check(false, `${where}: ${error.message}`));
      page.on('request', (request) => check(/^(data:|file:)/.test(request.url()), `${where}: requests ${request.url().slice(0, 80)}`));
      await page.goto(pathToFileURL(file).href);
      const wide = await page.evaluate(() => document.scrollingElement.scrollWidth);
      check(wide <= width, `${where}: the page is ${wide} pixels wide`);
      if (shots) await page.screenshot({ path: join(shots, `${device}-${colorScheme}.png`), fullPage: true });
      if (device === 'desktop') await useMaps(page, where);
      if (device === 'desktop') await useOcclusion(page, where);
      // The page's policy allows no script of ours in the page itself.
      await page.evaluate(await readFile(axe, 'utf8'));
      const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
      for (const { id, impact, help, nodes } of violations)
        check(
          !['serious', 'critical'].includes(impact),
          `${where}: ${id} (${impact}): ${help}: ${nodes.length} times, first ${nodes[0].html.slice(0, 160)}`,
        );
      check(true, '');
      await context.close();
    }
  }
} catch (error) {
  check(false, error.message);
} finally {
  await within(30, browser.close()).catch(() => undefined);
}

/** Opens one map by mouse and one by keyboard, and switches the projection mode. */
async function useMaps(page, where) {
  const closed = page.locator('.open-map:not([open])');
  check((await closed.count()) > 0, `${where}: there is no map to open`);
  const map = await closed.first().elementHandle();
  const summary = await map.$('summary');
  await summary.scrollIntoViewIfNeeded();
  await summary.click();
  check(await map.evaluate((element) => element.open), `${where}: a click does not open a map`);
  const visible = async () => {
    const ways = await map.$$('.way');
    const shown = [];
    for (const way of ways) if (await way.isVisible()) shown.push(await way.getAttribute('data-way'));
    return shown.join();
  };
  check((await visible()) === 'deconvnet', `${where}: at first ${await visible()} is shown`);
  await page.locator('.switch input[value=deconvnet]').focus();
  await page.keyboard.press('ArrowRight');
  check((await visible()) === 'gradient', `${where}: the arrow key shows ${await visible()}`);
  await page.locator('.switch label', { hasText: 'guided' }).click();
  check((await visible()) === 'guided', `${where}: a click on guided shows ${await visible()}`);
  await summary.focus();
  await page.keyboard.press('Enter');
  check(!(await map.evaluate((element) => element.open)), `${where}: the Enter key does not close a map`);
  await page.locator('.switch input[value=deconvnet]').check();
}

/** Points at a position of an occlusion map and checks that the picture shows the square there. */
async function useOcclusion(page, where) {
  const explorer = page.locator('.occlusion').first();
  if ((await explorer.count()) === 0) return;
  const map = explorer.locator('[data-occlusion-map]').first();
  await map.scrollIntoViewIfNeeded();
  const told = explorer.locator('output');
  const box = await map.boundingBox();
  await page.mouse.move(box.x + 0.2 * box.width, box.y + 0.2 * box.height);
  const first = await told.textContent();
  await page.mouse.move(box.x + 0.8 * box.width, box.y + 0.8 * box.height);
  const second = await told.textContent();
  check(first !== '' && first !== second, `${where}: pointing at an occlusion map tells "${first}", then "${second}"`);
  await map.focus();
  await page.keyboard.press('ArrowLeft');
  check((await told.textContent()) !== second, `${where}: the arrow keys do not move the square`);
}

for (const problem of problems) console.log(`✗ ${problem}`);
console.log(`${checks} checks on ${file}`);
console.log(`${counts().passed} passed, ${counts().failed} failed, 0 skipped`);
// What a driver left open would keep this process running.
endDescendants();
process.exit(problems.length > 0 ? 1 : 0);
