// Packs both packages, installs them from a local registry into empty projects, and runs them there as users do: in Node as ESM, CommonJS
// and TypeScript, in test runners, through bundlers into pages of real browsers, and as the command line.
// `npm run test:package -- [--only TEXT] [--keep]`, at most 15 minutes. The last line is "N passed, N failed, N skipped".
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { startChecks, within } from '../checks.mjs';

/** Limit of everything, and of one check, in minutes and seconds. */
const [MINUTES, SECONDS] = [14.5, 300];

const { only, keep } = parseArgs({ options: { only: { type: 'string', default: '' }, keep: { type: 'boolean', default: false } } }).values;
const { wanted, check, finish } = startChecks({ minutes: MINUTES, only, seconds: SECONDS });
process.chdir(fileURLToPath(new URL('.', import.meta.url)));
if (!existsSync('../../dist/index.js')) throw new Error('build first: npm run build');
if (!existsSync('node_modules/verdaccio'))
  execFileSync('npm', ['install', '--no-package-lock', '--no-audit', '--no-fund'], { stdio: 'inherit', timeout: 300_000 });

const { startRegistry } = await import('./registry.mjs');
const { publishAll } = await import('./pack.mjs');
const { closeBrowsers } = await import('./browser.mjs');
const { SUITES } = await import('./suites.mjs');

const work = mkdtempSync(join(tmpdir(), 'zfnet-package-'));
const registry = await startRegistry(join(work, 'registry'));

try {
  const tarballs = publishAll(join(work, 'packed'), registry);
  for (const suite of SUITES) {
    const folder = join(work, suite.name);
    mkdirSync(folder, { recursive: true });
    try {
      await suite.run({ folder, registry, tarballs, check, wanted });
    } catch (error) {
      // What a suite does before its first check failed, such as installing packages.
      await check(`${suite.name}: set-up, for ${only || 'all checks'}`, () => Promise.reject(error));
    }
  }
} finally {
  // An open browser would keep this process running.
  await within(30, closeBrowsers()).catch((error) => console.log(`closing the browsers: ${error.message}`));
  registry.stop();
  if (keep) console.log(`kept ${work}`);
  else rmSync(work, { recursive: true, force: true, maxRetries: 5 });
}
finish();
