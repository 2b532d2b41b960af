/**
 * `zfnet occlude`: slides a grey square over one image, or over all images of a split, and measures the class probability (paper, Fig. 7).
 */
import type { Command } from 'commander';
import {
  convolutions,
  fieldSize,
  inCentreCrop,
  type MapActivations,
  meanShade,
  type Occlusion,
  occlude,
  occludeSplit,
  plainImage,
  projectMaps,
  projectTop,
  type Run,
  type SplitOcclusion,
} from 'zfnet';
import { type Dataset, type Example, type Image, readImage } from 'zfnet/data';
import { type Experiment, firstNames, inputOf, type OccludeInput, occludeBoxesExperiment, occludeExperiment } from 'zfnet/report';
import { type Context, defineCommand, handler, UsageError, whole } from '../command.js';
import { asUsage, stoppable, strongestOf } from '../look.js';
import {
  batchSizeOption,
  classOption,
  dataOption,
  greyOption,
  imagesOption,
  layerOption,
  mapOption,
  outOption,
  renamedOption,
  splitOption,
} from '../options.js';
import { experimentsFolder, writeExperiment } from '../report/experiment.js';
import { matchClasses } from '../run/classes.js';
import { type DataChoice, openRunData } from '../run/data.js';
import { openRun } from '../run/runs.js';
import { percent } from '../terminal/reporter.js';
import { pickSplit } from './evaluate.js';

interface OccludeOptions extends DataChoice {
  square?: number;
  stride?: number;
  class?: string;
  layer?: string;
  map?: number;
  grey?: number;
  split: string;
  index?: number;
  images?: number;
  batchSize: number;
  out?: string;
}

/** Default number of square positions per forward pass. */
const BATCH = 64;

const EXAMPLES = [
  'zfnet occlude runs/demo cat.jpg --class cat-face                 # one image',
  'zfnet occlude runs/demo --index 17                               # image 17 of the validation split',
  'zfnet occlude runs/demo cat.jpg --data scenes --layer conv4      # also shows the map’s strongest activations',
  'zfnet occlude runs/demo --data scenes --split val                # all images, compared with object boxes',
];
const NOTE = `
With an image, the command writes occlude.json, .html and .png. Without one, it measures for every image where the probability of the true
class drops, and compares these positions with the box of the object (occlude-boxes.json, .html, .png). That needs a source with object boxes,
such as scenes.`;

export function occludeCommand(program: Command): void {
  const description = 'slide a grey square over an image and measure the class probability (Fig. 7)';
  const command = defineCommand(program, 'occlude <run> [image]', description, EXAMPLES)
    .option('--square <pixels>', 'side of the square (default: a fifth of the input size)', whole({ min: 1 }))
    .option('--stride <pixels>', 'distance between square positions (default: half the side of the square)', whole({ min: 1 }))
    .addOption(classOption('(default: the true class if known, otherwise the predicted one)'))
    .addOption(layerOption('that of the map whose activation is measured (default: the last convolution)'))
    .addOption(mapOption('the one whose activation is measured (default: the one with the strongest activation)'))
    .addOption(greyOption('of the square'))
    .addOption(dataOption(undefined, '; with an image file, also shows the strongest activations of the map in this source'))
    .addOption(splitOption('val'))
    .option('--index <n>', 'index of an image of the split, instead of an image file', whole({ min: 0 }))
    .addOption(imagesOption('without an image, sampled at random (default: all)'))
    .addOption(batchSizeOption('square positions per forward pass', BATCH))
    .addOption(outOption('folder for the files (default: RUN/experiments)'))
    .addHelpText('after', NOTE)
    .action(
      handler(async (context, path: string, image: string | undefined, options: OccludeOptions) => {
        if (image !== undefined && options.index !== undefined) throw new UsageError('give an image or --index, not both');
        const single = image !== undefined || options.index !== undefined;
        const only = single ? { images: options.images } : { class: options.class, layer: options.layer, map: options.map };
        for (const [name, value] of Object.entries(only))
          if (value !== undefined)
            throw new UsageError(
              `--${name} ${single ? 'applies to a whole split: leave the image out' : 'applies to one image: give an image, or --index'}`,
            );
        await context.engine();
        const run = await openRun(path);
        try {
          await stoppable(context, 'nothing was written', () =>
            single ? occludeImage(context, path, run, image, options) : occludeAll(context, path, run, options),
          );
        } finally {
          run.model.dispose();
        }
      }),
    );
  renamedOption(command, '--example <n>', '--index');
}

/** Returns the square and stride of the options, and the input that the square shows (plain grey). */
function squareOf({ preprocess }: Run, options: OcclusionOptions) {
  const { inputSize } = preprocess.options;
  const square = options.square ?? Math.max(1, Math.round(inputSize / 5));
  const stride = options.stride ?? Math.max(1, Math.round(square / 2));
  const shade = options.grey ?? meanShade(preprocess);
  return { square, stride, shade, grey: inputOf(preprocess, [{ image: plainImage(preprocess.options, shade) }]) };
}

export interface Subject {
  image: Image;
  name: string;
  /** Index of the true class, if it is known. */
  label?: number;
  /** How it was chosen, as a sentence. */
  chosen?: string;
}

async function occludeImage(context: Context, path: string, run: Run, file: string | undefined, options: OccludeOptions): Promise<void> {
  const dataset = file === undefined || options.data !== undefined ? await openRunData(run, options, context.reporter) : null;
  const subject = await subjectOf(run, file, dataset, options);
  const others = options.data !== undefined ? dataset : null;
  const { experiment, occlusion } = await occlusionOf(context, path, run, subject, others, options);
  const files = await writeExperiment(experiment, options.out ?? experimentsFolder(path), commandLine(path, file, options));
  context.result({ ...(experiment.numbers as object), files }, () => imageText(occlusion, run.classes, files));
}

/** Options of `occlusionOf`; the defaults follow the network. */
type OcclusionOptions = Partial<OccludeOptions>;

/**
 * Runs the experiment on one image.
 *
 * @param others data set in which the strongest activations of the map are searched; null to skip the search
 */
export async function occlusionOf(
  context: Context,
  path: string,
  run: Run,
  subject: Subject,
  others: Dataset | null,
  options: OcclusionOptions,
): Promise<{ experiment: Experiment; occlusion: Occlusion }> {
  const { model, preprocess, classes } = run;
  const { batchSize = BATCH, split = 'val' } = options;
  const layer = options.layer ?? convolutions(model).at(-1);
  if (layer === undefined) throw new UsageError('this network has no convolution: name a layer with --layer');
  const label = labelOf(options.class, classes) ?? subject.label;
  const { square, stride, shade, grey } = squareOf(run, options);
  const input = inputOf(preprocess, [subject]);
  const bar = context.reporter.bar('occluding', 1, 'steps');
  const occlusion = await asUsage(() =>
    occlude(model, input, {
      square,
      stride,
      grey,
      label,
      layer,
      map: options.map,
      batchSize,
      signal: context.signal,
      onProgress: (done, of) => bar.update(done / of),
    }),
  );
  bar.stop();
  const [{ projection }] = await projectMaps(model, input, layer, [{ map: occlusion.map }]);
  const seen = preprocess.toImage(await input.data());
  input.dispose();
  grey.dispose();
  const experiment = occludeExperiment({
    occlusion,
    image: seen,
    name: subject.name,
    isTruth: subject.label !== undefined && label === subject.label,
    chosen: subject.chosen,
    classes,
    square,
    stride,
    grey: shade,
    projection,
    others: others ? await othersOf(context, path, run, others, split, occlusion) : undefined,
  });
  return { experiment, occlusion };
}

async function subjectOf(run: Run, file: string | undefined, dataset: Dataset | null, options: OccludeOptions): Promise<Subject> {
  const { side, channels } = run.preprocess.options;
  if (file !== undefined) return { image: await readImage(file, { size: side, channels, pixelLimit: options.maxPixels }), name: file };
  const split = matchClasses(pickSplit(dataset!, options.split), dataset!, run);
  if (options.index! >= split.length)
    throw new UsageError(`--index is ${options.index}, ${options.split} has images 0 to ${split.length - 1}`);
  const { image, label } = await split.get(options.index!);
  return { image, label, name: `${options.split} ${options.index}` };
}

function labelOf(name: string | undefined, classes: readonly string[]): number | undefined {
  if (name === undefined) return undefined;
  const label = classes.indexOf(name);
  if (label < 0) throw new UsageError(`there is no class '${name}'; the run knows ${firstNames(classes, 24)}`);
  return label;
}

/** Finds and projects the strongest activations of the map in other images. */
async function othersOf(
  context: Context,
  path: string,
  { model, preprocess }: Run,
  dataset: Dataset,
  split: string,
  { layer, map }: Occlusion,
): Promise<OccludeInput['others']> {
  pickSplit(dataset, split);
  const found = await strongestOf({ path, model, preprocess, dataset, split, layers: [layer], maps: [map], count: 9 }, context);
  const maps: MapActivations[] = found[layer];
  const [projected] = await projectTop(model, dataset.splits[split], maps, {
    layer,
    preprocess: (examples: Example[]) => inputOf(preprocess, examples),
  });
  const { inputSize, channels } = preprocess.options;
  const field = fieldSize(model, layer, [1, channels, inputSize, inputSize]);
  return { view: { preprocess, classes: dataset.classes, split, layer, field }, map: projected };
}

async function occludeAll(context: Context, path: string, run: Run, options: OccludeOptions): Promise<void> {
  const { out = experimentsFolder(path), split } = options;
  const dataset = await openRunData(run, options, context.reporter);
  const made = await occlusionOfSplit(context, run, dataset, options);
  if (!made) throw new UsageError(`${dataset.name} has no object boxes: give an image, or --data scenes`);
  const { experiment, result } = made;
  const files = await writeExperiment(experiment, out, commandLine(path, undefined, options));
  const { images, drop, area } = result;
  context.result({ ...(experiment.numbers as object), files }, () =>
    [
      `${images} images of ${split}: ${percent(drop.mean)} of the probability drop falls inside the object's box, which covers ${percent(area.mean)} of the area`,
      `written: ${files.join(', ')}`,
    ].join('\n'),
  );
}

/** Runs the experiment on the images of a split. Returns null if the data set has no object boxes. */
export async function occlusionOfSplit(
  context: Context,
  run: Run,
  dataset: Dataset,
  options: OcclusionOptions,
): Promise<{ experiment: Experiment; result: SplitOcclusion } | null> {
  const { model, preprocess } = run;
  const { split: name = 'val', batchSize = BATCH } = options;
  const split = matchClasses(pickSplit(dataset, name), dataset, run);
  if (!(await split.get(0)).details) return null;
  const { square, stride, shade, grey } = squareOf(run, options);
  const bar = context.reporter.bar('occluding', Math.min(options.images ?? split.length, split.length), 'images');
  const result = await asUsage(() =>
    occludeSplit(model, split, {
      square,
      stride,
      grey,
      batchSize,
      images: options.images,
      preprocess: (examples: Example[]) => inputOf(preprocess, examples),
      boxOf: ({ details }) => (details ? inCentreCrop(preprocess.options, details.box) : null),
      signal: context.signal,
      onProgress: (done) => bar.update(done),
      onBroken: (error) => context.reporter.warn(`left out: ${error.message}`),
    }),
  );
  bar.stop();
  grey.dispose();
  return { result, experiment: occludeBoxesExperiment({ data: dataset.name, split: name, square, stride, grey: shade, ...result }) };
}

function commandLine(path: string, file: string | undefined, options: OccludeOptions): string {
  const { split, index, square, stride, layer, map, grey, data, images } = options;
  const words = ['npx zfnet occlude', path, ...(file === undefined ? [] : [file])];
  const given = {
    square,
    stride,
    class: options.class,
    layer,
    map,
    grey,
    data,
    split: split === 'val' ? undefined : split,
    index,
    images,
  };
  for (const [name, value] of Object.entries(given)) if (value !== undefined) words.push(`--${name} ${value}`);
  return words.join(' ');
}

function imageText(
  { label, clean, probability, places, layer, map, incremental }: Occlusion,
  classes: readonly string[],
  files: readonly string[],
): string {
  const worst = probability.indexOf(Math.min(...probability));
  return [
    `${classes[label]}: ${percent(clean.probability)} without the square, ${percent(probability[worst])} with the square at ${places[worst].join(',')} (y,x)`,
    `map ${map} of ${layer}; ${places.length} positions, ${incremental ? 'recomputing only the region that the square affects' : 'computing every image in full'}`,
    `written: ${files.join(', ')}`,
  ].join('\n');
}
