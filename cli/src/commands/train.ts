/** `zfnet train`: trains a network in a run folder, or goes on with one. */
import type { Command } from 'commander';
import type { InitScheme, PresetName, ScheduleOptions } from 'zfnet';
import { AUGMENTATIONS, type Augmentation, DEFAULT_TRAINING, PRESETS, SCHEDULES } from 'zfnet';
import { decimal, defineCommand, handler, Interrupted, oneOf, UsageError, whole } from '../command.js';
import { INITS } from '../defaults.js';
import { duration, percent } from '../reporter.js';
import { type TrainRunResult, trainRun } from '../runs.js';

interface TrainOptions {
  data?: string;
  out: string;
  preset?: PresetName;
  width?: number;
  inputSize?: number;
  epochs?: number;
  batchSize?: number;
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
  resume?: boolean;
  force?: boolean;
}

const EXAMPLES = [
  'zfnet train --data mnist --out runs/digits --preset small --width 0.125 --dropout 0.3 --epochs 12 --lr 0.02 --schedule cosine',
  'zfnet train --data scenes --out runs/scenes --width 0.25 --dropout 0.25 --epochs 12 --lr 0.02 --schedule cosine --batch-size 64 --augment random',
  'zfnet train --data photos/ --out runs/photos --preset a --input-size 224',
  'zfnet train --out runs/photos --resume',
];
const NOTE = `
The first two learn in minutes on two cores: below 1 % error on mnist's 2,000 held-out digits. The third is the
paper's network at full size, which takes days without a GPU. The last goes on after Ctrl-C or a crash.`;

export function trainCommand(program: Command): void {
  const { batchSize, lr, momentum, weightDecay, maxFilterRms } = DEFAULT_TRAINING;
  defineCommand(program, 'train', 'train a network on your images and keep every epoch of it', EXAMPLES)
    .option('--data <source>', 'a folder with a folder a class; idx:DIR, cifar10:DIR, parquet:FILES; mnist or scenes (embedded)')
    .requiredOption('--out <run>', 'folder of the run; it must be empty, unless --resume or --force')
    .option('--resume', 'go on with the run in --out where it stopped, to the same bits; its own settings hold')
    .option('--force', 'train anew where --out is not empty')
    .optionsGroup('Network:')
    .option(
      '--preset <name>',
      `${Object.keys(PRESETS).join(', ')} (default: a; small for images below 64 pixels)`,
      oneOf(Object.keys(PRESETS) as PresetName[]),
    )
    .option('--width <factor>', 'a factor on the numbers of maps and units (default: 1)', decimal({ above: 0 }))
    .option(
      '--input-size <pixels>',
      'height and width of the input (default: 224; smaller images keep their size; scenes: 64)',
      whole({ min: 1 }),
    )
    .option('--dropout <p>', 'probability on fc6 and fc7 (default: 0.5)', decimal({ min: 0, below: 1 }))
    .option('--init <scheme>', 'initial weights: paper, he, glorot, mixed (default: paper at full size, else he)', oneOf(INITS))
    .option(
      '--scale <factor>',
      'what pixels are multiplied by (default: 1 with --init paper, 1/16 with mixed, else 1/64)',
      decimal({ above: 0 }),
    )
    .optionsGroup('Recipe (defaults: the paper’s):')
    .option('--epochs <n>', 'passes over the training images (default: 70; 20 for inputs below 64 pixels)', whole({ min: 0 }))
    .option('--batch-size <n>', `images a step (default: ${batchSize})`, whole({ min: 1 }))
    .option('--lr <rate>', `learning rate at the start (default: ${lr})`, decimal({ above: 0 }))
    .option('--momentum <m>', `(default: ${momentum})`, decimal({ min: 0, below: 1 }))
    .option('--weight-decay <d>', `(default: ${weightDecay})`, decimal({ min: 0 }))
    .option(
      '--max-filter-rms <r>',
      `size that convolution filters are held to; 0 for no limit (default: ${maxFilterRms})`,
      decimal({ min: 0 }),
    )
    .option('--schedule <kind>', `${SCHEDULES.join(', ')}: how the rate falls (default: plateau)`, oneOf(SCHEDULES))
    .option('--patience <epochs>', 'plateau: epochs without a lower validation error (default: 3)', whole({ min: 0 }))
    .option('--step-epochs <n>', 'step: epochs between steps (default: a third of all)', whole({ min: 1 }))
    .option('--lr-factor <f>', 'plateau, step: what the rate is multiplied by (default: 0.1)', decimal({ above: 0, below: 1 }))
    .option(
      '--augment <kind>',
      'paper: ten crops and mirrors; random: any crop, mirrored or not; shift: any crop; none (default: paper; shift for grey images)',
      oneOf(AUGMENTATIONS),
    )
    .optionsGroup('Data and files:')
    .option('--val-fraction <f>', 'share held out where the source has no val (default: 0.1)', decimal({ above: 0, below: 1 }))
    .option('--mean-examples <n>', 'images that the mean image is computed from (default: all)', whole({ min: 1 }))
    .option('--workers <n>', 'batches read ahead while the engine computes (default: 2)', whole({ min: 0, max: 64 }))
    .option('--checkpoint-minutes <m>', 'minutes between checkpoints within an epoch (default: 5)', decimal({ above: 0 }))
    .option('--checkpoint-steps <n>', 'steps between checkpoints within an epoch (default: none)', whole({ min: 1 }))
    .addHelpText('after', NOTE)
    .action(
      handler(async (context, options: TrainOptions) => {
        if (!options.data && !options.resume)
          throw new UsageError('there are no images to train on: give --data SOURCE (mnist and scenes are embedded)');
        context.catchSignals();
        await context.engine();
        const { data, out, preset, width, inputSize, dropout, init, scale, resume, force } = options;
        const { workers, meanExamples, checkpointMinutes, checkpointSteps, valFraction } = options;
        const result = await trainRun(
          {
            data,
            dataOptions: { valFraction },
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
              lr: options.lr,
              momentum: options.momentum,
              weightDecay: options.weightDecay,
              maxFilterRms: options.maxFilterRms === 0 ? null : options.maxFilterRms,
              schedule: scheduleOf(options),
              augment: options.augment,
              seed: context.common.seed,
            },
            resume,
            force,
            meanExamples,
            checkpointMinutes,
            checkpointSteps,
            readAhead: workers,
            signal: context.signal,
          },
          context.reporter,
        );
        result.model.dispose();
        context.result(summary(result), () => sentence(result));
        if (result.status === 'stopped')
          throw new Interrupted(
            `stopped at step ${result.step}, in epoch ${result.epoch + 1}; go on with: npx zfnet train --out ${out} --resume`,
            context.signalStatus(),
          );
      }),
    );
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

/** What `--json` prints. */
function summary(result: TrainRunResult): object {
  const { out, status, epoch, step, best, metrics, seconds } = result;
  return { run: out, status, epoch, step, best, last: metrics.at(-1) ?? null, seconds: Number(seconds.toFixed(1)) };
}

function sentence({ out, status, epoch, best, seconds }: TrainRunResult): string {
  const done = `${epoch} ${epoch === 1 ? 'epoch' : 'epochs'} done${status === 'done' ? '' : ' so far'}`;
  const score = best ? `; best error ${percent(best.top1Error)} in epoch ${best.epoch}` : '';
  return `${out}: ${done} in ${duration(seconds)}${score}`;
}
