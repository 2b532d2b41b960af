/** `zfnet ablate`: trains variants of the network without some layers or with other layer sizes (paper, Table 3). */
import type { Command } from 'commander';
import { ABLATIONS, type Ablation, type AblationRow, ablate, sideFor, type TrainedRun, type TrainingOptions } from 'zfnet';
import type { Dataset } from 'zfnet/data';
import { type AblateNumbers, ablateExperiment } from 'zfnet/report';
import { type Context, decimal, defineCommand, handler, Interrupted, UsageError, whole } from '../command.js';
import { stoppable } from '../look.js';
import { batchSizeOption, collect, dataOption, outOption } from '../options.js';
import { experimentsFolder, writeExperiment } from '../report/experiment.js';
import { type DataChoice, dataOptionsOf, openData, openRunData, recordedOptions, recordedSource } from '../run/data.js';
import { FolderStore, type WriteGuard } from '../run/run_folder.js';
import { lockRun } from '../run/run_lock.js';
import { namingWrongSize, openTrainedRun } from '../run/runs.js';
import { percent } from '../terminal/reporter.js';

interface AblateOptions extends DataChoice {
  only?: string[];
  epochs?: number;
  batchSize?: number;
  lr?: number;
  width?: number;
  inputSize?: number;
  dropout?: number;
  out?: string;
}

/** Default data and network; all twelve variants train in minutes on two cores. */
const SOURCE = 'scenes';
const NETWORK = { width: 0.125, inputSize: 64, dropout: 0.25, init: 'mixed' } as const;
const TRAINING = {
  epochs: 4,
  batchSize: 32,
  lr: 0.01,
  schedule: { kind: 'cosine' },
  augment: 'random',
} as const satisfies Partial<TrainingOptions>;
const OUT = 'runs/ablation';

const NAMES = ABLATIONS.map(({ name }) => name);
const EXAMPLES = [
  'zfnet ablate                                            # all variants of Table 3, on scenes',
  'zfnet ablate runs/photos --epochs 20                    # with the recipe and the images of a run',
  'zfnet ablate --only zfnet --only zfnet-fc-2048 --width 0.25 --epochs 10 --out runs/units',
];

export function ablateCommand(program: Command): void {
  defineCommand(
    program,
    'ablate [run]',
    'train variants without some layers or with other layer sizes and compare their errors (Table 3)',
    EXAMPLES,
  )
    .addOption(dataOption(`that of the run, or ${SOURCE} without a run`))
    .option('--only <name>', `train only this variant; repeat the option for several: ${NAMES.join(', ')}`, collect)
    .option('--epochs <n>', `passes over the training images (default: that of the run, or ${TRAINING.epochs})`, whole({ min: 1 }))
    .addOption(batchSizeOption(`images per step (default: that of the run, or ${TRAINING.batchSize})`))
    .option('--lr <rate>', `initial learning rate (default: that of the run, or ${TRAINING.lr})`, decimal({ above: 0 }))
    .option(
      '--width <factor>',
      `factor on the number of maps and units of every layer (default: that of the run, or ${NETWORK.width})`,
      decimal({ above: 0 }),
    )
    .option('--input-size <pixels>', `height and width of the input (default: that of the run, or ${NETWORK.inputSize})`, whole({ min: 1 }))
    .option(
      '--dropout <p>',
      `dropout probability after fc6 and fc7 (default: that of the run, or ${NETWORK.dropout})`,
      decimal({ min: 0, below: 1 }),
    )
    .addOption(outOption(`folder for ablate.json, .html and .png, and for the trained runs in runs/ (default: RUN/experiments, or ${OUT})`))
    .action(
      handler(async (context, path: string | undefined, options: AblateOptions) => {
        const ablations = chosen(options.only);
        await context.engine();
        const run = path === undefined ? null : await openTrainedRun(path);
        run?.model.dispose();
        const { out = path === undefined ? OUT : experimentsFolder(path) } = options;
        const lock = await lockRun(out);
        try {
          await stoppable(context, GO_ON, () => ablateAll(context, { path, run, out, ablations, options, guard: lock.check }));
        } finally {
          await lock.release();
        }
      }),
    );
}

const GO_ON = 'run the same command again to continue';

function chosen(only: readonly string[] | undefined): readonly Ablation[] {
  const unknown = only?.find((name) => !NAMES.includes(name));
  if (unknown !== undefined) throw new UsageError(`there is no variant '${unknown}'; the variants are ${NAMES.join(', ')}`);
  return only ? ABLATIONS.filter(({ name }) => only.includes(name)) : ABLATIONS;
}

interface Job {
  path: string | undefined;
  run: TrainedRun | null;
  out: string;
  ablations: readonly Ablation[];
  options: AblateOptions;
  guard: WriteGuard;
}

async function ablateAll(context: Context, { path, run, out, ablations, options, guard }: Job): Promise<void> {
  const { reporter, signal, common } = context;
  const network = networkOf(run, options);
  const training = trainingOf(run, options, common.seed);
  const dataset = await openImages(context, run, options, network.inputSize);
  let bar: ReturnType<typeof reporter.bar> | null = null;
  const rows = await ablate({
    ablations,
    dataset,
    network,
    training,
    store: (name) => new FolderStore(out, `runs/${name}`, guard),
    signal,
    onVariant: ({ name }, at, total) => {
      reporter.say(`${at + 1}/${total} ${name}`);
      bar = null;
    },
    onRow: ({ valTop1Error, trainTop1Error }, found) =>
      reporter.say(`  error ${percent(valTop1Error)} (in training ${percent(trainTop1Error)})${found ? ', trained earlier' : ''}`),
    listener: {
      onStep: ({ epoch, epochs, done, total, loss }) => {
        bar ??= reporter.bar('training', epochs * total, 'images');
        bar.update((epoch - 1) * total + done, `loss ${loss.toFixed(3)}`);
      },
      onWarning: (message) => reporter.warn(message),
    },
  });
  if (rows.length < ablations.length)
    throw new Interrupted(`stopped after ${rows.length} of ${ablations.length}; ${GO_ON}`, context.signalStatus());
  const numbers: AblateNumbers = {
    rows,
    source: dataset.name,
    trainExamples: dataset.splits.train.length,
    valExamples: dataset.splits.val?.length ?? 0,
    classes: dataset.classes.length,
    inputSize: network.inputSize,
    width: network.width,
  };
  const files = await writeExperiment(ablateExperiment(numbers), out, commandLine(path, options));
  context.result({ ...numbers, files }, () => table(rows, files));
}

function networkOf(run: TrainedRun | null, { width, inputSize, dropout }: AblateOptions) {
  const base = run ? { ...run.config.architecture, init: run.config.init } : NETWORK;
  return {
    width: width ?? base.width,
    inputSize: inputSize ?? base.inputSize,
    dropout: dropout ?? base.dropout,
    init: base.init,
  };
}

function trainingOf(run: TrainedRun | null, { epochs, batchSize, lr }: AblateOptions, seed: number | undefined): Partial<TrainingOptions> {
  const given = Object.entries({ epochs, batchSize, lr, seed }).filter(([, value]) => value !== undefined);
  return { ...(run?.config.training ?? TRAINING), ...Object.fromEntries(given) };
}

async function openImages({ reporter }: Context, run: TrainedRun | null, options: DataChoice, inputSize: number): Promise<Dataset> {
  const side = namingWrongSize(() => sideFor(inputSize));
  if (run && side === run.config.preprocess.side) return await openRunData(run, options, reporter, { divide: true });
  const recorded = run && options.data === undefined ? recordedOptions(run.config.data) : {};
  const source = options.data ?? (run ? recordedSource(run.config.data) : SOURCE);
  return await openData(source, side, { ...recorded, ...dataOptionsOf(options) }, reporter);
}

function commandLine(
  path: string | undefined,
  { data, only = [], epochs, batchSize, lr, width, inputSize, dropout }: AblateOptions,
): string {
  const options = Object.entries({ data, epochs, 'batch-size': batchSize, lr, width, 'input-size': inputSize, dropout });
  const given = options.flatMap(([key, value]) => (value === undefined ? [] : [`--${key} ${value}`]));
  return ['npx zfnet ablate', ...(path === undefined ? [] : [path]), ...given, ...only.map((name) => `--only ${name}`)].join(' ');
}

function table(rows: readonly AblationRow[], files: readonly string[]): string {
  const width = Math.max(...rows.map(({ name }) => name.length));
  const line = ({ name, trainTop1Error, valTop1Error, valTop5Error, paper }: AblationRow) =>
    `  ${name.padEnd(width)}  train ${percent(trainTop1Error).padStart(8)}   val ${percent(valTop1Error).padStart(8)} / ${percent(valTop5Error).padStart(8)}   paper ${paper.train} / ${paper.val1} / ${paper.val5}`;
  return [...rows.map(line), `written: ${files.join(', ')}`].join('\n');
}
