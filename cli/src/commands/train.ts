/** `zfnet train`: trains a network and keeps its files in a run folder, or resumes a run. */
import type { Command } from 'commander';
import type { Evaluation, InitScheme, PresetName, ScheduleOptions } from 'zfnet';
import { AUGMENTATIONS, type Augmentation, DEFAULT_TRAINING, evaluate, memory, PRESETS, SCHEDULES } from 'zfnet';
import { type Context, decimal, defineCommand, handler, Interrupted, oneOf, UsageError, whole } from '../command.js';
import { baselinesOption, batchSizeOption, outOption, sourcesHelp } from '../options.js';
import { measureBaselines, type TestedSplit, testSplits, testTable } from '../report/tested_splits.js';
import { type DataChoice, dataOptionsOf } from '../run/data.js';
import { INITS } from '../run/defaults.js';
import { openRun } from '../run/runs.js';
import type { TrainRunResult } from '../run/training/options.js';
import { trainRun } from '../run/training/train_run.js';
import { bytes, duration, percent } from '../terminal/reporter.js';

interface TrainOptions extends DataChoice {
  out: string;
  preset?: PresetName;
  width?: number;
  inputSize?: number;
  epochs?: number;
  batchSize?: number;
  microBatch?: number;
  lr?: number;
  momentum?: number;
  weightDecay?: number;
  dropout?: number;
  maxFilterRms?: number;
  init?: InitScheme;
  scale?: number;
  augment?: Augmentation;
  schedule?: ScheduleOptions['kind'];
  patience?: number;
  stepEpochs?: number;
  lrFactor?: number;
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
  'zfnet train --from runs/scenes --freeze conv1-fc7 --data photos/ --out runs/mine --epochs 20',
  'zfnet train --out runs/photos --resume',
];
const NOTE = `
The first example takes a minute or two on two cores and reaches about 1 % error on the 2,000 held-out digits of mnist. The second takes a
quarter of an hour and reaches less than 2 % error on unseen photographs. The third trains the paper’s network at full size, which takes
days without a GPU. The fourth freezes the layers of runs/scenes and trains a new softmax layer for other classes, at seconds per epoch.
The last one resumes a run after Ctrl-C or a crash.`;

export function trainCommand(program: Command): void {
  const { batchSize, lr, momentum, weightDecay, maxFilterRms } = DEFAULT_TRAINING;
  defineCommand(program, 'train', 'train a network on your images, with a checkpoint per epoch', EXAMPLES)
    .option('--data <source>', 'image source: one of the forms listed below')
    .addOption(outOption('folder of the run; it must be new or empty, except with --resume or --force').makeOptionMandatory())
    .option('--resume', 'resume the run in --out bit for bit, with its recorded settings')
    .option('--prepare', 'write only the configuration, the mean image and the initial weights, for training in PyTorch (interop/pytorch)')
    .option('--force', 'start a new run although --out is not empty; an earlier run in it is replaced')
    .optionsGroup('Network:')
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
    )
    .optionsGroup('Training recipe (the defaults are those of the paper):')
    .option('--epochs <n>', 'passes over the training images (default: 70; 20 for inputs below 64 pixels)', whole({ min: 0 }))
    .addOption(batchSizeOption(`images per step (default: ${batchSize})`))
    .option(
      '--micro-batch <n>',
      'images per forward and backward pass; gradients accumulate over a step, which saves memory (default: all images of a step)',
      whole({ min: 1 }),
    )
    .option('--lr <rate>', `initial learning rate (default: ${lr})`, decimal({ above: 0 }))
    .option('--momentum <m>', `momentum of SGD (default: ${momentum})`, decimal({ min: 0, below: 1 }))
    .option('--weight-decay <d>', `weight decay of SGD (default: ${weightDecay})`, decimal({ min: 0 }))
    .option(
      '--max-filter-rms <r>',
      `largest root mean square of a convolution filter; 0 for no limit (default: ${maxFilterRms})`,
      decimal({ min: 0 }),
    )
    .option('--schedule <kind>', `schedule of the learning rate: ${SCHEDULES.join(', ')} (default: plateau)`, oneOf(SCHEDULES))
    .option(
      '--patience <epochs>',
      'with plateau: epochs without a lower validation error before the rate is reduced (default: 3)',
      whole({ min: 0 }),
    )
    .option('--step-epochs <n>', 'with step: epochs between reductions of the rate (default: a third of all epochs)', whole({ min: 1 }))
    .option('--lr-factor <f>', 'with plateau and step: factor of each reduction (default: 0.1)', decimal({ above: 0, below: 1 }))
    .option(
      '--augment <kind>',
      'crops in training: paper (one of ten: corners and centre, mirrored or not), random (any position, mirrored or not), shift (any position), none (default: paper; shift for grey images)',
      oneOf(AUGMENTATIONS),
    )
    .optionsGroup('Data and files:')
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
    .addOption(baselinesOption('(after training)'))
    .addHelpText('after', `${NOTE}\n\n${sourcesHelp()}`)
    .action(
      handler(async (context, options: TrainOptions) => {
        if (!options.data && !options.resume)
          throw new UsageError('there are no images to train on: give --data SOURCE (mnist and scenes are embedded)');
        checkStart(options);
        if (options.prepare && options.resume) throw new UsageError('--prepare begins a run and --resume continues one: give one of them');
        context.catchSignals();
        await context.engine();
        const { data, out, preset, width, inputSize, dropout, init, scale, resume, prepare, force } = options;
        const { workers, meanExamples, checkpointMinutes, checkpointSteps, valFraction } = options;
        const result = await trainRun(
          {
            data,
            dataOptions: { valFraction, ...dataOptionsOf(options) },
            out,
            preset,
            width,
            inputSize,
            dropout,
            init,
            scale,
            training: {
              epochs: options.epochs,
              batchSize: options.batchSize,
              microBatch: options.microBatch,
              lr: options.lr,
              momentum: options.momentum,
              weightDecay: options.weightDecay,
              maxFilterRms: options.maxFilterRms === 0 ? null : options.maxFilterRms,
              schedule: scheduleOf(options),
              augment: options.augment,
              seed: context.common.seed,
            },
            from: options.from,
            freeze: options.freeze,
            keepBytes: options.keepMib === undefined ? undefined : options.keepMib * 2 ** 20,
            resume,
            prepareOnly: prepare,
            force,
            meanExamples,
            checkpointMinutes,
            checkpointSteps,
            workers,
            signal: context.signal,
          },
          context.reporter,
        );
        result.model.dispose();
        const tests = options.baselines && result.status === 'done' ? await testBest(result, context) : null;
        context.result({ ...summary(result), ...(tests && { tests }) }, () =>
          [sentence(result), ...(tests ? [testTable(tests)] : [])].join('\n'),
        );
        if (result.status === 'stopped')
          throw new Interrupted(
            `stopped at step ${result.step}, in epoch ${result.epoch + 1}; resume with: npx zfnet train --out ${out} --resume`,
            context.signalStatus(),
          );
      }),
    );
}

/** Throws `UsageError` for options that contradict `--from`, and for `--freeze` without it. */
function checkStart({ from, freeze, resume, preset, width, inputSize, init, scale, meanExamples }: TrainOptions): void {
  if (freeze !== undefined && from === undefined && !resume)
    throw new UsageError('--freeze keeps trained layers: name the run that they come from with --from');
  const given = Object.entries({ preset, width, 'input-size': inputSize, init, scale, 'mean-examples': meanExamples });
  const [clash] = given.filter(([, value]) => value !== undefined);
  if (from !== undefined && clash) throw new UsageError(`--from uses the network and the mean image of ${from}: leave out --${clash[0]}`);
}

function scheduleOf({ schedule, patience, stepEpochs, lrFactor, epochs }: TrainOptions): ScheduleOptions | undefined {
  const kind = schedule ?? (stepEpochs !== undefined ? 'step' : patience !== undefined || lrFactor !== undefined ? 'plateau' : undefined);
  if (patience !== undefined && kind !== 'plateau') throw new UsageError(`--patience belongs to --schedule plateau, not ${kind}`);
  if (stepEpochs !== undefined && kind !== 'step') throw new UsageError(`--step-epochs belongs to --schedule step, not ${kind}`);
  if (lrFactor !== undefined && kind !== 'plateau' && kind !== 'step')
    throw new UsageError(`--lr-factor belongs to --schedule plateau or step, not ${kind}`);
  switch (kind) {
    case undefined:
      return undefined;
    case 'plateau':
      return { kind, factor: lrFactor ?? 0.1, patience: patience ?? 3 };
    case 'step':
      return { kind, factor: lrFactor ?? 0.1, every: stepEpochs ?? Math.max(1, Math.ceil((epochs ?? DEFAULT_TRAINING.epochs) / 3)) };
    default:
      return { kind };
  }
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
