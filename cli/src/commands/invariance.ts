/** `zfnet invariance`: measures how features and class probabilities change when images are shifted, scaled and rotated (paper, Fig. 5). */
import type { Command } from 'commander';
import {
  type Invariance,
  invariance,
  invarianceAmounts,
  pickExamples,
  predict,
  type Run,
  TRANSFORMATIONS,
  type Transformation,
} from 'zfnet';
import { type Example, readImage, type Split, type Warp, warpImage } from 'zfnet/data';
import { type Experiment, firstNames, type InvarianceNumbers, type InvariancePictures, inputOf, invarianceExperiment } from 'zfnet/report';
import { type Context, defineCommand, handler, UsageError } from '../command.js';
import { asUsage, layersNamed, stoppable } from '../look.js';
import { classOption, dataOption, imagesOption, layersOption, outOption, renamedOption, splitOption } from '../options.js';
import { experimentsFolder, writeExperiment } from '../report/experiment.js';
import { matchClasses } from '../run/classes.js';
import { type DataChoice, openRunData } from '../run/data.js';
import { openRun } from '../run/runs.js';
import { percent } from '../terminal/reporter.js';
import { pickSplit } from './evaluate.js';

interface InvarianceOptions extends DataChoice {
  split: string;
  images: number;
  class?: string[];
  layers?: string[];
  out?: string;
}

const EXAMPLES = [
  'zfnet invariance runs/demo                                  # five correctly classified validation images',
  'zfnet invariance runs/demo --images 8 --layers conv1,conv5,fc7',
  'zfnet invariance runs/photos a.jpg b.jpg --class cat --class dog',
];

export function invarianceCommand(program: Command): void {
  const command = defineCommand(
    program,
    'invariance <run> [images...]',
    'measure how the features change when images are shifted, scaled and rotated (Fig. 5)',
    EXAMPLES,
  )
    .addOption(dataOption())
    .addOption(splitOption('val'))
    .addOption(imagesOption('sampled at random from the correctly classified ones', 5))
    .addOption(classOption('for image files, once per image, in the same order (default: the predicted class)', true))
    .addOption(layersOption('the first convolution and the last layer before the classes'))
    .addOption(outOption('folder for invariance.json, .html and .png (default: RUN/experiments)'))
    .action(
      handler(async (context, path: string, files: string[], options: InvarianceOptions) => {
        await context.engine();
        const run = await openRun(path);
        try {
          await stoppable(context, 'nothing was written', () => moveImages(context, path, run, files, options));
        } finally {
          run.model.dispose();
        }
      }),
    );
  renamedOption(command, '--layer <name>', '--layers');
}

async function moveImages(context: Context, path: string, run: Run, files: readonly string[], options: InvarianceOptions): Promise<void> {
  const { out = experimentsFolder(path) } = options;
  const examples = files.length > 0 ? await fromFiles(run, files, options) : await fromSplit(context, run, options);
  const experiment = await invarianceOf(context, run, examples, layersNamed(run, options.layers));
  const numbers = experiment.numbers as InvarianceNumbers;
  const written = await writeExperiment(experiment, out, commandLine(path, files, options));
  context.result({ ...numbers, files: written }, () => table(numbers, written));
}

/** Runs the experiment on some images with their true classes. */
export async function invarianceOf(context: Context, run: Run, examples: Example[], layers?: string[]): Promise<Experiment> {
  const { model, preprocess, classes } = run;
  const { inputSize } = preprocess.options;
  const amounts = invarianceAmounts(inputSize);
  const total = TRANSFORMATIONS.reduce((sum, kind) => sum + amounts[kind].length, 0);
  const bar = context.reporter.bar('transforming', total, 'steps');
  const found = await asUsage(() =>
    invariance(model, examples, {
      layers,
      amounts,
      preprocess: (batch: Example[]) => inputOf(preprocess, batch),
      signal: context.signal,
      onProgress: (done) => bar.update(done),
    }),
  );
  bar.stop();
  const images = examples.map(({ name, label }) => ({ name, class: classes[label] }));
  return invarianceExperiment({ images, inputSize, ...found }, picturesOf(run, examples, amounts));
}

async function fromSplit(context: Context, run: Run, options: InvarianceOptions): Promise<Example[]> {
  if (options.class) throw new UsageError('--class applies to image files only: the classes of a data set are known');
  const dataset = await openRunData(run, options, context.reporter);
  return await rightOnes(run, matchClasses(pickSplit(dataset, options.split), dataset, run), options.images);
}

/** Images sampled at random from a split, correctly classified ones first. */
export const rightOnes = ({ model, preprocess }: Run, split: Split, count: number): Promise<Example[]> =>
  pickExamples(model, split, { count, preprocess: (batch: Example[]) => inputOf(preprocess, batch) });

/** Reads images from files, with the given classes, or with the predicted ones. */
async function fromFiles(
  { model, preprocess, classes }: Run,
  files: readonly string[],
  { class: named, maxPixels }: InvarianceOptions,
): Promise<Example[]> {
  if (named && named.length !== files.length)
    throw new UsageError(`--class is given ${named.length} times for ${files.length} images; give it once per image, in the same order`);
  const unknown = named?.find((name) => !classes.includes(name));
  if (unknown !== undefined) throw new UsageError(`there is no class '${unknown}'; the run knows ${firstNames(classes, 24)}`);
  const { side, channels } = preprocess.options;
  const images = await Promise.all(files.map((file) => readImage(file, { size: side, channels, pixelLimit: maxPixels })));
  const names = named ?? (await predict({ model, preprocess, classes }, images, { top: 1 })).map(([best]) => best.class);
  return images.map((image, index) => ({ image, index, name: files[index], label: classes.indexOf(names[index]) }));
}

/** Returns the images, and the first of them under the extremes of each transformation. */
function picturesOf(
  { preprocess }: Run,
  examples: readonly Example[],
  amounts: Readonly<Record<Transformation, readonly number[]>>,
): InvariancePictures {
  const seen = (image: Example['image']) => preprocess.toImage(preprocess.evaluation([image]));
  const moved = (warp: Warp, words: string) => ({ image: seen(warpImage(examples[0].image, warp)), words });
  const { translation, scale } = amounts;
  const [up, down, largest] = [translation[0], translation[translation.length - 1], scale[scale.length - 1]];
  return {
    images: examples.map(({ image }) => seen(image)),
    moved: {
      translation: [
        moved({ shift: [up, 0] }, `shifted up by ${-up} pixels`),
        moved({}, 'original'),
        moved({ shift: [down, 0] }, `shifted down by ${down} pixels`),
      ],
      scale: [moved({}, 'original'), moved({ scale: largest }, `enlarged ${largest} times`)],
      rotation: [0, 45, 90, 180].map((degrees) =>
        moved({ rotation: degrees }, degrees === 0 ? 'original' : `rotated by ${degrees} degrees`),
      ),
    },
  };
}

function commandLine(path: string, files: readonly string[], options: InvarianceOptions): string {
  const words = ['npx zfnet invariance', path, ...files];
  if (options.data) words.push(`--data ${options.data}`);
  if (options.split !== 'val') words.push(`--split ${options.split}`);
  if (files.length === 0 && options.images !== 5) words.push(`--images ${options.images}`);
  for (const name of options.class ?? []) words.push(`--class ${name}`);
  for (const names of options.layers ?? []) words.push(`--layers ${names}`);
  return words.join(' ');
}

function table({ layers, ...found }: Pick<Invariance, 'layers' | Transformation>, files: readonly string[]): string {
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const rows = TRANSFORMATIONS.flatMap((kind) => {
    const steps = found[kind];
    return [steps[0], steps[steps.length - 1]].map((step) => {
      const changes = layers.map((layer) => `${layer} ${percent(mean(step.relative[layer])).padStart(8)}`);
      return `  ${kind.padEnd(11)} ${String(step.amount).padStart(5)}  ${changes.join('  ')}  probability ${percent(mean(step.probability))}`;
    });
  });
  return [
    'relative change of the features and probability of the true class at the extremes (mean over the images):',
    ...rows,
    `written: ${files.join(', ')}`,
  ].join('\n');
}
