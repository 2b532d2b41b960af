/** Watches a process that tries inputs: finds the input that makes it hang or crash, and continues after that input. */
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import type { Report } from './report.js';

const ROOT = join(import.meta.dirname, '../..');
const LIMIT_MILLISECONDS = 5_000;
/** For the second look at an input that took too long: other work on the machine may have been the reason. */
const SECOND_LIMIT_MILLISECONDS = 20_000;
/** For a process to start and to make its valid files. */
const START_MILLISECONDS = 120_000;

export interface Slice {
  readonly format: string;
  readonly seed: string;
  readonly from: number;
  readonly to: number;
  /** Folder below which the files of inputs that fail are kept. */
  readonly keep: string;
  /** Keep the files of inputs that do not fail, too. */
  readonly keepAll?: boolean;
  /** Milliseconds for an input. */
  readonly limit?: number;
  /** Time to stop, as a value of `performance.now()`. */
  readonly deadline?: number;
  /** Whether to show the output of the process. */
  readonly verbose?: boolean;
}

/** How a process ended: which input it was at, and what ended it. */
interface End {
  readonly next: number;
  readonly stopped: boolean;
}

/** Tries the inputs of a slice, in as many processes as are needed. */
export async function runSlice(slice: Slice, tell: (report: Report) => void): Promise<void> {
  for (let from = slice.from; from < slice.to; ) {
    const { next, stopped } = await runProcess({ ...slice, from }, tell);
    if (stopped) return;
    from = next;
  }
}

function start({ format, seed, from, to, keep, keepAll, verbose }: Slice): ChildProcess {
  const work = [join(import.meta.dirname, 'worker.ts'), format, seed, `${from}`, `${to}`, keep, keepAll ? 'all' : 'failures'];
  return spawn(process.execPath, ['--max-old-space-size=1024', '--import', 'tsx', ...work], {
    cwd: ROOT,
    stdio: ['ignore', verbose ? 'inherit' : 'ignore', verbose ? 'inherit' : 'pipe', 'pipe'],
    // The sources of the command line find the engine's sources, so that there is one engine in the process.
    env: { ...process.env, TSX_TSCONFIG_PATH: join(ROOT, 'cli/tsconfig.json'), NO_COLOR: '1' },
  });
}

function runProcess(slice: Slice, tell: (report: Report) => void): Promise<End> {
  return new Promise((done, fail) => {
    const child = start(slice);
    const { limit = LIMIT_MILLISECONDS, deadline = Number.POSITIVE_INFINITY } = slice;
    let current: number | null = null;
    let next = slice.from;
    let hung = false;
    let stopped = false;
    let errors = '';
    child.stderr?.on('data', (text) => {
      errors = `${errors}${text}`.slice(-4000);
    });
    const kill = () => {
      hung = true;
      child.kill('SIGKILL');
    };
    let timer = setTimeout(kill, START_MILLISECONDS);
    createInterface({ input: child.stdio[3] as Readable }).on('line', (line) => {
      const report = JSON.parse(line) as Report;
      clearTimeout(timer);
      if (report.outcome === 'begun') {
        current = report.input;
        timer = setTimeout(kill, limit);
        return;
      }
      current = null;
      next = report.input + 1;
      tell(report);
      stopped = performance.now() >= deadline;
      if (stopped) child.kill('SIGKILL');
      else timer = setTimeout(kill, START_MILLISECONDS);
    });
    child.on('error', fail);
    child.on('close', async (status, signal) => {
      clearTimeout(timer);
      if (stopped || next >= slice.to) return done({ next, stopped });
      if (current === null && status === 3) return done({ next, stopped });
      if (current === null)
        return fail(new Error(`fuzz: the process for ${slice.format} ended before an input (${status ?? signal}):\n${errors}`));
      const input = current;
      if (!hung)
        tell({
          input,
          outcome: 'death',
          message: `${signal ?? `status ${status}`} ${errors.split('\n').slice(0, 3).join(' ').slice(0, 200)}`,
        });
      else if (limit > LIMIT_MILLISECONDS) tell({ input, outcome: 'hang', message: `no end after ${limit / 1000} s` });
      else await secondLook(slice, input, tell).catch(fail);
      done({ next: input + 1, stopped: false });
    });
  });
}

/** Tries an input that took too long alone: it hangs if it computes for more than the limit, or does not end. */
async function secondLook(slice: Slice, input: number, tell: (report: Report) => void): Promise<void> {
  await runProcess({ ...slice, from: input, to: input + 1, limit: SECOND_LIMIT_MILLISECONDS, keepAll: true }, (report) => {
    const { cpuMilliseconds = 0 } = report;
    if (cpuMilliseconds <= LIMIT_MILLISECONDS) tell(report);
    else tell({ ...report, outcome: 'hang', message: `${(cpuMilliseconds / 1000).toFixed(1)} s of computing` });
  });
}
