// Runs the operation cases, fifty training steps and a projection in every runtime. With WebAssembly SIMD, the bits of all results must be
// the same; the fallbacks, without SIMD or without WebAssembly, must say so and agree within 1e-5.
// `npm run test:runtimes -- [--only TEXT]`. What is not installed is left out. The last line is "N passed, N failed, N skipped".
import { execFile, execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { startChecks } from '../checks.mjs';
import { BUNDLES, bundle } from './bundle.mjs';
import { checkNear, checkSame, digestOf } from './compare.mjs';

/** Limits: of everything, of one row, and of the slowest row, whose JavaScript is interpreted. */
const [MINUTES, SECONDS, SLOW_SECONDS] = [11.5, 120, 600];

const { only } = parseArgs({ options: { only: { type: 'string', default: '' } } }).values;
process.chdir(fileURLToPath(new URL('.', import.meta.url)));
if (!existsSync('../../dist/index.js')) throw new Error('build first: npm run build');
const { check, wanted, finish } = startChecks({ minutes: MINUTES, only, seconds: SECONDS });
await bundle();

/** Runs the program in a runtime with a command line. */
const command = ([program, ...before], options, seconds = SECONDS) =>
  new Promise((resolve, reject) => {
    const limits = { encoding: 'utf8', timeout: seconds * 1000, killSignal: 'SIGKILL', maxBuffer: 2 ** 27 };
    execFile(program, [...before, `${BUNDLES}command.mjs`, JSON.stringify(options)], limits, (error, stdout, stderr) =>
      error ? reject(Object.assign(error, { stderr })) : resolve(JSON.parse(stdout.trim().split('\n').at(-1))),
    );
  });

// The slowest row starts at once, beside everything else, and is reported last.
const JITLESS = 'Node without WebAssembly (--jitless)';
const jitless = wanted(JITLESS) ? command([process.execPath, '--jitless'], { values: true }, SLOW_SECONDS) : null;
jitless?.catch(() => undefined);

if (!existsSync('node_modules/node26') || !existsSync('node_modules/workerd'))
  execFileSync('npm', ['install', '--no-package-lock', '--no-audit', '--no-fund'], { stdio: 'inherit', timeout: 300_000 });
const { browserRows } = await import('./browsers.mjs');
const { inWorkerd } = await import('./cloudflare.mjs');
const { inWebKitGtk, inWpe } = await import('./webkit.mjs');

const COMMANDS = {
  [`this Node, ${process.version}`]: [process.execPath],
  'Node 22': ['node_modules/node22/bin/node'],
  'Node 24': ['node_modules/node24/bin/node'],
  'Node 26': ['node_modules/node26/bin/node'],
  Bun: ['node_modules/.bin/bun'],
  Deno: ['node_modules/.bin/deno', 'run', '--allow-all', '--quiet'],
};

/** Runtimes with SIMD: name, number of threads that must be used, and the run. */
const ROWS = [
  ...Object.entries(COMMANDS).flatMap(([name, program]) =>
    [1, 2].map((threads) => ({
      name: `${name}, ${threads} ${threads === 1 ? 'thread' : 'threads'}`,
      threads,
      run: () => (existsSync(program[0]) ? command(program, { threads }) : { skipped: 'its package could not be installed' }),
    })),
  ),
  { name: 'workerd', threads: 1, run: () => inWorkerd(SECONDS) },
  ...browserRows(SECONDS),
  { name: 'WebKitGTK, page', threads: 1, run: () => inWebKitGtk(SECONDS) },
];

/** The runtimes without SIMD: name, reason that must be given, and the run. */
const FALLBACKS = [
  {
    name: 'Node without SIMD (--no-enable-sse4-1)',
    because: /no WebAssembly SIMD/,
    run: () => command([process.execPath, '--no-enable-sse4-1'], { values: true }),
  },
  { name: 'WPE without SIMD, page', because: /no WebAssembly SIMD/, run: () => inWpe(SECONDS) },
  { name: JITLESS, because: /no WebAssembly/, run: () => jitless, seconds: SLOW_SECONDS },
];

/** The runtimes whose results have the expected bits. */
const equal = new Set();
const describe = ({ variant, threads, threadsOffBecause }) =>
  `${variant}, ${threads} ${threads === 1 ? 'thread' : 'threads'}${threadsOffBecause ? ` (${threadsOffBecause.slice(0, 60)})` : ''}`;

// This Node computes the results that all others are compared with.
const expected = await command([process.execPath], { threads: 1, values: true });
console.log(`${expected.parts.length} results are compared; expected digest ${digestOf(expected)}`);

for (const { name, threads, run } of ROWS) {
  await check(name, async () => {
    const result = await run();
    if (result.skipped) return result;
    if (result.error) throw new Error(result.error);
    checkSame(result, expected);
    if (result.threads !== threads) throw new Error(`${result.threads} threads, expected ${threads}: ${result.threadsOffBecause}`);
    equal.add(name.split(',')[0]);
    return `${digestOf(result)}  ${describe(result)}`;
  });
}

for (const { name, because, run, seconds } of FALLBACKS) {
  await check(
    name,
    async () => {
      const result = await run();
      if (result.skipped) return result;
      if (result.error) throw new Error(result.error);
      if (!because.test(result.fallbackBecause ?? '')) throw new Error(`fallbackBecause is ${result.fallbackBecause}`);
      if (!result.warnings.some((text) => because.test(text))) throw new Error(`it does not warn: ${JSON.stringify(result.warnings)}`);
      return `${describe(result)}, announced; ${checkNear(result, expected)}`;
    },
    seconds,
  );
}
console.log(`runtimes with SIMD that give the same bits: ${equal.size}: ${[...equal].join(', ')}`);
finish();
