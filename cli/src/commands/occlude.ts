/** `zfnet occlude`: what an answer depends on, by a grey square that slides over an image, or over those of a whole split (paper, Fig. 7). */
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
import { type Experiment, inputOf, type OccludeInput, occludeBoxesExperiment, occludeExperiment } from 'zfnet/report';
import { type Context, defineCommand, handler, UsageError, whole } from '../command.js';
import { asUsage, stoppable, strongestOf } from '../look.js';
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
  example?: number;
  images?: number;
  batchSize: number;
  out?: string;
}

/** Places at once. */
const BATCH = 64;

const EXAMPLES = [
  'zfnet occlude runs/demo cat.jpg --class cat-face                 # one image',
  'zfnet occlude runs/demo --example 17                             # image 17 of the run’s validation data',
  'zfnet occlude runs/demo cat.jpg --data scenes --layer conv4      # and what the map answers to in other images',
  'zfnet occlude runs/demo --data scenes --split val                # all images: the drop’s share inside the objects’ boxes',
];
const NOTE = `
With an image, occlude.json, .html and .png; without one, the drop of every image's true class is compared with the box of its object
(occlude-boxes.json, …), which needs data that knows where its objects are, as scenes does.`;

export function occludeCommand(program: Command): void {
  defineCommand(program, 'occlude <run> [image]', 'slide a grey square over an image: what the answer depends on (Fig. 7)', EXAMPLES)
    .option('--square <pixels>', 'side of the square (default: a fifth of the input)', whole({ min: 1 }))
    .option('--stride <pixels>', 'from one place to the next (default: half a square)', whole({ min: 1 }))
    .option('--class <name>', 'the class whose probability is watched (default: the true one where it is known, else the answer)')
    .option('--layer <name>', 'whose map is watched (default: the last convolution)')
    .option('--map <k>', 'which of its maps (default: the one that answers most strongly)', whole({ min: 0 }))
    .option('--grey <shade>', 'of the square, 0 to 255 (default: that of the mean image)', whole({ min: 0, max: 255 }))
    .option(
      '--data <source>',
      'as for train (default: what the run was trained on); with an image, shows the map’s strongest answers in it',
    )
    .option('--split <name>', 'val, train, or another split of the source', 'val')
    .option('--example <n>', 'take this image of the split', whole({ min: 0 }))
    .option('--images <n>', 'without an image: this many images of the split, sampled at random (default: all)', whole({ min: 1 }))
    .option('--batch-size <n>', 'places at once', whole({ min: 1 }), BATCH)
    .option('--out <folder>', 'where the files go (default: RUN/experiments)')
    .addHelpText('after', NOTE)
    .action(
      handler(async (context, path: string, image: string | undefined, options: OccludeOptions) => {
        if (image !== undefined && options.example !== undefined) throw new UsageError('give an image or --example, not both');
        const single = image !== undefined || options.example !== undefined;
        const only = single ? { images: options.images } : { class: options.class, layer: options.layer, map: options.map };
        for (const [name, value] of Object.entries(only))
          if (value !== undefined)
            throw new UsageError(
              `--${name} ${single ? 'counts images of a split' : 'belongs to one image'}: ${single ? 'leave the image out' : 'give an image, or --example'}`,
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
}

/** The square as the options have it, and what the input is behind it. */
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
  /** The true class, where it is known. */
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

/** What `occlusionOf` is told; the rest follows the network. */
type OcclusionOptions = Partial<OccludeOptions>;

/**
 * The experiment on one image.
 *
 * @param others where the map's strongest answers in other images are looked for, if anywhere
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
  if (layer === undefined) throw new UsageError('this network has no convolution: name a layer by --layer');
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
    isTruth: label !== undefined,
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
  if (options.example! >= split.length)
    throw new UsageError(`--example is ${options.example}, ${options.split} has images 0 to ${split.length - 1}`);
  const { image, label } = await split.get(options.example!);
  return { image, label, name: `${options.split} ${options.example}` };
}

function labelOf(name: string | undefined, classes: readonly string[]): number | undefined {
  if (name === undefined) return undefined;
  const label = classes.indexOf(name);
  if (label < 0)
    throw new UsageError(
      `there is no class '${name}'; the run knows ${classes.slice(0, 24).join(', ')}${classes.length > 24 ? ', …' : ''}`,
    );
  return label;
}

/** What the map answers to in other images. */
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
  if (!made) throw new UsageError(`nobody knows where the objects of ${dataset.name} are: give an image, or --data scenes`);
  const { experiment, result } = made;
  const files = await writeExperiment(experiment, out, commandLine(path, undefined, options));
  const { images, drop, area } = result;
  context.result({ ...(experiment.numbers as object), files }, () =>
    [
      `${images} images of ${split}: ${percent(drop.mean)} of the drop lies inside the object's box, which has ${percent(area.mean)} of the area`,
      `written: ${files.join(', ')}`,
    ].join('\n'),
  );
}

/** The experiment on the images of a split, or null where nobody knows where their objects are. */
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
  const { split, example, square, stride, layer, map, grey, data, images } = options;
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
    example,
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
    `${classes[label]}: ${percent(clean.probability)} as it is, ${percent(probability[worst])} with the square at ${places[worst].join(',')} (y,x)`,
    `watched: map ${map} of ${layer}; ${places.length} places, ${incremental ? 'only what the square reaches computed' : 'every image computed whole'}`,
    `written: ${files.join(', ')}`,
  ].join('\n');
}
