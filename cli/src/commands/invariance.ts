/** `zfnet invariance`: what moving, enlarging and turning images does to features and answers (paper, Fig. 5). */
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
import { type Experiment, type InvarianceNumbers, type InvariancePictures, inputOf, invarianceExperiment } from 'zfnet/report';
import { type Context, defineCommand, handler, UsageError, whole } from '../command.js';
import { asUsage, collect, stoppable } from '../look.js';
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
  layer?: string[];
  out?: string;
}

const EXAMPLES = [
  'zfnet invariance runs/demo                                  # five validation images that the network gets right',
  'zfnet invariance runs/demo --images 8 --layer conv1 --layer conv5 --layer fc7',
  'zfnet invariance runs/photos a.jpg b.jpg --class cat --class dog',
];

export function invarianceCommand(program: Command): void {
  defineCommand(
    program,
    'invariance <run> [images...]',
    'what moving, enlarging and turning images does to the features (Fig. 5)',
    EXAMPLES,
  )
    .option('--data <source>', 'as for train (default: what the run was trained on)')
    .option('--split <name>', 'val, train, or another split of the source', 'val')
    .option(
      '--images <n>',
      'number of images of the split, sampled at random among those that the network classifies correctly',
      whole({ min: 1 }),
      5,
    )
    .option('--class <name>', 'true class of an image given; once for each, in their order (default: the network’s answer)', collect)
    .option(
      '--layer <name>',
      'this layer; may be given several times (default: the first convolution and the last layer before the classes)',
      collect,
    )
    .option('--out <folder>', 'where invariance.json, .html and .png go (default: RUN/experiments)')
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
}

async function moveImages(context: Context, path: string, run: Run, files: readonly string[], options: InvarianceOptions): Promise<void> {
  const { out = experimentsFolder(path) } = options;
  const examples = files.length > 0 ? await fromFiles(run, files, options) : await fromSplit(context, run, options);
  const experiment = await invarianceOf(context, run, examples, options.layer);
  const numbers = experiment.numbers as InvarianceNumbers;
  const written = await writeExperiment(experiment, out, commandLine(path, files, options));
  context.result({ ...numbers, files: written }, () => table(numbers, written));
}

/** The experiment on some images with their true classes. */
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
  if (options.class) throw new UsageError('--class belongs to image files; the classes of a data set are known');
  const dataset = await openRunData(run, options, context.reporter);
  return await rightOnes(run, matchClasses(pickSplit(dataset, options.split), dataset, run), options.images);
}

/** Images sampled at random from a split, correctly classified ones first. */
export const rightOnes = ({ model, preprocess }: Run, split: Split, count: number): Promise<Example[]> =>
  pickExamples(model, split, { count, preprocess: (batch: Example[]) => inputOf(preprocess, batch) });

/** Images from files, with the classes given, or else those that the network names. */
async function fromFiles(
  { model, preprocess, classes }: Run,
  files: readonly string[],
  { class: named, maxPixels }: InvarianceOptions,
): Promise<Example[]> {
  if (named && named.length !== files.length)
    throw new UsageError(`--class is given ${named.length} times for ${files.length} images; give one for each, in their order`);
  const unknown = named?.find((name) => !classes.includes(name));
  if (unknown !== undefined) throw new UsageError(`there is no class '${unknown}'; the run knows ${classes.slice(0, 24).join(', ')}`);
  const { side, channels } = preprocess.options;
  const images = await Promise.all(files.map((file) => readImage(file, { size: side, channels, pixelLimit: maxPixels })));
  const names = named ?? (await predict({ model, preprocess, classes }, images, { top: 1 })).map(([best]) => best.class);
  return images.map((image, index) => ({ image, index, name: files[index], label: classes.indexOf(names[index]) }));
}

/** The images, and the first of them at the ends of each transformation. */
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
        moved({ shift: [up, 0] }, `moved up by ${-up} pixels`),
        moved({}, 'as it was'),
        moved({ shift: [down, 0] }, `moved down by ${down} pixels`),
      ],
      scale: [moved({}, 'as it was'), moved({ scale: largest }, `enlarged ${largest} times`)],
      rotation: [0, 45, 90, 180].map((degrees) =>
        moved({ rotation: degrees }, degrees === 0 ? 'as it was' : `turned by ${degrees} degrees`),
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
  for (const name of options.layer ?? []) words.push(`--layer ${name}`);
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
    'change of the features, and probability of the right class, at the ends (mean over the images):',
    ...rows,
    `written: ${files.join(', ')}`,
  ].join('\n');
}
