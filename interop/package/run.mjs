// Packs both packages, installs them from a local registry into empty projects, and runs them there as users do: in Node as ESM, CommonJS
// and TypeScript, in test runners, through bundlers into pages of real browsers, and as the command line.
// `npm run test:package -- [--only TEXT] [--keep]`. The last line is "N passed, N failed, N skipped".
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const { only, keep } = parseArgs({ options: { only: { type: 'string', default: '' }, keep: { type: 'boolean', default: false } } }).values;
process.chdir(fileURLToPath(new URL('.', import.meta.url)));
if (!existsSync('../../dist/index.js')) throw new Error('build first: npm run build');
if (!existsSync('node_modules/verdaccio'))
  execFileSync('npm', ['install', '--no-package-lock', '--no-audit', '--no-fund'], { stdio: 'inherit' });

const { startRegistry } = await import('./registry.mjs');
const { publishAll } = await import('./pack.mjs');
const { closeBrowsers } = await import('./browser.mjs');
const { SUITES } = await import('./suites.mjs');

const work = mkdtempSync(join(tmpdir(), 'zfnet-package-'));
const registry = await startRegistry(join(work, 'registry'));
const counts = { passed: 0, failed: 0, skipped: 0 };

/** Runs one check and prints a line about it. A check returns what it wants to show; it throws if it fails. */
async function check(name, fn) {
  if (!name.toLowerCase().includes(only.toLowerCase())) return;
  const start = Date.now();
  try {
    const result = await fn();
    const skipped = result?.skipped;
    counts[skipped ? 'skipped' : 'passed']++;
    const seconds = ((Date.now() - start) / 1000).toFixed(1);
    console.log(`${skipped ? 'left out' : 'ok'}  ${name}  ${seconds} s${skipped ? `  ${skipped}` : result ? `  ${result}` : ''}`);
  } catch (error) {
    counts.failed++;
    const output = [error.message, error.stdout, error.stderr].filter(Boolean).join('\n');
    console.log(`FAILED  ${name}\n${output.slice(-3000).replace(/^/gm, '    ')}`);
  }
}

try {
  const tarballs = publishAll(join(work, 'packed'), registry);
  for (const suite of SUITES) {
    const folder = join(work, suite.name);
    mkdirSync(folder, { recursive: true });
    await suite.run({ folder, registry, tarballs, check, wanted: (name) => name.toLowerCase().includes(only.toLowerCase()) });
  }
} finally {
  // An open browser would keep this process running.
  await closeBrowsers();
  registry.stop();
  if (keep) console.log(`kept ${work}`);
  else rmSync(work, { recursive: true, force: true });
}
console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
process.exitCode = counts.failed > 0 ? 1 : 0;
