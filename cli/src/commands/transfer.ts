/** `zfnet transfer`: learns new classes from few images, with the kept layers of a run and from scratch (paper, Tables 4 and 5, Fig. 9). */
import { type Command, InvalidArgumentError } from 'commander';
import { isTrained, isTransferFold, type Run, type TransferFold, type TransferJob, type TransferRow, transfer } from 'zfnet';
import type { Dataset, Split } from 'zfnet/data';
import { type TransferNumbers, transferExperiment } from 'zfnet/report';
import { type Context, defineCommand, handler, UsageError, whole } from '../command.js';
import { parseJson } from '../files/json.js';
import { asUsage, stoppable } from '../look.js';
import { dataOption, layerOption, outOption, splitOption, stepsOption } from '../options.js';
import { experimentsFolder, writeExperiment } from '../report/experiment.js';
import { type DataChoice, openRunData } from '../run/data.js';
import { FolderStore } from '../run/run_folder.js';
import { lockRun } from '../run/run_lock.js';
import { openRun } from '../run/runs.js';
import { type Bar, percent, type Reporter } from '../terminal/reporter.js';
import { pickSplit } from './evaluate.js';
import { stagesOf } from './features.js';

interface TransferOptions extends DataChoice {
  split?: string;
  perClass: number[];
  folds: number;
  layer?: string;
  scratch: boolean;
  steps: number;
  testPerClass: number;
  out?: string;
}

const EXAMPLES = [
  'zfnet transfer runs/demo                                # a drawing style unseen in training',
  'zfnet transfer runs/demo --data mnist --per-class 5,20,80 --layer conv5',
  'zfnet transfer runs/demo --data photos/ --per-class 15,30 --folds 5 --no-scratch',
];

export function transferCommand(program: Command): void {
  defineCommand(
    program,
    'transfer <run>',
    'learn other images with the layers of a run, compared with training from scratch (Fig. 9)',
    EXAMPLES,
  )
    .addOption(dataOption('for a run on scenes its split unseen-style', ', with any classes'))
    .addOption(splitOption(undefined, 'the one to train and to test on, with different images (default: train on train and test on val)'))
    .option('--per-class <n,...>', 'number of training images per class, one or several such as 5,10,20', counts, [5, 10, 20])
    .option('--folds <n>', 'number of random samples of training images', whole({ min: 1 }), 3)
    .addOption(layerOption('the last one to keep (default: the last one before the classes)'))
    .option('--no-scratch', 'skip the comparison with networks trained from scratch')
    .addOption(stepsOption('of each network that is trained from scratch', 400))
    .option('--test-per-class <n>', 'largest number of test images per class', whole({ min: 1 }), 50)
    .addOption(outOption('folder for transfer.json, .html and .png (default: RUN/experiments)'))
    .action(
      handler(async (context, path: string, options: TransferOptions) => {
        await context.engine();
        const { out = experimentsFolder(path) } = options;
        const run = await openRun(path);
        const lock = await lockRun(out);
        try {
          await stoppable(context, 'run the same command again to continue after the last fold', () =>
            transferRun(context, path, run, new FolderStore(out, '', lock.check), options),
          );
        } finally {
          run.model.dispose();
          await lock.release();
        }
      }),
    );
}

async function transferRun(context: Context, path: string, run: Run, store: FolderStore, options: TransferOptions): Promise<void> {
  const { reporter, signal, common } = context;
  const { perClass, folds, testPerClass, steps } = options;
  const stage = stageOf(run, options.layer);
  const images = await openImages(context, run, options);
  const { dataset, pool, test, names } = images;
  const scratch = options.scratch ? scratchOf(run, steps) : undefined;
  const settings = {
    ...{ config: run.config, checkpoint: run.checkpoint, data: dataset.fingerprint, names, stage, testPerClass, scratch },
    seed: common.seed,
    method: METHOD,
  };
  const log = await openLog(store, settings, (message) => reporter.warn(message));
  if (log.done.length > 0) reporter.detail(`${log.done.length} folds are finished already`);
  const rows = await asUsage(() =>
    transfer({
      ...{ network: run, layer: stage.layer, dataset, pool, test, perClass, folds, testPerClass, scratch, signal },
      seed: common.seed,
      done: log.done,
      ...listener(reporter, steps, log.add),
    }),
  );
  warnUnconverged(rows, reporter);
  const numbers = numbersOf(run, stage.name, images, rows, options);
  const files = await writeExperiment(transferExperiment(numbers), store.folder, commandLine(path, options));
  context.result({ ...numbers, files }, () => table(rows, files));
}

/** The last stage whose layers are kept: that of `--layer`, otherwise the last one before the classes. */
function stageOf(run: Run, layer: string | undefined): ReturnType<typeof stagesOf>[number] {
  const [stage] = layer === undefined ? stagesOf(run, undefined).slice(-1) : stagesOf(run, [layer]);
  if (!stage) throw new UsageError('this network has only one layer with weights, so no layer can be kept');
  return stage;
}

/** Shows the progress, and adds each finished fold to the log. */
function listener(
  reporter: Reporter,
  steps: number,
  add: (fold: TransferFold) => Promise<void>,
): Pick<TransferJob, 'onProgress' | 'onStep' | 'onFold'> {
  let bar: Bar | null = null;
  return {
    onProgress: (_, done, total) => {
      bar ??= reporter.bar('features', total, 'images');
      bar.update(done);
    },
    onStep: ({ step, loss }) => {
      if (step === 1) bar = reporter.bar('from scratch', steps, 'steps');
      bar?.update(step, `loss ${loss.toFixed(3)}`);
    },
    onFold: async (fold, done, total) => {
      await add(fold);
      reporter.say(
        `${done}/${total} ${fold.method}, ${fold.perClass} per class, fold ${fold.fold + 1}: error ${percent(fold.valTop1Error)} (in training ${percent(fold.trainTop1Error)})`,
      );
    },
  };
}

function warnUnconverged(rows: readonly TransferRow[], reporter: Reporter): void {
  for (const { name, unconverged, folds } of rows)
    if (unconverged)
      reporter.warn(
        `${name}: the classifier of ${unconverged} of ${folds} folds has not converged; the errors are those of an unfinished fit`,
      );
}

function numbersOf(
  run: Run,
  layer: string,
  { dataset, names }: Images,
  rows: TransferRow[],
  { folds, testPerClass, scratch, steps }: TransferOptions,
): TransferNumbers {
  const { source, trainExamples } = run.config.data;
  return {
    ...{ rows, measure: 'accuracy', layer, source: dataset.name },
    ...names,
    ...{ classes: dataset.classes.length, folds, testPerClass },
    learntFrom: { source, examples: trainExamples },
    ...(scratch && { scratchSteps: steps }),
  };
}

/** Parses a list such as `5,10,20`; returns the distinct numbers in ascending order. */
function counts(text: string): number[] {
  const read = whole({ min: 1 });
  try {
    return [...new Set(text.split(',').map(read))].sort((a, b) => a - b);
  } catch {
    throw new InvalidArgumentError('Expected numbers of images such as 5,10,20.');
  }
}

interface Images {
  dataset: Dataset;
  pool: Split;
  test: Split;
  names: { split: string; testSplit: string };
}

async function openImages({ reporter }: Context, run: Run, options: TransferOptions): Promise<Images> {
  const { data, split } = options;
  const own = run.config.data.source;
  const unseen = own === 'scenes' ? 'unseen-style' : undefined;
  const chosen = split ?? (data === undefined ? unseen : undefined);
  if (data === undefined && chosen === undefined)
    throw new UsageError(
      `the run was trained on ${own}: give other images with --data, or a split that it was not trained on with --split`,
    );
  const dataset = await openRunData(run, options, reporter, { divide: true });
  const pool = pickSplit(dataset, chosen ?? 'train');
  const apart = chosen === undefined && dataset.splits.val?.length > 0;
  return {
    dataset,
    pool,
    test: apart ? dataset.splits.val : pool,
    names: { split: chosen ?? 'train', testSplit: apart ? 'val' : (chosen ?? 'train') },
  };
}

/** Network and recipe of the run, for training from scratch. */
function scratchOf(run: Run, steps: number) {
  if (!isTrained(run)) throw new UsageError('an imported network cannot be trained from scratch here: add --no-scratch');
  const { lr, momentum, weightDecay, maxFilterRms, augment, batchSize, optimizer, clipGradNorm, labelSmoothing } = run.config.training;
  return {
    architecture: run.config.architecture,
    training: { lr, momentum, weightDecay, maxFilterRms, augment, batchSize, optimizer, clipGradNorm, labelSmoothing },
    init: run.init,
    steps,
  };
}

/** Version of the computation of a fold; folds of other versions are not reused. */
const METHOD = 2;

const LOG = 'transfer-folds.jsonl';

/** Opens the log of finished folds: one line with the settings, then one line per fold. Other settings begin a new log. */
async function openLog(
  store: FolderStore,
  settings: unknown,
  warn: (message: string) => void,
): Promise<{ done: TransferFold[]; add: (fold: TransferFold) => Promise<void> }> {
  const head = JSON.stringify(settings);
  const bytes = await store.read(LOG);
  const [first, ...lines] = bytes ? new TextDecoder().decode(bytes).split('\n') : [];
  // `parseFold` skips a line that was cut off while it was written.
  const written = first === head ? lines.filter((line) => line !== '') : [];
  const found = new Map(written.flatMap(parseFold).map((fold) => [`${fold.method} ${fold.perClass} ${fold.fold}`, fold]));
  const done = [...found.values()];
  if (done.length < written.length)
    warn(
      `${LOG}: ${written.length - done.length} of ${written.length} lines are damaged or repeated; what they stood for is computed again`,
    );
  const kept = [head, ...done.map((fold) => JSON.stringify(fold))].map((line) => `${line}\n`).join('');
  await store.write(LOG, new TextEncoder().encode(kept));
  return { done, add: (fold) => store.append(LOG, JSON.stringify(fold)) };
}

function parseFold(line: string): TransferFold[] {
  const fold = parseJson(line).value;
  return isTransferFold(fold) ? [fold] : [];
}

function commandLine(path: string, { data, split, perClass, folds, layer, scratch, steps }: TransferOptions): string {
  const parts = [
    data && `--data ${data}`,
    split && `--split ${split}`,
    `--per-class ${perClass}`,
    `--folds ${folds}`,
    layer && `--layer ${layer}`,
  ];
  return ['npx zfnet transfer', path, ...parts.filter(Boolean), scratch ? `--steps ${steps}` : '--no-scratch'].join(' ');
}

function table(rows: readonly TransferRow[], files: readonly string[]): string {
  const width = Math.max(...rows.map(({ name }) => name.length));
  const line = ({ name, mean, deviation, trainTop1Error }: TransferRow) =>
    `  ${name.padEnd(width)}  accuracy ${percent(mean).padStart(8)} ± ${percent(deviation).padStart(7)}   in training ${percent(1 - trainTop1Error)}`;
  return [...rows.map(line), `written: ${files.join(', ')}`].join('\n');
}
