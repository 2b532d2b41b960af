/** `zfnet info`: what a network is made of and what it costs, a row a layer. */
import type { Command } from 'commander';
import {
  type Architecture,
  architectureOf,
  type LayerSummary,
  PRESETS,
  type PresetName,
  readConfig,
  readMetrics,
  summarize,
  withBackend,
  zfnet,
} from 'zfnet';
import { decimal, defineCommand, handler, UsageError, whole } from '../command.js';
import { percent } from '../reporter.js';
import { FolderStore } from '../run_folder.js';
import { isRun, namingWrongSize } from '../runs.js';
import { shapesOnly } from '../shapes_only.js';

interface InfoOptions {
  inputSize?: number;
  classes?: number;
  width?: number;
  channels?: number;
  batchSize: number;
}

const PRESET_NAMES = Object.keys(PRESETS) as PresetName[];

export function infoCommand(program: Command): void {
  defineCommand(program, 'info <run|preset>', 'a row a layer: shapes, parameters, cost, memory, receptive field', [
    'zfnet info a',
    'zfnet info small --width 0.25 --classes 10 --channels 1',
    'zfnet info runs/digits --json',
  ])
    .option('--input-size <pixels>', 'height and width of the input (default: the preset’s)', whole({ min: 1 }))
    .option('--classes <n>', '(default: 1000)', whole({ min: 1 }))
    .option('--width <factor>', 'a factor on the numbers of maps and units (default: 1)', decimal({ above: 0 }))
    .option('--channels <n>', '(default: 3)', whole({ min: 1 }))
    .option('--batch-size <n>', 'images a step, for the memory of training', whole({ min: 1 }), 128)
    .action(
      handler(async (context, target: string, options: InfoOptions) => {
        const { architecture, run } = await describe(target, options);
        const report = { ...measure(architecture, options.batchSize), ...(run && { run }) };
        context.result(report, () => [...(run ? [runLine(target, run)] : []), table(report)].join('\n'));
      }),
    );
}

interface RunReport {
  source: string;
  epochs: number;
  of: number;
  best: { epoch: number; valTop1Error: number } | null;
}

async function describe(target: string, options: InfoOptions): Promise<{ architecture: Architecture; run?: RunReport }> {
  const { inputSize, classes, width, channels } = options;
  if (await isRun(target)) {
    const given = Object.entries({ inputSize, classes, width, channels }).filter(([, value]) => value !== undefined);
    if (given.length > 0)
      throw new UsageError(`${target} is a run, whose network is fixed: leave out ${given.map(([name]) => name).join(', ')}`);
    const store = new FolderStore(target);
    const config = (await readConfig(store))!;
    const metrics = await readMetrics(store);
    const scored = metrics.flatMap(({ epoch, valTop1Error }) => (valTop1Error === null ? [] : [{ epoch, valTop1Error }]));
    const best = scored.reduce<RunReport['best']>((least, each) => (least && least.valTop1Error <= each.valTop1Error ? least : each), null);
    return {
      architecture: config.architecture,
      run: { source: config.data.source, epochs: metrics.length, of: config.training.epochs, best },
    };
  }
  const preset = PRESET_NAMES.find((name) => name === target);
  if (!preset) throw new UsageError(`'${target}' is neither a run's folder nor a preset; the presets are ${PRESET_NAMES.join(', ')}`);
  return { architecture: architectureOf(preset, { inputSize, classes, width, channels }) };
}

interface Totals {
  parameters: number;
  /** An image, forward. */
  multiplyAdds: number;
  activationBytes: number;
  /** Weights, gradients and velocities, and a batch's activations with their gradients. */
  trainingBytes: number;
}

interface Report {
  architecture: Architecture;
  description: string;
  layers: LayerSummary[];
  batchSize: number;
  totals: Totals;
}

function measure(architecture: Architecture, batchSize: number): Report {
  const { preset, channels, inputSize } = architecture;
  const layers = withBackend(shapesOnly(), () =>
    namingWrongSize(() => summarize(zfnet(preset, { ...architecture }), [1, channels, inputSize, inputSize])),
  );
  const sum = (key: 'parameters' | 'multiplyAdds' | 'activationBytes') => layers.reduce((total, layer) => total + layer[key], 0);
  const parameters = sum('parameters');
  const activationBytes = sum('activationBytes');
  return {
    architecture,
    description: PRESETS[preset].description,
    layers,
    batchSize,
    totals: {
      parameters,
      multiplyAdds: sum('multiplyAdds'),
      activationBytes,
      trainingBytes: 4 * parameters * 3 + 2 * batchSize * activationBytes,
    },
  };
}

function runLine(target: string, { source, epochs, of, best }: RunReport): string {
  return `${target}: ${epochs} of ${of} epochs on ${source}${best ? `, best validation error ${percent(best.valTop1Error)} in epoch ${best.epoch}` : ''}`;
}

function table({ architecture, description, layers, batchSize, totals }: Report): string {
  const { preset, channels, inputSize, classes, width } = architecture;
  const rows = [
    ['layer', 'kind', 'output', 'parameters', 'multiply-adds', 'memory', 'receptive field'],
    ['input', '', `${channels}×${inputSize}×${inputSize}`, '', '', bytes(4 * channels * inputSize ** 2), ''],
    ...layers.map((layer) => [
      layer.name,
      layer.kind,
      layer.outputShape.slice(1).join('×'),
      layer.parameters > 0 ? grouped(layer.parameters) : '',
      layer.multiplyAdds > 0 ? grouped(layer.multiplyAdds) : '',
      bytes(layer.activationBytes),
      layer.receptiveField ? `${layer.receptiveField.map(({ size }) => size).join('×')}, every ${layer.receptiveField[0].jump}` : 'all',
    ]),
    ['total', '', '', grouped(totals.parameters), grouped(totals.multiplyAdds), bytes(totals.activationBytes), ''],
  ];
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  const right = new Set([3, 4, 5]);
  const lines = rows.map((row) =>
    row
      .map((cell, column) => (right.has(column) ? cell.padStart(widths[column]) : cell.padEnd(widths[column])))
      .join('  ')
      .trimEnd(),
  );
  return [
    `${preset}: ${description} (width ${width}, ${classes} classes); an image, forward:`,
    ...lines,
    `training with ${batchSize} images a step takes about ${bytes(totals.trainingBytes)}: weights, gradients, velocities, and activations with their gradients`,
  ].join('\n');
}

const grouped = (n: number): string => n.toLocaleString('en-US');

function bytes(n: number): string {
  if (n >= 2 ** 30) return `${(n / 2 ** 30).toFixed(2)} GiB`;
  if (n >= 2 ** 20) return `${(n / 2 ** 20).toFixed(1)} MiB`;
  return n >= 2 ** 10 ? `${(n / 2 ** 10).toFixed(1)} KiB` : `${n} B`;
}
