/** `zfnet info`: lists the layers of a network with shapes, parameters, cost, memory and receptive fields. */
import type { Command } from 'commander';
import {
  type Architecture,
  architectureOf,
  type BackendInfo,
  backendInfo,
  defaultBackend,
  isClassifier,
  isImported,
  type LayerSummary,
  networkRecipe,
  PRESETS,
  type PresetName,
  readConfig,
  readMetrics,
  readRunConfig,
  type ScheduleOptions,
  shapesOnly,
  summarize,
  type TrainingOptions,
  trainingBytes,
  trainingOptions,
  withBackend,
  zfnet,
} from 'zfnet';
import { decimal, defineCommand, deviceText, handler, UsageError, whole } from '../command.js';
import { batchSizeOption } from '../options.js';
import { FolderStore } from '../run/run_folder.js';
import { isRun, namingWrongSize, openRun } from '../run/runs.js';
import { columns } from '../terminal/columns.js';
import { bytes, percent } from '../terminal/reporter.js';

interface InfoOptions {
  inputSize?: number;
  classes?: number;
  width?: number;
  channels?: number;
  batchSize?: number;
  microBatch?: number;
}

const PRESET_NAMES = Object.keys(PRESETS) as PresetName[];

export function infoCommand(program: Command): void {
  defineCommand(program, 'info <run|preset>', 'list the layers of a network: shapes, parameters, cost, memory, receptive fields', [
    'zfnet info a',
    'zfnet info googlenet --json',
    'zfnet info small --width 0.25 --classes 10 --channels 1',
    'zfnet info runs/digits --json',
  ])
    .option('--input-size <pixels>', 'height and width of the input (default: that of the preset)', whole({ min: 1 }))
    .option('--classes <n>', 'number of classes (default: that of the preset)', whole({ min: 1 }))
    .option('--width <factor>', 'factor on the number of maps and units of every layer (default: 1)', decimal({ above: 0 }))
    .option('--channels <n>', 'channels of the input: 1 for grey, 3 for colour (default: those of the preset)', whole({ min: 1 }))
    .addOption(
      batchSizeOption(`images per step, to estimate the memory of training (default: that of the run, or of the recipe of a preset)`),
    )
    .option(
      '--micro-batch <n>',
      'images per forward and backward pass (default: that of the run, or all images of a step)',
      whole({ min: 1 }),
    )
    .action(
      handler(async (context, target: string, options: InfoOptions) => {
        if (await holdsImported(target)) {
          await context.engine();
          const report = await describeImported(target, options);
          context.result(report, () => importedTable(target, report));
          return;
        }
        const { architecture, recipe, run } = await describe(target, options);
        const { batchSize = recipe.batchSize, microBatch = options.batchSize === undefined ? recipe.microBatch : null } = options;
        const training = { ...recipe, batchSize, microBatch };
        const measured = measure(architecture, training);
        if (context.common.backend === 'webgpu') await context.engine();
        const device = context.common.backend === 'webgpu' ? roomOnDevice(measured) : undefined;
        const report = { ...measured, ...(run && { run }), ...(device && { device }) };
        context.result(report, () =>
          [...(run ? [runLine(target, run)] : []), table(report), ...(device ? [deviceLine(device)] : [])].join('\n'),
        );
      }),
    );
}

interface RunReport {
  source: string;
  epochs: number;
  of: number;
  best: { epoch: number; valTop1Error: number } | null;
  /** Measured peak memory of tensors in bytes, over all processes that trained the run. */
  peakBytes: number | null;
}

async function describe(
  target: string,
  options: InfoOptions,
): Promise<{ architecture: Architecture; recipe: TrainingOptions; run?: RunReport }> {
  const { inputSize, classes, width, channels } = options;
  if (await isRun(target)) {
    const given = Object.entries({ inputSize, classes, width, channels }).filter(([, value]) => value !== undefined);
    if (given.length > 0)
      throw new UsageError(`${target} is a run, whose network is fixed: leave out ${given.map(([name]) => name).join(', ')}`);
    const store = new FolderStore(target);
    const config = (await readConfig(store))!;
    const metrics = await readMetrics(store);
    const peak = Math.max(0, ...metrics.map(({ peakBytes = 0 }) => peakBytes));
    const scored = metrics.flatMap(({ epoch, valTop1Error }) => (valTop1Error === null ? [] : [{ epoch, valTop1Error }]));
    const best = scored.reduce<RunReport['best']>((least, each) => (least && least.valTop1Error <= each.valTop1Error ? least : each), null);
    return {
      architecture: config.architecture,
      recipe: trainingOptions(config.training),
      run: { source: config.data.source, epochs: metrics.length, of: config.training.epochs, best, peakBytes: peak > 0 ? peak : null },
    };
  }
  const preset = PRESET_NAMES.find((name) => name === target);
  if (!preset) throw new UsageError(`'${target}' is neither a run's folder nor a preset; the presets are ${PRESET_NAMES.join(', ')}`);
  return { architecture: architectureOf(preset, { inputSize, classes, width, channels }), recipe: trainingOptions(networkRecipe(preset)) };
}

/** Report on an imported network. `multiplyAdds` counts the forward pass of one image. */
interface ImportedReport {
  source: string;
  classes: number;
  input: { channels: number; inputSize: number };
  layers: LayerSummary[];
  totals: Pick<Totals, 'parameters' | 'multiplyAdds' | 'activationBytes'>;
}

async function holdsImported(target: string): Promise<boolean> {
  const config = (await isRun(target)) && (await readRunConfig(new FolderStore(target)));
  return config ? isImported(config) : false;
}

async function describeImported(target: string, options: InfoOptions): Promise<ImportedReport> {
  const given = Object.entries(options).filter(([key, value]) => key in GIVEN && value !== undefined);
  if (given.length > 0)
    throw new UsageError(`${target} holds an imported network, which is fixed: leave out ${given.map(([name]) => name).join(', ')}`);
  const { model, preprocess, classes, config } = await openRun(target);
  try {
    const { channels, inputSize } = preprocess.options;
    const layers = summarize(model, [1, channels, inputSize, inputSize]);
    return { source: config.data.source, classes: classes.length, input: { channels, inputSize }, layers, totals: sums(layers) };
  } finally {
    model.dispose();
  }
}

/** Options that do not apply to an imported network, whose architecture is fixed. */
const GIVEN = { inputSize: true, classes: true, width: true, channels: true, batchSize: true, microBatch: true };

function importedTable(target: string, { source, classes, input, layers, totals }: ImportedReport): string {
  const head = `${target}: imported from ${source}, ${classes} classes; forward pass of one image:`;
  return [head, ...layerTable(layers, input, totals)].join('\n');
}

/** Totals over all layers for one image, without the numbers that layers do not report, and without auxiliary classifiers. */
function sums(all: readonly LayerSummary[]): ImportedReport['totals'] {
  const layers = all.filter(({ kind }) => kind !== 'AuxiliaryHead');
  const sum = (key: 'parameters' | 'multiplyAdds' | 'activationBytes') => layers.reduce((total, layer) => total + (layer[key] ?? 0), 0);
  return { parameters: sum('parameters'), multiplyAdds: sum('multiplyAdds'), activationBytes: sum('activationBytes') };
}

interface Totals {
  parameters: number;
  /** Multiply-adds of the forward pass of one image. */
  multiplyAdds: number;
  activationBytes: number;
  /** Estimated peak memory of a training step: weights, gradients, velocities and the activations that the backward pass needs. */
  trainingBytes: number | null;
}

interface Report {
  architecture: Architecture;
  description: string;
  /** Of the layers that run in evaluation: without auxiliary classifiers and running statistics. */
  parameters: number;
  /** Multiply-adds of the forward pass of one image. */
  multiplyAdds: number;
  layers: LayerSummary[];
  /** The recipe of the run; for a preset, the defaults of `train`. */
  training: TrainingOptions;
  totals: Totals;
}

function measure(architecture: Architecture, training: TrainingOptions): Report {
  const { preset, channels, inputSize } = architecture;
  const build = () => zfnet(preset, { ...architecture });
  const layers = withBackend(shapesOnly(), () => namingWrongSize(() => summarize(build(), [1, channels, inputSize, inputSize])));
  const { batchSize, microBatch } = training;
  const hasClasses = isClassifier(preset);
  const rows = Math.min(microBatch ?? batchSize, batchSize);
  const totals = sums(layers);
  return {
    architecture,
    description: PRESETS[preset].description,
    parameters: totals.parameters,
    multiplyAdds: totals.multiplyAdds,
    layers,
    training,
    totals: {
      ...totals,
      trainingBytes: hasClasses
        ? trainingBytes(build, [rows, channels, inputSize, inputSize], { parts: Math.ceil(batchSize / rows) })
        : null,
    },
  };
}

/** The device, and whether the tensors of a training step fit into its buffers. */
interface Room extends NonNullable<BackendInfo['device']> {
  maxBufferBytes: number;
  /** Bytes of the largest tensor of a training step: the output or the weights of a layer. */
  largestTensorBytes: number;
}

/** Compares the largest tensor of a training step with the largest buffer of the device. */
function roomOnDevice({ layers, training: { batchSize, microBatch } }: Report): Room {
  const images = Math.min(microBatch ?? batchSize, batchSize);
  const largest = layers.map(({ outputShape, parameters }) => {
    const elements = (outputShape ?? [0]).reduce((product, extent) => product * extent, images);
    return 4 * Math.max(elements, parameters);
  });
  return {
    ...backendInfo().device!,
    maxBufferBytes: defaultBackend().capabilities.maxBufferBytes,
    largestTensorBytes: Math.max(0, ...largest),
  };
}

function deviceLine(room: Room): string {
  const { largestTensorBytes, maxBufferBytes } = room;
  const fits = largestTensorBytes <= maxBufferBytes ? '' : ': too large; train with a smaller --micro-batch';
  return `device: ${deviceText(room)}; largest tensor of a step ${bytes(largestTensorBytes)} of ${bytes(maxBufferBytes)} per buffer${fits}`;
}

function runLine(target: string, { source, epochs, of, best }: RunReport): string {
  return `${target}: ${epochs} of ${of} epochs on ${source}${best ? `, best validation error ${percent(best.valTop1Error)} in epoch ${best.epoch}` : ''}`;
}

function table({ architecture, description, layers, training, totals, run }: Report & { run?: RunReport }): string {
  const { preset, classes, width } = architecture;
  return [
    `${preset}: ${description} (width ${width}, ${classes} classes); forward pass of one image:`,
    ...layerTable(layers, architecture, totals),
    ...(totals.trainingBytes === null ? [] : [memoryLine(training, totals.trainingBytes, run), recipeLine(training, run !== undefined)]),
  ].join('\n');
}

function layerTable(
  layers: readonly LayerSummary[],
  { channels, inputSize }: ImportedReport['input'],
  totals: ImportedReport['totals'],
): string[] {
  const rows = [
    ['layer', 'kind', 'output', 'parameters', 'multiply-adds', 'memory', 'receptive field'],
    ['input', '', `${channels}×${inputSize}×${inputSize}`, '', '', bytes(4 * channels * inputSize ** 2), ''],
    ...layers.map((layer) => [
      layer.name,
      layer.kind,
      layer.outputShape?.slice(1).join('×') ?? 'unknown',
      layer.parameters > 0 ? grouped(layer.parameters) : '',
      layer.multiplyAdds === null ? 'unknown' : layer.multiplyAdds > 0 ? grouped(layer.multiplyAdds) : '',
      layer.activationBytes === null ? 'unknown' : bytes(layer.activationBytes),
      layer.receptiveField === 'unknown'
        ? 'unknown'
        : layer.receptiveField
          ? `${layer.receptiveField.map(({ size }) => size).join('×')}, every ${layer.receptiveField[0].jump}`
          : 'whole input',
    ]),
    ['total', '', '', grouped(totals.parameters), grouped(totals.multiplyAdds), bytes(totals.activationBytes), ''],
  ];
  return columns(rows, new Set([3, 4, 5]));
}

function memoryLine({ batchSize, microBatch }: TrainingOptions, estimate: number, run: RunReport | undefined): string {
  const images = microBatch === null ? `${batchSize} images per step` : `${batchSize} images per step in micro-batches of ${microBatch}`;
  const measured = run?.peakBytes ? `; measured peak: ${bytes(run.peakBytes)}` : '';
  return `training with ${images} takes ${bytes(estimate)}: weights, gradients, velocities, and the activations that the backward pass needs${measured}`;
}

function recipeLine(options: TrainingOptions, own: boolean): string {
  const { batchSize, lr, momentum, weightDecay, maxFilterRms, schedule, augment, epochs, seed, optimizer, clipGradNorm, labelSmoothing } =
    options;
  const parts = [
    `mini-batch ${batchSize}`,
    `lr ${lr} (${scheduleInWords(schedule)})`,
    optimizer && optimizer.kind !== 'sgd' ? `optimiser ${optimizer.kind}` : `momentum ${momentum}`,
    `weight decay ${weightDecay}`,
    maxFilterRms === null ? 'no limit on filters' : `filters limited to rms ${maxFilterRms}`,
    ...(clipGradNorm === undefined ? [] : [`gradient norm at most ${clipGradNorm}`]),
    ...(labelSmoothing === undefined ? [] : [`label smoothing ${labelSmoothing}`]),
    `augmentation '${augment}'`,
    `${epochs} epochs`,
    ...(own ? [`seed ${seed}`] : []),
  ];
  return `${own ? 'recipe of the run' : 'the paper’s recipe, the default of train'}: ${parts.join(', ')}`;
}

function scheduleInWords(schedule: ScheduleOptions): string {
  switch (schedule.kind) {
    case 'plateau':
      return `× ${schedule.factor} after ${schedule.patience} epochs without a lower validation error`;
    case 'step':
      return `× ${schedule.factor} every ${schedule.every} epochs`;
    case 'multi-step':
      return `× ${schedule.factor} after epochs ${schedule.milestones.join(', ')}`;
    default:
      return schedule.kind;
  }
}

const grouped = (n: number): string => n.toLocaleString('en-US');
