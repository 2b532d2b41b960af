/** Writes the measurements as Markdown tables, for a terminal and for a file. */
import type { Measurements } from './measure.js';
import type { PeerReading } from './peers.js';
import type { StepResult } from './steps.js';

export interface Report extends Measurements {
  /** Name of the machine's device, and versions of the runtime. */
  node: string;
  peers: PeerReading[];
}

/** Why figures of a software device are printed at all. */
export const SOFTWARE_NOTE =
  'This is a software device: the processor computed in place of a GPU, at small sizes. ' +
  'The figures show that the benchmark runs; they say nothing about the speed of a GPU.';

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [head, ...rows];
  const widths = head.map((_, column) => Math.max(3, ...lines.map((line) => [...line[column]].length)));
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join(' | ')} |`;
  return [
    line(head),
    `|${widths.map((width, i) => (i === 0 ? '-'.repeat(width + 2) : `${'-'.repeat(width + 1)}:`)).join('|')}|`,
    ...rows.map(line),
  ].join('\n');
}

const ms = (value: number) => value.toFixed(value < 10 ? 3 : 1);

/** Returns the report as Markdown. */
export function markdown(report: Report): string {
  const { info, ceiling, cases, steps, training, failures, peers, layerBatch, node } = report;
  const { description, vendor, architecture, software } = info.device!;
  return [
    `# WebGPU benchmark: ${description || 'unnamed device'} (${[vendor, architecture].filter(Boolean).join(' ')})`,
    ...(software ? [`**${SOFTWARE_NOTE}**`] : []),
    `Node ${node}; ${info.variant}, ${info.mode} mode. Measured ceilings: ${ceiling.gflops.toFixed(1)} GFLOP/s (multiply-adds on registers, ` +
      `float32), ${ceiling.gbs.toFixed(1)} GB/s (copy between buffers, read and written).`,
    ...(failures.length > 0 ? ['## Failures', ...failures.map(({ name, error }) => `- ${name}: ${error}`)] : []),
    `## Products, and passes of ZFNet's layers (batch ${layerBatch})`,
    'Each result was compared with sums in double precision before it was timed. Operations are those of the direct algorithm.',
    table(
      ['case', 'best ms', 'median ms', 'GFLOP/s', 'of ceiling', 'algorithm'],
      cases.map((each) => [
        each.name,
        ms(each.bestMs),
        ms(each.medianMs),
        each.gflops.toFixed(1),
        each.ofCeiling.toFixed(2),
        each.plan ?? '',
      ]),
    ),
    ...(steps.length > 0 ? stepSection(steps, training) : []),
    ...peerSection(peers),
  ].join('\n\n');
}

/** Returns the tables of whole steps, and of the kernels of the last one. */
function stepSection(steps: readonly StepResult[], training: Measurements['training']): string[] {
  const wallMs = steps[steps.length - 1].ms;
  return [
    '## Steps',
    'Wall time of one step while the next one is encoded; the scores of one image were compared with the wasm backend first.',
    table(
      ['step', 'batch', 'ms', 'images/s', 'of ceiling', 'dispatches', 'MB', 'GPU busy ms', 'encoding ms'],
      steps.map((each) => [
        each.name,
        `${each.batch}`,
        ms(each.ms),
        each.imagesPerSecond.toFixed(1),
        each.ofCeiling.toFixed(2),
        `${each.dispatches}`,
        (each.bytes / 1e6).toFixed(1),
        ms(each.busyMs),
        ms(each.encodeMs),
      ]),
    ),
    '## Kernels of the last training step',
    table(
      ['layer', 'kernel', 'shape', 'calls', 'ms', 'share', 'GFLOP/s', 'GB/s'],
      training
        .slice(0, 40)
        .map((row) => [
          row.layer,
          row.plan ? `${row.kernel} ${row.plan}` : row.kernel,
          row.shape,
          `${row.calls}`,
          ms(row.ms),
          `${((100 * row.ms) / wallMs).toFixed(1)} %`,
          row.flop > 0 ? row.gflops.toFixed(1) : '',
          row.gbs.toFixed(1),
        ]),
    ),
  ];
}

function peerSection(peers: readonly PeerReading[]): string[] {
  if (peers.length === 0) return [];
  return [
    '## Beside other engines',
    'Each engine was measured in a process of its own on the same device. Four steps are queued before their results are awaited. ' +
      'jax-js leaves out dropout.',
    table(
      ['engine', 'version', 'workload', 'batch', 'images/s'],
      peers.map(({ peer, version, workload, batch, imagesPerSecond, error }) => [
        peer,
        version ?? '',
        workload,
        `${batch}`,
        error === undefined ? imagesPerSecond!.toFixed(1) : `— ${error}`,
      ]),
    ),
  ];
}
