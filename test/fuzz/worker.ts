/**
 * A process that tries inputs of one format, one after the other: `worker.ts FORMAT SEED FROM TO KEEP WHICH`. It writes a line before
 * and after each input to file descriptor 3, so that the parent knows which input a hang or the death of the process belongs to.
 * The files of inputs that fail are kept below the folder KEEP; those of all inputs where WHICH is `all`.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { ZfnetError } from '../../src/tensor/index.js';
import { largestAllocation, watchAllocations } from './allocations.js';
import { type Files, type Target, WrongResult } from './format.js';
import { FORMATS } from './formats/index.js';
import { Random } from './random.js';
import { FAILURES, type Report } from './report.js';

const LIMIT_BYTES = 2 ** 30;
/** Inputs that one process keeps; the others are counted. */
const MOST_KEPT = 20;
/** Errors of the command line that say what to do, besides those of the library. */
const COMMAND_ERRORS = ['UsageError', 'RunLockedError', 'CommanderError', 'InvalidArgumentError', 'Interrupted'];

const [name, seed, from, to, keep, which] = process.argv.slice(2);
const say = (report: Report) => writeSync(3, `${JSON.stringify(report)}\n`);
const oneLine = (text: string) => text.replaceAll(/\s+/g, ' ').slice(0, 300);

/** Whether an error is one that a reader of the format may throw. */
const isTyped = (error: unknown): error is Error =>
  error instanceof ZfnetError || (error instanceof Error && COMMAND_ERRORS.includes(error.name));

function reportOf(input: number, error: unknown): Report {
  if (error === undefined) return { input, outcome: 'accepted' };
  if (isTyped(error)) return { input, outcome: 'refused', error: error.name };
  const { name: kind = 'no error', message = String(error), stack = '' } = (error ?? {}) as Partial<Error>;
  const place = stack
    .split('\n')
    .filter((line) => /^\s+at /.test(line) && !line.includes('test/fuzz'))
    .slice(0, 6)
    .join('\n');
  return { input, outcome: error instanceof WrongResult ? 'wrong' : 'untyped', error: kind, message: oneLine(message), place };
}

function writeFiles(folder: string, files: Files): void {
  for (const [path, bytes] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), bytes);
  }
}

async function tryInput(target: Target, input: number, parent: string): Promise<void> {
  const files = await target.make(new Random(`${seed}/${name}/${input}`));
  const kept = join(keep, `${name}-${seed}-${input}`);
  if (which === 'all') writeFiles(kept, files);
  const folder = mkdtempSync(join(parent, 'input-'));
  say({ input, outcome: 'begun' });
  largestAllocation();
  const before = process.memoryUsage.rss();
  const peakBefore = process.resourceUsage().maxRSS * 1024;
  const cpu = process.cpuUsage();
  const began = performance.now();
  let report: Report;
  try {
    await target.attempt(files, folder);
    report = reportOf(input, undefined);
  } catch (error) {
    report = reportOf(input, error);
    if (which === 'all' && error instanceof Error) process.stderr.write(`${error.stack}\n`);
  }
  const { user, system } = process.cpuUsage(cpu);
  const peak = process.resourceUsage().maxRSS * 1024;
  const growth = Math.max(peak > peakBefore ? peak - before : 0, largestAllocation());
  rmSync(folder, { recursive: true, force: true });
  if (growth > LIMIT_BYTES && report.outcome !== 'untyped')
    report = { ...report, outcome: 'memory', message: `${Math.round(growth / 2 ** 20)} MiB` };
  if (FAILURES.includes(report.outcome) && failures++ < MOST_KEPT) writeFiles(kept, files);
  say({ ...report, milliseconds: performance.now() - began, cpuMilliseconds: (user + system) / 1000, growth });
}

let failures = 0;
let current = Number(from);
for (const event of ['uncaughtException', 'unhandledRejection'])
  process.on(event, (error) => {
    say({ ...reportOf(current, error ?? new Error('nothing was thrown')), outcome: 'untyped' });
    process.exit(3);
  });

const format = await FORMATS.find((each) => each.name === name)?.load();
if (!format) throw new Error(`there is no format ${name}`);
const folder = mkdtempSync(join(tmpdir(), 'zfnet-fuzz-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
watchAllocations();
const target = await format.open();
for (; current < Number(to); current++) await tryInput(target, current, folder);
process.exit(0);
