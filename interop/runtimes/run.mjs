// Runs train.mjs in every runtime, with one and two threads, and fails unless all end with the same weights, bit for bit.
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

process.chdir(fileURLToPath(new URL('.', import.meta.url)));
if (!existsSync('../../dist/index.js')) throw new Error('build first: npm run build');
if (!existsSync('node_modules')) execFileSync('npm', ['install', '--no-package-lock', '--no-audit', '--no-fund'], { stdio: 'inherit' });

const runtimes = {
  'this Node': [process.execPath],
  'Node 22': ['node_modules/node22/bin/node'],
  'Node 24': ['node_modules/node24/bin/node'],
  Bun: ['node_modules/.bin/bun'],
  Deno: ['node_modules/.bin/deno', 'run', '--allow-all', '--quiet'],
};
let expected;
let failed = 0;
for (const [name, [command, ...before]] of Object.entries(runtimes)) {
  for (const threads of ['1', '2']) {
    const output = execFileSync(command, [...before, 'train.mjs', threads], { encoding: 'utf8', timeout: 120_000 });
    const result = JSON.parse(output.trim().split('\n').at(-1));
    expected ??= result.digest;
    const same = result.digest === expected && result.threads === Number(threads);
    if (!same) failed++;
    console.log(
      `${same ? 'same' : 'DIFFERS'}  ${name.padEnd(10)} ${result.threads} thread${result.threads > 1 ? 's' : ' '}  ${result.digest}  ${result.variant}`,
    );
  }
}
if (failed > 0) throw new Error(`${failed} runs differ`);
