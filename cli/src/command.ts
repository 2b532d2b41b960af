/**
 * Defines commands: the context that they run in, their errors and the parsers of option values. Options that several commands have are in
 * `options.ts`. A command file exports `xyzCommand(program)`, which registers itself:
 *
 *   export function infoCommand(program: Command): void {
 *     defineCommand(program, 'info <target>', 'list the layers of a network', ['zfnet info a', 'zfnet info runs/first'])
 *       .addOption(batchSizeOption('images per step', 128))
 *       .action(handler(async (context, target: string, options: { batchSize: number }) => {
 *         await context.engine();                          // only if the command computes tensors
 *         context.result({ parameters }, () => 'text');    // prints JSON under --json, otherwise the text
 *       }));
 *   }
 *
 * The handler receives the positional arguments in order, then the options under their camel-case names. Throw `UsageError`
 * for wrong usage (exit status 2), any other error for a failure (exit status 1).
 */
import { type Command, InvalidArgumentError } from 'commander';
import pc from 'picocolors';
import { type BackendInfo, backendInfo, defaultBackend, type InitOptions, init, memory, ZfnetError } from 'zfnet';
import { findGpu } from './gpu.js';
import { createReporter, type Reporter } from './terminal/reporter.js';
import { catchSignals } from './terminal/signals.js';
import { printable } from './terminal/terminal.js';

/** Thrown for wrong usage; the process ends with exit status 2. */
export class UsageError extends ZfnetError {
  override name = 'UsageError';
}

/** Thrown when a signal stopped the command. `message` is printed without `error:`; `status` is 128 + the signal's number. */
export class Interrupted extends Error {
  override name = 'Interrupted';
  constructor(
    message: string,
    readonly status: number,
  ) {
    super(message);
  }
}

/** Values of the options that every command has. */
export interface CommonOptions {
  json?: boolean;
  backend?: InitOptions['backend'];
  threads?: InitOptions['threads'];
  mode?: InitOptions['mode'];
  /** Undefined if it was not given; commands then use 0, or the seed of the run. */
  seed?: number;
  quiet?: boolean;
  verbose?: boolean;
}

/** Passed to every command: its common options, progress output, signals, engine and result. */
export interface Context {
  readonly json: boolean;
  readonly quiet: boolean;
  readonly verbose: boolean;
  readonly common: CommonOptions;
  /** Prints progress lines, warnings and progress bars on standard error. */
  readonly reporter: Reporter;
  /** Aborted by the first Ctrl-C, SIGTERM or SIGHUP after `catchSignals()` was called. */
  readonly signal: AbortSignal;
  /** Initialises the engine with --backend, --threads and --mode. Later calls return the same promise. */
  engine(): Promise<void>;
  /** From this call on, the first Ctrl-C, SIGTERM or SIGHUP aborts `signal`; the second one ends the process at once. */
  catchSignals(): void;
  /** Exit status for the signal received: 130 after Ctrl-C, 143 after SIGTERM, 129 after SIGHUP. */
  signalStatus(): number;
  /** Prints the result on standard output: `value` as JSON under --json, otherwise `text()`. Call it once. */
  result(value: unknown, text: () => string): void;
}

/** Adds a command to the program, with examples at the end of its help. `usage` is its name and arguments, such as `info <target>`. */
export function defineCommand(program: Command, usage: string, description: string, examples: readonly string[]): Command {
  const command = program.command(usage).description(description);
  if (examples.length > 0) command.addHelpText('after', `\nExamples:\n${examples.map((line) => `  $ npx ${line}`).join('\n')}`);
  return command;
}

/** Values of `--mode`. */
export const ENGINE_MODES = ['strict', 'fast'] as const;

/** Wraps the action of a command: creates its context, calls `run(context, ...arguments, options)` and cleans up. */
// biome-ignore lint/suspicious/noExplicitAny: every command has other arguments and declares their types itself
export function handler(run: (context: Context, ...args: any[]) => Promise<void>): (...args: any[]) => Promise<void> {
  return async (...args) => {
    // Commander appends the options and the command itself.
    const options = args[args.length - 2] as CommonOptions;
    const context = createContext(options);
    try {
      await run(context, ...args.slice(0, -1));
    } finally {
      context.close();
    }
  };
}

function createContext(common: CommonOptions): Context & { close(): void } {
  const { json = false, quiet = false, verbose = false } = common;
  const reporter = createReporter({ quiet, verbose });
  const controller = new AbortController();
  let status = 0;
  let ready: Promise<void> | null = null;
  let restoreSignals: (() => void) | undefined;
  return {
    json,
    quiet,
    verbose,
    common,
    reporter,
    signal: controller.signal,
    engine() {
      ready ??= startEngine(common, reporter);
      return ready;
    },
    catchSignals() {
      restoreSignals ??= catchSignals((code) => {
        status = code;
        controller.abort(code);
      });
    },
    signalStatus: () => status,
    result(value, text) {
      reporter.stop();
      process.stdout.write(`${json ? JSON.stringify(value) : printable(text())}\n`);
    },
    close() {
      reporter.stop();
      restoreSignals?.();
      if (ready) closeEngine(reporter);
    },
  };
}

async function startEngine(common: CommonOptions, reporter: Reporter): Promise<void> {
  await init({
    backend: common.backend,
    threads: common.threads,
    mode: ENGINE_MODES.find((mode) => mode === common.mode),
    gpu: common.backend === 'webgpu' ? await findGpu() : undefined,
  });
  const info = backendInfo();
  const { backend, variant, threads, mode, threadsOffBecause } = info;
  reporter.detail(`engine: ${backend}, ${variant}, ${threads} thread${threads === 1 ? '' : 's'}, ${mode}`);
  if (info.device) reporter.say(`device: ${deviceText(info.device)}`);
  if (threadsOffBecause && common.threads !== 1) reporter.detail(`running on one thread: ${threadsOffBecause}`);
}

/** Describes the device of a backend in one line. */
export function deviceText({ vendor, architecture, description, software }: NonNullable<BackendInfo['device']>): string {
  const name = [description || 'unnamed', [vendor, architecture].filter((text) => text !== '').join(' ')].filter((text) => text !== '');
  return `${name.join(', ')}${software ? ' (a software device: the processor computes, and its speed says nothing about a GPU)' : ''}`;
}

function closeEngine(reporter: Reporter): void {
  try {
    reporter.detail(`peak memory of tensors: ${(memory().peakBytes / 2 ** 20).toFixed(0)} MiB`);
    defaultBackend().dispose();
  } catch {
    // The initialisation failed; its error is reported elsewhere.
  }
}

/** Prints an error on standard error, with its stack under --verbose. Returns the exit status. */
export function reportError(error: unknown, verbose: boolean): number {
  if (error instanceof Interrupted) {
    process.stderr.write(`${printable(error.message)}\n`);
    return error.status;
  }
  const known = error instanceof Error;
  const message = known ? error.message : String(error);
  process.stderr.write(`${pc.red('error:')} ${printable(message)}\n`);
  if (verbose && known) process.stderr.write(`${printable(error.stack ?? '')}\n`);
  for (let cause = known ? error.cause : undefined; verbose && cause instanceof Error; cause = cause.cause)
    process.stderr.write(`caused by ${printable(cause.stack ?? '')}\n`);
  return error instanceof UsageError ? 2 : 1;
}

// Parsers of option values. Each rejects an invalid value as wrong usage and states the allowed range. ----------------------------

interface Range {
  min?: number;
  max?: number;
  /** Exclusive bounds. */
  above?: number;
  below?: number;
}

/** Returns a parser for a whole number within a range. */
export function whole(range: Range = {}): (text: string) => number {
  return (text) => {
    const value = /^[+-]?\d+$/.test(text) ? Number(text) : Number.NaN;
    if (!Number.isSafeInteger(value) || !within(value, range))
      throw new InvalidArgumentError(`Expected a whole number${rangeText(range)}.`);
    return value;
  };
}

/** Returns a parser for a decimal number within a range. */
export function decimal(range: Range = {}): (text: string) => number {
  return (text) => {
    const value = numberOf(text);
    if (!Number.isFinite(value) || !within(value, range)) throw new InvalidArgumentError(`Expected a number${rangeText(range)}.`);
    return value;
  };
}

/** Returns a parser for one of several words. */
export function oneOf<T extends string>(words: readonly T[]): (text: string) => T {
  return (text) => {
    const found = words.find((word) => word === text);
    if (!found) throw new InvalidArgumentError(`Expected one of ${words.join(', ')}.`);
    return found;
  };
}

/** Parses the value of `--threads`. */
export function threadCount(text: string): number | 'auto' {
  return text === 'auto' ? text : whole({ min: 1, max: 256 })(text);
}

/** Parses decimal notation only; `0x10`, `Infinity` and surrounding blanks give NaN. */
const numberOf = (text: string): number => (/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : Number.NaN);

/**
 * Parses the path of a PNG file to write. Refuses other extensions, because they would name another format than the file has.
 */
export function pngFile(text: string): string {
  if (!/[^/\\]\.png$/i.test(text) && !text.startsWith('/dev/'))
    throw new InvalidArgumentError('Pictures are written as PNG: expected a file that ends in .png.');
  return text;
}

function within(value: number, { min, max, above, below }: Range): boolean {
  return !(
    value < (min ?? value) ||
    value > (max ?? value) ||
    (above !== undefined && value <= above) ||
    (below !== undefined && value >= below)
  );
}

function rangeText({ min, max, above, below }: Range): string {
  const parts = [
    min !== undefined && `at least ${min}`,
    above !== undefined && `above ${above}`,
    max !== undefined && `at most ${max}`,
    below !== undefined && `below ${below}`,
  ].filter((part) => part !== false);
  return parts.length > 0 ? `, ${parts.join(' and ')}` : '';
}
