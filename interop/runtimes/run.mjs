// Trains the same network in every runtime, with one and two threads, and fails unless all end with the same weights, bit for bit.
// `npm run test:runtimes -- [--only TEXT]`. Browsers are included where they are installed.
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const { only } = parseArgs({ options: { only: { type: 'string', default: '' } } }).values;
process.chdir(fileURLToPath(new URL('.', import.meta.url)));
if (!existsSync('../../dist/index.js')) throw new Error('build first: npm run build');
if (!existsSync('node_modules/workerd'))
  execFileSync('npm', ['install', '--no-package-lock', '--no-audit', '--no-fund'], { stdio: 'inherit' });
const { inBrowsers } = await import('./browsers.mjs');
const { inWorkerd } = await import('./cloudflare.mjs');

const COMMANDS = {
  'this Node': [process.execPath],
  'Node 22': ['node_modules/node22/bin/node'],
  'Node 24': ['node_modules/node24/bin/node'],
  Bun: ['node_modules/.bin/bun'],
  Deno: ['node_modules/.bin/deno', 'run', '--allow-all', '--quiet'],
};

async function* everywhere() {
  for (const [name, [command, ...before]] of Object.entries(COMMANDS)) {
    if (!name.includes(only)) continue;
    for (const threads of [1, 2]) {
      const output = execFileSync(command, [...before, 'command.mjs', String(threads)], { encoding: 'utf8', timeout: 120_000 });
      yield [name, JSON.parse(output.trim().split('\n').at(-1)), threads];
    }
  }
  if ('workerd'.includes(only)) yield ['workerd', await inWorkerd(), 1];
  yield* inBrowsers(only);
}

let expected;
let failed = 0;
for await (const [name, result, threads] of everywhere()) {
  if (typeof result === 'string') {
    console.log(`left out ${name}: ${result}`);
    continue;
  }
  expected ??= result.digest;
  const same = result.digest === expected && result.threads === threads;
  if (!same) failed++;
  const used = `${result.threads} thread${result.threads > 1 ? 's' : ' '}`;
  const because = result.threadsOffBecause ? `  ${result.threadsOffBecause.slice(0, 60)}` : '';
  console.log(`${same ? 'same' : 'DIFFERS'}  ${name.padEnd(28)} ${used}  ${result.digest}  ${result.variant}${because}`);
}
if (failed > 0) throw new Error(`${failed} runs differ`);
