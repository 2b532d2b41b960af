/** Progress output on standard error: lines, warnings and, on a terminal, progress bars. Also formats durations, sizes and percentages. */
import { SingleBar } from 'cli-progress';
import pc from 'picocolors';
import { printable } from './terminal.js';

/** A progress bar. */
export interface Bar {
  /** Shows `done` of the total, followed by `note`, such as the loss. */
  update(done: number, note?: string): void;
  stop(): void;
}

export interface Reporter {
  /** Prints a line of progress; prints nothing under --quiet. */
  say(line: string): void;
  /** Prints a warning, under --quiet too. */
  warn(line: string): void;
  /** Prints a line under --verbose only. */
  detail(line: string): void;
  /**
   * Starts a bar with a rate in `unit`/s and the time left, and ends the previous bar. Shows nothing under --quiet or without a terminal.
   */
  bar(label: string, total: number, unit: string, done?: number): Bar;
  /** Ends the current bar. */
  stop(): void;
}

export function createReporter(options: { quiet?: boolean; verbose?: boolean; stream?: NodeJS.WriteStream } = {}): Reporter {
  const stream = options.stream ?? process.stderr;
  const watched = stream.isTTY === true && !options.quiet;
  let current: Bar | null = null;
  const line = (text: string) => {
    current?.stop();
    stream.write(`${text}\n`);
  };
  return {
    say(text) {
      if (!options.quiet) line(printable(text));
    },
    warn: (text) => line(`${pc.yellow('warning:')} ${printable(text)}`),
    detail(text) {
      if (options.verbose) line(pc.dim(printable(text)));
    },
    bar(label, total, unit, done = 0) {
      current?.stop();
      if (!watched) return { update() {}, stop() {} };
      const bar = drawBar(stream, printable(label), total, unit, done);
      current = {
        update: bar.update,
        stop() {
          bar.stop();
          current = null;
        },
      };
      return current;
    },
    stop: () => current?.stop(),
  };
}

function drawBar(stream: NodeJS.WriteStream, label: string, total: number, unit: string, done: number): Bar {
  const bar = new SingleBar({
    stream,
    format: `${label} {bar} {value}/{total} {rate} ${unit}/s {left} {note}`,
    barsize: 24,
    hideCursor: true,
    clearOnComplete: true,
    stopOnComplete: false,
    fps: 8,
  });
  const started = performance.now();
  const figures = (now: number) => {
    const seconds = (performance.now() - started) / 1000;
    const rate = seconds > 0 ? (now - done) / seconds : 0;
    return { rate: rate >= 100 ? rate.toFixed(0) : rate.toFixed(1), left: rate > 0 ? `${duration((total - now) / rate)} left` : '' };
  };
  bar.start(total, done, { note: '', ...figures(done) });
  let stopped = false;
  return {
    update(now, note = '') {
      if (!stopped) bar.update(now, { note: printable(note), ...figures(now) });
    },
    stop() {
      if (stopped) return;
      stopped = true;
      bar.stop();
    },
  };
}

/** Formats seconds: 75 gives `1m 15s`. */
export function duration(seconds: number): string {
  const s = Math.round(seconds);
  if (s < 60) return `${s}s`;
  if (s < 3600) return `${Math.floor(s / 60)}m ${s % 60}s`;
  return `${Math.floor(s / 3600)}h ${Math.floor((s % 3600) / 60)}m`;
}

/** Formats a number of bytes: 1536 gives `1.5 KiB`. */
export function bytes(n: number): string {
  if (n >= 2 ** 30) return `${(n / 2 ** 30).toFixed(2)} GiB`;
  if (n >= 2 ** 20) return `${(n / 2 ** 20).toFixed(1)} MiB`;
  return n >= 2 ** 10 ? `${(n / 2 ** 10).toFixed(1)} KiB` : `${n} B`;
}

/** Formats a fraction as a percentage: 0.0123 gives `1.23 %`. */
export const percent = (fraction: number): string => `${(100 * fraction).toFixed(2)} %`;
