/** Formats a profile as a text table for a terminal. */
import { checkOptions, integer, positive } from '../backend/validate.js';
import type { Profile, ProfileRow, TableOptions } from './types.js';

type Measured = Pick<Profile, 'rows' | 'wallMs' | 'kernelMs' | 'outsideMs' | 'threads' | 'device' | 'peakBytes' | 'reservedBytes' | 'info'>;

/** Length of the longest bar, in characters. */
const BAR = 16;
/** Bars of 0 to 7 eighths of a character. */
const PARTS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];

/** Returns a share from 0 to 1 as a bar of block characters. */
function bar(share: number): string {
  const eighths = Math.round(8 * BAR * Math.min(Math.max(share, 0), 1));
  return '█'.repeat(Math.floor(eighths / 8)) + PARTS[eighths % 8];
}

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
const milliseconds = (ms: number): string => ms.toFixed(ms < 10 ? 3 : 1);
const mebibytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`;

/** Aligns the cells of a table: the first three columns and the last one to the left, the others to the right. */
function aligned(lines: readonly string[][]): string[] {
  const widths = lines[0].map((_, column) => Math.max(...lines.map((line) => [...line[column]].length)));
  const textColumns = 3;
  return lines.map((line) =>
    line
      .map((cell, column) => {
        const space = ' '.repeat(widths[column] - [...cell].length);
        return column < textColumns || column === line.length - 1 ? cell + space : space + cell;
      })
      .join('  ')
      .trimEnd(),
  );
}

/** Returns the lines on the device: how much it computed, and by which clock that is known. */
function deviceLines({ device, wallMs }: Measured): string[] {
  if (!device) return [];
  const { dispatches, busyMs, idleMs, encodeMs, clock, note } = device;
  const times = `busy ${milliseconds(busyMs)} ms, idle ${milliseconds(idleMs)} ms (${percent(idleMs / wallMs)})`;
  return [
    `device: ${dispatches} dispatches, ${times}; encoding took ${milliseconds(encodeMs)} ms; timed by ${clock === 'timestamps' ? 'timestamp queries' : 'completion'}`,
    ...(note === undefined ? [] : [`note: ${note}`]),
  ];
}

/** Returns the last lines: threads, device, totals and limits. */
function footer(measured: Measured, { ceiling, bandwidth }: TableOptions): string[] {
  const { wallMs, kernelMs, threads, peakBytes, reservedBytes, info } = measured;
  const limits = [
    ...(ceiling === undefined ? [] : [`ceiling ${ceiling.toFixed(1)} GFLOP/s`]),
    ...(bandwidth === undefined ? [] : [`copy ${bandwidth.toFixed(1)} GB/s`]),
  ];
  return [
    `busy: ${threads.map(({ name, share }) => `${name} ${percent(share)}`).join(', ')}; the rest of the time each thread is idle`,
    ...deviceLines(measured),
    `${milliseconds(wallMs)} ms, ${percent(kernelMs / wallMs)} of it in kernels; peak memory of tensors ${mebibytes(peakBytes)}, reserved from the system ${mebibytes(reservedBytes)}; ` +
      `${[info.variant, `${info.threads} thread${info.threads === 1 ? '' : 's'}`, info.mode].join(', ')}${limits.map((text) => `; ${text}`).join('')}`,
  ];
}

/** Returns the text table of a profile: one row per kernel, shape and layer. @throws ValueError for unknown or invalid options */
export function tableOf(measured: Measured, options: TableOptions = {}): string {
  checkOptions('profile.text', options, { ceiling: positive, bandwidth: positive, limit: integer() });
  const { ceiling, bandwidth, limit = 40 } = options;
  const { rows, wallMs, outsideMs } = measured;
  const shown = rows.slice(0, limit);
  const rest = rows.slice(limit);
  const shares = ceiling !== undefined || bandwidth !== undefined;
  const shareOf = ({ flop, gflops, gbs }: ProfileRow): string => {
    const [speed, most] = flop > 0 ? [gflops, ceiling] : [gbs, bandwidth];
    return most === undefined ? '' : (speed / most).toFixed(2);
  };
  const cells = (row: ProfileRow): string[] => [
    row.layer,
    row.plan ? `${row.kernel} ${row.plan}` : row.kernel,
    row.shape,
    `${row.calls}`,
    milliseconds(row.ms),
    percent(row.share),
    row.flop > 0 ? row.gflops.toFixed(1) : '',
    ...(shares ? [shareOf(row)] : []),
    row.gbs.toFixed(1),
    bar(row.share),
  ];
  const sum = (label: string, calls: number | null, ms: number): string[] => [
    '',
    label,
    '',
    calls === null ? '' : `${calls}`,
    milliseconds(ms),
    percent(ms / wallMs),
    ...Array<string>(shares ? 3 : 2).fill(''),
    bar(ms / wallMs),
  ];
  const total = (some: readonly ProfileRow[], key: 'calls' | 'ms') => some.reduce((sum, row) => sum + row[key], 0);
  const lines = [
    ['layer', 'kernel', 'shape', 'calls', 'ms', 'share', 'GFLOP/s', ...(shares ? ['of ceiling'] : []), 'GB/s', ''],
    ...shown.map(cells),
    ...(rest.length > 0 ? [sum(`${rest.length} more`, total(rest, 'calls'), total(rest, 'ms'))] : []),
    sum('outside kernels', null, outsideMs),
  ];
  return [...aligned(lines), ...footer(measured, options)].join('\n');
}
