/** Results as a table: for terminals, or as Markdown for the README. */
import { cpus } from 'node:os';
import { hasReferenceBlas, type PeerName } from './readings.js';
import { type Compared, nameOf } from './speed.js';

/** The machine that the figures were measured on. */
export const machine = () => ({ cpu: cpus()[0]?.model ?? 'unknown', processors: cpus().length, node: process.version });

const digits = (value: number): string => String(Number(value.toPrecision(3)));

/** One row per workload, one column per engine: images per second, and our strict mode as a multiple of it. */
export function speedTable(compared: readonly Compared[], peers: readonly PeerName[], markdown: boolean): string {
  const versions = new Map(
    compared.flatMap(({ speeds }) => peers.flatMap((peer) => (speeds[peer] ? [[peer, speeds[peer].version] as const] : []))),
  );
  const rows = [
    ['images per second', ...peers.map((peer) => `${peer} ${versions.get(peer) ?? ''}`.trim())],
    ...compared.map(({ task, speeds }) => [
      nameOf(task),
      ...peers.map((peer) => {
        const [speed, own] = [speeds[peer], speeds.zfnet];
        if (!speed) return '–';
        return own && !peer.startsWith('zfnet') && !hasReferenceBlas(speed.blas)
          ? `${digits(speed.imagesPerSecond)} (${digits(own.imagesPerSecond / speed.imagesPerSecond)}×)`
          : digits(speed.imagesPerSecond);
      }),
    ]),
  ];
  if (markdown) return [rows[0], rows[0].map(() => '---'), ...rows.slice(1)].map((row) => `| ${row.join(' | ')} |`).join('\n');
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  return rows.map((row) => row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join('  ')).join('\n');
}

/** Says which library computed PyTorch's matrix products, and what PyTorch says of its build; null without a reading of PyTorch. */
export function blasLine(compared: readonly Compared[]): string | null {
  const { blas, config } = compared.flatMap(({ speeds }) => speeds.pytorch ?? [])[0] ?? {};
  if (blas === undefined) return null;
  const because = hasReferenceBlas(blas) ? '; no ratios, because this is the reference BLAS: install libopenblas0-pthread' : '';
  const build = (config ?? '').match(/MKL-DNN v[\d.]+|CPU capability usage: \w+|BLAS_INFO=\w+/g) ?? [];
  return `PyTorch: matrix products by ${blas}${because}; built with ${build.join(', ')}`;
}
