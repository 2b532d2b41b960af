/** Formats a profile as a text table for a terminal. */
import { checkOptions, integer, positive } from '../backend/validate.js';
import type { Profile, ProfileRow, TableOptions } from './types.js';

type Measured = Pick<Profile, 'rows' | 'wallMs' | 'kernelMs' | 'outsideMs' | 'threads' | 'peakBytes' | 'reservedBytes' | 'info'>;

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

/** Returns the text table of a profile: one row per kernel, shape and layer. @throws ValueError for unknown or invalid options */
export function tableOf(
  { rows, wallMs, kernelMs, outsideMs, threads, peakBytes, reservedBytes, info }: Measured,
  options: TableOptions = {},
): string {
  checkOptions('profile.text', options, { ceiling: positive, limit: integer() });
  const { ceiling, limit = 40 } = options;
  const shown = rows.slice(0, limit);
  const rest = rows.slice(limit);
  const cells = ({ layer, kernel, plan, shape, calls, ms, share, flop, gflops, gbs }: ProfileRow): string[] => [
    layer,
    plan ? `${kernel} ${plan}` : kernel,
    shape,
    `${calls}`,
    milliseconds(ms),
    percent(share),
    flop > 0 ? gflops.toFixed(1) : '',
    ...(ceiling === undefined ? [] : [flop > 0 ? (gflops / ceiling).toFixed(2) : '']),
    gbs.toFixed(1),
    bar(share),
  ];
  const sum = (label: string, calls: number | null, ms: number): string[] => [
    '',
    label,
    '',
    calls === null ? '' : `${calls}`,
    milliseconds(ms),
    percent(ms / wallMs),
    ...Array<string>(ceiling === undefined ? 2 : 3).fill(''),
    bar(ms / wallMs),
  ];
  const total = (some: readonly ProfileRow[], key: 'calls' | 'ms') => some.reduce((sum, row) => sum + row[key], 0);
  const lines = [
    ['layer', 'kernel', 'shape', 'calls', 'ms', 'share', 'GFLOP/s', ...(ceiling === undefined ? [] : ['of ceiling']), 'GB/s', ''],
    ...shown.map(cells),
    ...(rest.length > 0 ? [sum(`${rest.length} more`, total(rest, 'calls'), total(rest, 'ms'))] : []),
    sum('outside kernels', null, outsideMs),
  ];
  const widths = lines[0].map((_, column) => Math.max(...lines.map((line) => [...line[column]].length)));
  const textColumns = 3;
  const aligned = lines.map((line) =>
    line
      .map((cell, column) => {
        const space = ' '.repeat(widths[column] - [...cell].length);
        return column < textColumns || column === line.length - 1 ? cell + space : space + cell;
      })
      .join('  ')
      .trimEnd(),
  );
  return [
    ...aligned,
    `busy: ${threads.map(({ name, share }) => `${name} ${percent(share)}`).join(', ')}; the rest of the time each thread is idle`,
    `${milliseconds(wallMs)} ms, ${percent(kernelMs / wallMs)} of it in kernels; peak memory of tensors ${mebibytes(peakBytes)}, reserved from the system ${mebibytes(reservedBytes)}; ` +
      `${info.variant}, ${info.threads} thread${info.threads === 1 ? '' : 's'}, ${info.mode}${ceiling === undefined ? '' : `; ceiling ${ceiling.toFixed(1)} GFLOP/s`}`,
  ].join('\n');
}
