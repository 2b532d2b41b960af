/** `zfnet train`: trains a network and keeps its files in a run folder, or resumes a run. */
import type { Command } from 'commander';
import type { Evaluation, InitScheme, PresetName } from 'zfnet';
import { evaluate, memory, PRESETS } from 'zfnet';
import { type Context, decimal, defineCommand, handler, Interrupted, oneOf, UsageError, whole } from '../command.js';
import { baselinesOption, outOption, sourcesHelp } from '../options.js';
import { measureBaselines, type TestedSplit, testSplits, testTable } from '../report/tested_splits.js';
import { type DataChoice, dataOptionsOf } from '../run/data.js';
import { INITS } from '../run/defaults.js';
import { openRun } from '../run/runs.js';
import type { TrainRunOptions, TrainRunResult } from '../run/training/options.js';
import { addRecipeOptions, type RecipeOptions, recipeOf } from '../run/training/recipe_options.js';
import { trainRun } from '../run/training/train_run.js';
import { bytes, duration, percent } from '../terminal/reporter.js';

interface TrainOptions extends DataChoice, RecipeOptions {
  out: string;
  preset?: PresetName;
  width?: number;
  inputSize?: number;
  dropout?: number;
  init?: InitScheme;
  scale?: number;
  workers?: number;
  valFraction?: number;
  meanExamples?: number;
  checkpointMinutes?: number;
  checkpointSteps?: number;
  baselines?: boolean;
  resume?: boolean;
  prepare?: boolean;
  from?: string;
  freeze?: string;
  keepMib?: number;
  force?: boolean;
}

const EXAMPLES = [
  'zfnet train --data mnist --out runs/digits --preset small --width 0.125 --dropout 0.3 --epochs 12 --lr 0.02 --schedule cosine',
  'zfnet train --data scenes --out runs/scenes --width 0.25 --input-size 80 --dropout 0 --init mixed --batch-size 32 --lr 0.012 --schedule cosine --augment random --epochs 32',
  'zfnet train --data photos/ --out runs/photos --preset a --input-size 224',
  'zfnet train --data photos/ --out runs/adamw --optimizer adamw --lr 0.0005 --schedule cosine --warmup 200 --clip-grad-norm 1 --label-smoothing 0.1',
  'zfnet train --from runs/scenes --freeze conv1-fc7 --data photos/ --out runs/mine --epochs 20',
  'zfnet train --out runs/photos --resume',
];
const NOTE = `
The first example takes a minute or two on two cores and reaches about 1 % error on the 2,000 held-out digits of mnist. The second takes a
quarter of an hour and reaches less than 2 % error on unseen photographs. The third trains the paper’s network at full size, which takes
days without a GPU. The fourth uses AdamW with a warm-up, limits the gradients and smooths the labels. The fifth freezes the layers of
runs/scenes and trains a new softmax layer for other classes, at seconds per epoch. The last one resumes a run after Ctrl-C or a crash,
with its recorded optimiser and settings.`;

export function trainCommand(program: Command): void {
  const command = defineCommand(program, 'train', 'train a network on your images, with a checkpoint per epoch', EXAMPLES)
    .option('--data <source>', 'image source: one of the forms listed below')
    .addOption(outOption('folder of the run; it must be new or empty, except with --resume or --force').makeOptionMandatory())
    .option('--resume', 'resume the run in --out bit for bit, with its recorded settings')
    .option('--prepare', 'write only the configuration, the mean image and the initial weights, for training in PyTorch (interop/pytorch)')
    .option('--force', 'start a new run although --out is not empty; an earlier run in it is replaced');
  addNetworkOptions(command.optionsGroup('Network:'));
  addRecipeOptions(command);
  addFileOptions(command.optionsGroup('Data and files:')).addHelpText('after', `${NOTE}\n\n${sourcesHelp()}`).action(handler(trainAction));
}

function addNetworkOptions(command: Command): Command {
  return command
    .option(
      '--from <run>',
      'start from the network, weights and mean image of another run; the last layer is initialised anew for other classes',
    )
    .option(
      '--freeze <layers>',
      'with --from: layers whose weights do not change, such as conv1-fc7; without augmentation, their output is computed once per image',
    )
    .option('--keep-mib <n>', 'memory in MiB for cached outputs of the frozen layers (default: 1024)', whole({ min: 0 }))
    .option(
      '--preset <name>',
      `network: ${Object.keys(PRESETS).join(', ')} (default: a; small for images below 64 pixels)`,
      oneOf(Object.keys(PRESETS) as PresetName[]),
    )
    .option('--width <factor>', 'factor on the number of maps and units of every layer (default: 1)', decimal({ above: 0 }))
    .option(
      '--input-size <pixels>',
      'height and width of the input (default: 224; the image size for smaller images; 64 for scenes)',
      whole({ min: 1 }),
    )
    .option('--dropout <p>', 'dropout probability after fc6 and fc7 (default: 0.5)', decimal({ min: 0, below: 1 }))
    .option('--init <scheme>', 'initial weights: paper, he, glorot or mixed (default: paper at full size, otherwise he)', oneOf(INITS))
    .option(
      '--scale <factor>',
      'factor on the pixels after subtracting the mean image (default: 1 with --init paper, 1/16 with mixed, otherwise 1/64)',
      decimal({ above: 0 }),
    );
}

function addFileOptions(command: Command): Command {
  return command
    .option(
      '--val-fraction <f>',
      'fraction of the images held out for validation if the source has no split val (default: 0.1)',
      decimal({ above: 0, below: 1 }),
    )
    .option('--mean-examples <n>', 'number of images, sampled at random, for the mean image (default: all)', whole({ min: 1 }))
    .option(
      '--workers <n>',
      'number of threads that read and decode images; 0: the main thread does it (default: half the cores, at most 4)',
      whole({ min: 0, max: 64 }),
    )
    .option('--checkpoint-minutes <m>', 'minutes between checkpoints within an epoch (default: 5)', decimal({ above: 0 }))
    .option('--checkpoint-steps <n>', 'steps between checkpoints within an epoch (default: none)', whole({ min: 1 }))
    .addOption(baselinesOption('(after training)'));
}

async function trainAction(context: Context, options: TrainOptions): Promise<void> {
  if (!options.data && !options.resume)
    throw new UsageError('there are no images to train on: give --data SOURCE (mnist and scenes are embedded)');
  checkStart(options);
  if (options.prepare && options.resume) throw new UsageError('--prepare begins a run and --resume continues one: give one of them');
  const job = jobOf(options, context);
  context.catchSignals();
  await context.engine();
  const result = await trainRun(job, context.reporter);
  result.model.dispose();
  const tests = options.baselines && result.status === 'done' ? await testBest(result, context) : null;
  context.result({ ...summary(result), ...(tests && { tests }) }, () =>
    [sentence(result), ...(tests ? [testTable(tests)] : [])].join('\n'),
  );
  if (result.status === 'stopped')
    throw new Interrupted(
      `stopped at step ${result.step}, in epoch ${result.epoch + 1}; resume with: npx zfnet train --out ${options.out} --resume`,
      context.signalStatus(),
    );
}

function jobOf(options: TrainOptions, { common, signal }: Context): TrainRunOptions {
  const { data, out, preset, width, inputSize, dropout, init, scale, from, freeze, keepMib, resume, prepare, force } = options;
  const { workers, meanExamples, checkpointMinutes, checkpointSteps, valFraction } = options;
  return {
    ...{ data, out, preset, width, inputSize, dropout, init, scale, from, freeze, resume, force },
    dataOptions: { valFraction, ...dataOptionsOf(options) },
    training: recipeOf(options, common.seed),
    keepBytes: keepMib === undefined ? undefined : keepMib * 2 ** 20,
    prepareOnly: prepare,
    ...{ meanExamples, checkpointMinutes, checkpointSteps, workers, signal },
  };
}

/** Throws `UsageError` for options that contradict `--from`, and for `--freeze` without it. */
function checkStart({ from, freeze, resume, preset, width, inputSize, init, scale, meanExamples }: TrainOptions): void {
  if (freeze !== undefined && from === undefined && !resume)
    throw new UsageError('--freeze keeps trained layers: name the run that they come from with --from');
  const given = Object.entries({ preset, width, 'input-size': inputSize, init, scale, 'mean-examples': meanExamples });
  const [clash] = given.filter(([, value]) => value !== undefined);
  if (from !== undefined && clash) throw new UsageError(`--from uses the network and the mean image of ${from}: leave out --${clash[0]}`);
}

/** Measures the errors of the best weights and of the baselines on every test split. */
async function testBest({ out, dataset }: TrainRunResult, { reporter }: Context): Promise<TestedSplit[]> {
  const run = await openRun(out);
  const splits = testSplits(dataset);
  const found: Evaluation[] = [];
  try {
    for (const name of splits) {
      const bar = reporter.bar(`testing on ${name}`, dataset.splits[name].length, 'images');
      const onBroken = (error: Error) => reporter.warn(`left out: ${error.message}`);
      found.push(await evaluate(run, dataset.splits[name], { onBroken, onProgress: (done) => bar.update(done) }));
      bar.stop();
    }
  } finally {
    run.model.dispose();
  }
  const simpler = await measureBaselines(dataset, splits, { linear: true }, reporter);
  return splits.map((split, i) => {
    const { examples, top1Error, top5Error } = found[i];
    return { split, examples, top1Error, top5Error, ...simpler[i] };
  });
}

/** The result that `--json` prints. */
function summary(result: TrainRunResult): object {
  const { out, status, epoch, step, best, metrics, seconds } = result;
  const last = metrics.at(-1) ?? null;
  return { run: out, status, epoch, step, best, last, seconds: Number(seconds.toFixed(1)), peakBytes: memory().peakBytes };
}

/** Number of training images of ImageNet 2012, and the input size from which a comparison with ImageNet makes sense. */
const IMAGENET_IMAGES = 1_281_167;
const IMAGENET_SIDE = 200;

function sentence({ out, status, epoch, best, seconds, metrics, config }: TrainRunResult): string {
  if (status === 'prepared') return `${out}: prepared for training; no step was taken`;
  const done = `${epoch} ${epoch === 1 ? 'epoch' : 'epochs'} done${status === 'done' ? '' : ' so far'}`;
  const score = best ? `; best error ${percent(best.top1Error)} in epoch ${best.epoch}` : '';
  const { imagesPerSecond = 0 } = metrics.at(-1) ?? {};
  const speed = imagesPerSecond > 0 ? `; ${imagesPerSecond} images/s` : '';
  const imagenet =
    imagesPerSecond > 0 && config.architecture.inputSize >= IMAGENET_SIDE
      ? ` (an epoch of ImageNet's ${IMAGENET_IMAGES.toLocaleString('en-US')} images would take ${(IMAGENET_IMAGES / imagesPerSecond / 3600).toFixed(1)} hours)`
      : '';
  return `${out}: ${done} in ${duration(seconds)}${score}${speed}${imagenet}; peak memory of tensors ${bytes(memory().peakBytes)}`;
}
