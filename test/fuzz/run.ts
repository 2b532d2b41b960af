/**
 * `npm run test:fuzz`: damaged inputs for everything that is read. An input must be accepted with a right result, or refused by an
 * error of zfnet; it fails by any other error, a wrong result, more than 5 seconds, more than 1 GiB, or the death of the process.
 *
 *   npm run test:fuzz                                        20,000 inputs
 *   npm run test:fuzz -- --minutes 60                        as many inputs as fit into 60 minutes
 *   npm run test:fuzz -- --seed 7 --format onnx --only 123   one input again, with the stack of its error
 *   npm run test:fuzz -- --inputs 500 --format onnx,idx      fewer
 *
 * Ends with `N passed, N failed`. Inputs that failed are written to runs/fuzz/, each with the command that repeats it.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { FORMATS } from './formats/index.js';
import { FAILURES, type Report } from './report.js';
import { printSummary } from './summary.js';
import { runSlice } from './watch.js';

const FAILURE_FOLDER = resolve('runs/fuzz');
/** Inputs that one process tries. Starting one takes about as long as 20 inputs. */
const SLICE = 1000;
/** Number of failures of a format that are printed; the others are counted. */
const MOST_TOLD = 20;

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    format: { type: 'string' },
    inputs: { type: 'string', default: '20000' },
    only: { type: 'string' },
    minutes: { type: 'string' },
    processes: { type: 'string', default: '2' },
  },
});

const number = (name: 'inputs' | 'only' | 'minutes' | 'processes'): number => {
  const value = Number(values[name]);
  if (!(value >= 0) || values[name] === '') throw new Error(`--${name} is ${values[name]}, expected a number of at least 0`);
  return value;
};

const { seed } = values;
const wanted = values.format?.split(',');
const unknown = wanted?.find((name) => !FORMATS.some((format) => format.name === name));
if (unknown !== undefined) throw new Error(`there is no format ${unknown}, expected some of ${FORMATS.map(({ name }) => name).join(', ')}`);
const formats = FORMATS.filter(({ name }) => !wanted || wanted.includes(name));

/** Reports by format. */
const reports = new Map<string, Report[]>(formats.map(({ name }) => [name, []]));
const failed = (name: string): Report[] => (reports.get(name) ?? []).filter(({ outcome }) => FAILURES.includes(outcome));

/** Says what failed, with the command that repeats it, and writes that beside the input's files. */
function tellFailure(format: string, report: Report): void {
  const folder = join(FAILURE_FOLDER, `${format}-${seed}-${report.input}`);
  const command = `npm run test:fuzz -- --seed ${seed} --format ${format} --only ${report.input}`;
  const text = `${report.outcome}: ${[report.error, report.message].filter(Boolean).join(': ')}`;
  process.stdout.write(`${format} ${report.input}: ${text}\n  ${command}\n`);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'replay.txt'), `${command}\n\n${text}\n${report.place ?? ''}\n`);
}

async function trySlice(format: string, from: number, to: number, deadline: number): Promise<void> {
  await runSlice({ format, seed, from, to, deadline, keep: FAILURE_FOLDER }, (report) => {
    reports.get(format)?.push(report);
    if (FAILURES.includes(report.outcome) && failed(format).length <= MOST_TOLD) tellFailure(format, report);
  });
}

/** The slices of a round: to each format its share of `inputs`, counted on from `round`. */
function* slices(inputs: number, round: number): Generator<[format: string, from: number, to: number]> {
  const shares = formats.reduce((sum, { share }) => sum + share, 0);
  let before = 0;
  let given = 0;
  for (const { name, share } of formats) {
    before += share;
    const count = Math.round((inputs * before) / shares) - given;
    given += count;
    for (let from = 0; from < count; from += SLICE) yield [name, round * count + from, round * count + Math.min(from + SLICE, count)];
  }
}

async function tryAll(): Promise<void> {
  const deadline = values.minutes === undefined ? Number.POSITIVE_INFINITY : performance.now() + number('minutes') * 60_000;
  for (let round = 0; ; round++) {
    const waiting = [...slices(number('inputs'), round)];
    const next = async (): Promise<void> => {
      for (let slice = waiting.shift(); slice && performance.now() < deadline; slice = waiting.shift()) await trySlice(...slice, deadline);
    };
    await Promise.all(Array.from({ length: number('processes') }, next));
    if (values.minutes === undefined || performance.now() >= deadline) return;
  }
}

/** Tries one input, keeps its files and prints its error. */
async function repeat(format: string, input: number): Promise<number> {
  let failures = 0;
  await runSlice({ format, seed, from: input, to: input + 1, keep: FAILURE_FOLDER, keepAll: true, verbose: true }, (report) => {
    process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
    if (FAILURES.includes(report.outcome)) failures++;
  });
  process.stdout.write(`files: ${join(FAILURE_FOLDER, `${format}-${seed}-${input}`)}\n`);
  return failures;
}

if (values.only !== undefined) {
  if (formats.length !== 1) throw new Error('--only wants one --format');
  process.exit((await repeat(formats[0].name, number('only'))) > 0 ? 1 : 0);
}
process.stdout.write(`fuzz: seed ${seed}\n`);
rmSync(FAILURE_FOLDER, { recursive: true, force: true });
const began = performance.now();
await tryAll();
process.exit(printSummary(reports, (performance.now() - began) / 1000) > 0 ? 1 : 0);
