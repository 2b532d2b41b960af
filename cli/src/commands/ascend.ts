/** `zfnet ascend`: synthesises images that maximise feature maps by gradient ascent, next to the images with the strongest activations. */
import type { Command } from 'commander';
import { type AscendedMap, ascend, isTrained, type MapActivations, type Run } from 'zfnet';
import type { Dataset } from 'zfnet/data';
import { type AscendNumbers, ascendExperiment, type Experiment, type RealAnswers, type StrongestReal } from 'zfnet/report';
import { type Context, decimal, defineCommand, handler, whole } from '../command.js';
import { checkMaps, layersNamed, layersOf, stoppable, strongestOf } from '../look.js';
import {
  dataOption,
  imagesOption,
  layersOption,
  mapsOption,
  mapsText,
  outOption,
  renamedOption,
  splitOption,
  stepsOption,
} from '../options.js';
import { experimentsFolder, writeExperiment } from '../report/experiment.js';
import { openRunData } from '../run/data.js';
import { openRun } from '../run/runs.js';
import { pickSplit } from './evaluate.js';

interface AscendOptions {
  layers?: string[];
  maps?: number[];
  data?: string;
  split: string;
  /** False after --no-images. */
  images: number | false;
  steps: number;
  rate: number;
  decay: number;
  blur: number;
  jitter: number;
  starts: number;
  out?: string;
}

const DEFAULTS = { steps: 160, rate: 0.06, decay: 0.02, blur: 0.7, jitter: 3, starts: 3 };
const IMAGES = { split: 'val', images: 2000 };

const EXAMPLES = [
  'zfnet ascend runs/demo                                # all maps of the last convolution',
  'zfnet ascend runs/demo --layers fc8                   # every class',
  'zfnet ascend runs/demo --layers conv3 --maps 0-15 --steps 400 --decay 0.01',
];

export function ascendCommand(program: Command): void {
  const command = defineCommand(
    program,
    'ascend <run>',
    'synthesise an image that maximises each map, by gradient ascent; compare it with the strongest real image; list dead maps',
    EXAMPLES,
  )
    .addOption(layersOption('the last convolution'))
    .addOption(mapsOption())
    .addOption(dataOption())
    .addOption(splitOption(IMAGES.split))
    .addOption(imagesOption('sampled at random', IMAGES.images))
    .option('--no-images', 'search no real images: there is no comparison, and dead maps are not found')
    .addOption(stepsOption('of gradient ascent, per map', DEFAULTS.steps))
    .option(
      '--rate <r>',
      'step size: mean change of the changed pixels, as a fraction of half the pixel range',
      decimal({ above: 0 }),
      DEFAULTS.rate,
    )
    .option('--decay <d>', 'fraction by which each step shrinks every pixel', decimal({ min: 0, below: 1 }), DEFAULTS.decay)
    .option(
      '--blur <pixels>',
      'standard deviation of the Gaussian blur after every fourth step; 0 switches it off',
      decimal({ min: 0 }),
      DEFAULTS.blur,
    )
    .option('--jitter <pixels>', 'largest random shift before each step', whole({ min: 0 }), DEFAULTS.jitter)
    .option(
      '--starts <n>',
      'largest number of restarts for a map that stays below its strongest real image',
      whole({ min: 1 }),
      DEFAULTS.starts,
    )
    .addOption(outOption('folder for ascend.json, ascend.html and ascend-LAYER.png (default: RUN/experiments)'))
    .action(
      handler(async (context, path: string, options: AscendOptions) => {
        await context.engine();
        await stoppable(context, 'nothing was written', () => climb(context, path, options));
      }),
    );
  renamedOption(command, '--layer <name>', '--layers');
  renamedOption(command, '--examples <n>', '--images');
}

async function climb(context: Context, path: string, options: AscendOptions): Promise<void> {
  const run = await openRun(path);
  try {
    const dataset = options.images !== false ? await imagesOf(context, run, options) : null;
    const experiment = await ascentOf(context, path, run, dataset, options);
    const files = await writeExperiment(experiment, options.out ?? experimentsFolder(path), commandLine(path, options));
    const numbers = experiment.numbers as AscendNumbers;
    context.result({ ...numbers, files }, () => table(numbers, files));
  } finally {
    run.model.dispose();
  }
}

/** Opens the images of a run; returns null for an imported network without --data. */
async function imagesOf({ reporter }: Context, run: Run, { data, split }: AscendOptions): Promise<Dataset | null> {
  if (data === undefined && !isTrained(run)) {
    reporter.warn('an imported network has no images of its own; give an image source with --data to find dead maps');
    return null;
  }
  const dataset = await openRunData(run, { data }, reporter);
  pickSplit(dataset, split);
  return dataset;
}

/**
 * Runs the experiment on some layers of a run.
 *
 * @param dataset null to search no real images
 */
export async function ascentOf(
  context: Context,
  path: string,
  run: Run,
  dataset: Dataset | null,
  options: Partial<AscendOptions>,
): Promise<Experiment> {
  const { steps, rate, decay, blur, jitter, starts } = { ...DEFAULTS, ...options };
  const { model, preprocess, classes } = run;
  const all = await layersOf(run, layersNamed(run, options.layers));
  const layers = options.layers ? all : new Map([...all].slice(-1));
  checkMaps(layers, options.maps);
  const { channels, inputSize, scale, deviation = [1] } = preprocess.options;
  const settings = { steps, rate, decay, blur, jitter, starts, seed: context.common.seed ?? 0 };
  const real = dataset ? await strongestReal(context, path, run, dataset, [...layers.keys()], options) : undefined;
  const found: Record<string, AscendedMap[]> = {};
  for (const [layer, count] of layers) {
    const maps = options.maps?.filter((map) => map < count);
    const bar = context.reporter.bar(`gradient ascent on ${layer}`, (maps?.length ?? count) * steps, 'steps');
    const strongest = new Map(real?.strongest[layer].map((each) => [each.map, each]));
    found[layer] = await ascend(model, {
      ...settings,
      layer,
      maps,
      input: [channels, inputSize, inputSize],
      // Half of the pixel range, in units of the network's input.
      limit: (128 * scale) / Math.max(...deviation),
      goals: Object.fromEntries([...strongest].map(([map, { value }]) => [map, value])),
      imageOf: dataset
        ? async (map) => {
            const { image } = await dataset.splits[real!.split].get(strongest.get(map)!.index);
            return preprocess.evaluation([image]);
          }
        : undefined,
      onProgress: (done) => bar.update(done),
      signal: context.signal,
    });
    bar.stop();
  }
  // The units of the last layer are the classes.
  const last = model.layerNames().at(-1)!;
  return ascendExperiment({ preprocess, found, real, names: { [last]: classes }, settings });
}

/** Finds the image of a split that activates each map most. */
async function strongestReal(
  context: Context,
  path: string,
  { model, preprocess }: Run,
  dataset: Dataset,
  layers: readonly string[],
  options: Partial<AscendOptions>,
): Promise<RealAnswers> {
  const { split = IMAGES.split } = options;
  const images = options.images || IMAGES.images;
  const found = await strongestOf({ path, model, preprocess, dataset, split, layers, maps: options.maps, count: 1, images }, context);
  const { length } = dataset.splits[split];
  const pictureOf = async ({ map, strongest: [{ index, value }] }: MapActivations): Promise<StrongestReal> => {
    const { image, label } = await dataset.splits[split].get(index);
    const seen = preprocess.toImage(preprocess.evaluation([image]));
    return { map, value, index, image: seen, class: dataset.classes[label] };
  };
  const strongest: Record<string, StrongestReal[]> = {};
  for (const layer of layers) {
    strongest[layer] = [];
    for (const each of found[layer]) strongest[layer].push(await pictureOf(each));
  }
  return { split, images: Math.min(images, length), strongest };
}

function commandLine(path: string, { layers = [], maps, data, split }: AscendOptions): string {
  const words = ['npx zfnet ascend', path, ...layers.map((names) => `--layers ${names}`)];
  if (maps) words.push(`--maps ${mapsText(maps)}`);
  if (data) words.push(`--data ${data}`);
  if (split !== IMAGES.split) words.push(`--split ${split}`);
  return words.join(' ');
}

function table({ layers, split, images }: AscendNumbers, files: readonly string[]): string {
  const line = ({ layer, maps, dead, dominating, unmoved, stronger }: AscendNumbers['layers'][number]) =>
    [
      `  ${layer.padEnd(8)} ${String(maps.length).padStart(4)} maps`,
      split && `${stronger} above the strongest of ${images} images of ${split}`,
      split && `${dead.length} dead${dead.length > 0 ? ` (${dead.join(', ')})` : ''}`,
      unmoved.length > 0 && `not brought above zero: ${unmoved.join(', ')}`,
      dominating.length > 0 && `dominating: ${dominating.join(', ')}`,
    ]
      .filter(Boolean)
      .join(', ');
  return [...layers.map(line), `written: ${files.join(', ')}`].join('\n');
}
