/**
 * The form that every command takes. A command file exports `xyzCommand(program)`, which registers itself:
 *
 *   export function infoCommand(program: Command): void {
 *     defineCommand(program, 'info <target>', 'what a network is made of', ['zfnet info a', 'zfnet info runs/first'])
 *       .option('--batch-size <n>', 'images a step', whole({ min: 1 }), 128)
 *       .action(handler(async (context, target: string, options: { batchSize: number }) => {
 *         await context.engine();                          // only where tensors are computed
 *         context.result({ parameters }, () => 'text');    // JSON under --json, else the text
 *       }));
 *   }
 *
 * Positional arguments come in order, options last, under their camel-case names. Throw `UsageError` for wrong usage
 * (status 2), anything else for failure (status 1).
 */
import { type Command, InvalidArgumentError, Option } from 'commander';
import pc from 'picocolors';
import { backendInfo, defaultBackend, type InitOptions, init, memory, ZfnetError } from 'zfnet';
import { createReporter, type Reporter } from './terminal/reporter.js';
import { catchSignals } from './terminal/signals.js';
import { printable } from './terminal/terminal.js';

/** Wrong usage: exit status 2. */
export class UsageError extends ZfnetError {
  override name = 'UsageError';
}

/** Ended by a signal; what is left to say has been said. `status` is 128 + the signal's number. */
export class Interrupted extends Error {
  override name = 'Interrupted';
  constructor(
    message: string,
    readonly status: number,
  ) {
    super(message);
  }
}

/** Options that every command has. */
export interface CommonOptions {
  json?: boolean;
  backend?: InitOptions['backend'];
  threads?: InitOptions['threads'];
  mode?: InitOptions['mode'];
  /** Undefined where it was not given; commands take 0 then, or the run's own. */
  seed?: number;
  quiet?: boolean;
  verbose?: boolean;
}

/** What a command works with. */
export interface Context {
  readonly json: boolean;
  readonly quiet: boolean;
  readonly verbose: boolean;
  readonly common: CommonOptions;
  /** Lines, warnings and progress bars, all on standard error. */
  readonly reporter: Reporter;
  /** Aborts at the first Ctrl-C, SIGTERM or SIGHUP once `catchSignals()` was called. */
  readonly signal: AbortSignal;
  /** Gets the engine ready as --backend, --threads and --mode ask. Calling it again costs nothing. */
  engine(): Promise<void>;
  /** From now on Ctrl-C, SIGTERM and SIGHUP abort `signal` instead of ending the process; the second one ends it at once. */
  catchSignals(): void;
  /** 130 after Ctrl-C, 143 after SIGTERM, 129 after SIGHUP. */
  signalStatus(): number;
  /** The command's answer on standard output: `value` as one JSON text under --json, otherwise `text()`. Call it once. */
  result(value: unknown, text: () => string): void;
}

/** Adds a command, with examples below its help. `usage` names it and its arguments: `info <target>`. The common options follow. */
export function defineCommand(program: Command, usage: string, description: string, examples: readonly string[]): Command {
  const command = program.command(usage).description(description);
  if (examples.length > 0) command.addHelpText('after', `\nExamples:\n${examples.map((line) => `  $ npx ${line}`).join('\n')}`);
  return command;
}

const ENGINE_MODES = ['strict', 'fast'] as const;

/**
 * Adds the options that every command has, behind its own. Where a command has a `--mode` that means something else, the
 * engine's stays at its default.
 */
export function addCommonOptions(command: Command): Command {
  const common = (flags: string, text: string) => new Option(flags, text).helpGroup('Common options:');
  const all = [
    common('--json', 'one JSON text on standard output and nothing else'),
    common('--backend <name>', 'wasm or reference (default: wasm)').choices(['wasm', 'webgpu', 'reference']),
    common('--threads <n>', 'threads of the engine, or auto (default: auto)').argParser(threadCount),
    common('--mode <mode>', 'strict: the same bits everywhere; fast: relaxed operations (default: strict)').choices(ENGINE_MODES),
    common('--seed <n>', 'seed of weights, order, dropout and augmentation (default: 0)').argParser(whole({ min: 0 })),
    common('--quiet', 'no progress'),
    common('--verbose', 'more about what happens; stacks of errors'),
  ];
  const own = new Set(command.options.map(({ long }) => long));
  const images = command.registeredArguments.some((argument) => /^images?$/.test(argument.name()));
  const data = (flags: string, text: string) => new Option(flags, text).helpGroup('Data sources:');
  if (own.has('--data')) {
    command.addOption(data('--image-column <name>', 'parquet: the column of images, where several hold some'));
    command.addOption(data('--label-column <name>', 'parquet: the column of labels, where its name does not tell'));
  }
  if (own.has('--data') || images)
    command.addOption(
      data('--max-pixels <n>', 'pixels of the largest image that is decoded (default: 100 million)').argParser(whole({ min: 1 })),
    );
  for (const option of all) if (!own.has(option.long)) command.addOption(option);
  return command;
}

/** Wraps what a command does: `run(context, ...arguments, options)`. */
// biome-ignore lint/suspicious/noExplicitAny: arguments are as various as the commands; each names its own types
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
  await init({ backend: common.backend, threads: common.threads, mode: ENGINE_MODES.find((mode) => mode === common.mode) });
  const { backend, variant, threads, mode, threadsOffBecause, fallbackBecause } = backendInfo();
  reporter.detail(`engine: ${backend}, ${variant}, ${threads} thread${threads === 1 ? '' : 's'}, ${mode}`);
  if (threadsOffBecause && common.threads !== 1) reporter.detail(`one thread: ${threadsOffBecause}`);
  if (fallbackBecause) reporter.warn(`the slow reference backend is at work: ${fallbackBecause}`);
}

function closeEngine(reporter: Reporter): void {
  try {
    reporter.detail(`peak of tensor memory: ${(memory().peakBytes / 2 ** 20).toFixed(0)} MiB`);
    defaultBackend().dispose();
  } catch {
    // It never got ready; the reason is on its way to the user already.
  }
}

/** Prints an error as a paragraph on standard error and returns the exit status. */
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

// Readers of option values; each rejects what it cannot take, with the range, as wrong usage ----------------------------

interface Range {
  min?: number;
  max?: number;
  /** The bounds themselves are not allowed. */
  above?: number;
  below?: number;
}

/** A whole number within a range. */
export function whole(range: Range = {}): (text: string) => number {
  return (text) => {
    const value = /^[+-]?\d+$/.test(text) ? Number(text) : Number.NaN;
    if (!Number.isSafeInteger(value) || !within(value, range))
      throw new InvalidArgumentError(`Expected a whole number${rangeText(range)}.`);
    return value;
  };
}

/** A number within a range. */
export function decimal(range: Range = {}): (text: string) => number {
  return (text) => {
    const value = numberOf(text);
    if (!Number.isFinite(value) || !within(value, range)) throw new InvalidArgumentError(`Expected a number${rangeText(range)}.`);
    return value;
  };
}

/** One of a few words. */
export function oneOf<T extends string>(words: readonly T[]): (text: string) => T {
  return (text) => {
    const found = words.find((word) => word === text);
    if (!found) throw new InvalidArgumentError(`Expected one of ${words.join(', ')}.`);
    return found;
  };
}

function threadCount(text: string): number | 'auto' {
  return text === 'auto' ? text : whole({ min: 1, max: 256 })(text);
}

/** Decimal notation only: no `0x10`, no `Infinity`, nothing around it. */
const numberOf = (text: string): number => (/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : Number.NaN);

/**
 * The path of a picture that is written as PNG. Another extension is refused, since it would name a format that the file does not have.
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
