/** Tests a run on its data, beside simpler methods, and writes `report/index.html` into its folder. */
import { join } from 'node:path';
import { backendInfo, nearestNeighbour, type Run } from 'zfnet';
import type { Dataset } from 'zfnet/data';
import { type Baseline, buildReport, predictSplit, type SplitPredictions } from 'zfnet/report';
import { inClassesOf } from './classes.js';
import { percent, type Reporter } from './reporter.js';
import { FolderStore } from './run_folder.js';
import { webpDataUri } from './webp.js';

export interface TestedSplit {
  split: string;
  examples: number;
  /** Fractions. */
  top1Error: number;
  top5Error: number;
  /** Top-1 errors of guessing and of the nearest training image in pixels. */
  chance: number;
  nearestNeighbour: number;
  /** Top-5 error of guessing. */
  chanceOfFive: number;
}

export interface WrittenReport {
  /** Path of the page. */
  page: string;
  tests: TestedSplit[];
}

export interface ReportJob {
  run: Run;
  /** The run's folder. */
  out: string;
  dataset: Dataset;
  /** Seconds that training took, where that is known. */
  seconds?: number;
  /** What makes this run and its report again. */
  command: string;
}

/** Everything that is not for training is for testing. */
const testSplits = (dataset: Dataset): string[] => {
  const others = Object.keys(dataset.splits).filter((name) => name !== 'train');
  return others.length > 0 ? others : ['train'];
};

/** A network whose classes are other than the data's is looked into, but neither right nor wrong. */
export async function writeReport({ run, out, dataset: given, seconds, command }: ReportJob, reporter: Reporter): Promise<WrittenReport> {
  const answerable = inClassesOf(run, given);
  const dataset = answerable ?? given;
  const splits = testSplits(dataset);
  if (!answerable)
    reporter.warn(`the network does not know all classes of ${given.name}: what it looks for is shown, not how often it errs`);
  const { predictions, tests } = answerable ? await test(run, answerable, splits, reporter) : { predictions: {}, tests: [] };

  let step = '';
  let bar = reporter.bar('', 1, 'steps');
  const html = await buildReport({
    model: run.model,
    preprocess: run.preprocess,
    dataset,
    metrics: run.metrics,
    predictions,
    featureSplit: splits[0],
    baselines: baselines(tests),
    training: { examples: run.config.data.trainExamples, seconds, engine: engineInWords(run.config.engine) },
    command,
    encodePicture: webpDataUri,
    onProgress(now, done, total) {
      if (now !== step) bar = reporter.bar(now, total, 'steps');
      step = now;
      bar.update(done);
    },
  });
  reporter.stop();
  const page = join(out, 'report', 'index.html');
  await new FolderStore(out).write('report/index.html', new TextEncoder().encode(html));
  return { page, tests };
}

/** What the network answers on each split, beside simpler methods. */
async function test(
  run: Run,
  dataset: Dataset,
  splits: readonly string[],
  reporter: Reporter,
): Promise<{ predictions: Record<string, SplitPredictions>; tests: TestedSplit[] }> {
  const onBroken = (error: Error) => reporter.warn(`left out: ${error.message}`);
  const predictions: Record<string, SplitPredictions> = {};
  for (const name of splits) {
    const bar = reporter.bar(`testing on ${name}`, dataset.splits[name].length, 'images');
    predictions[name] = await predictSplit(run, dataset.splits[name], { onBroken, onProgress: (done) => bar.update(done) });
    bar.stop();
  }
  const { classes } = dataset;
  const chance = 1 - 1 / classes.length;
  const chanceOfFive = 1 - Math.min(5, classes.length) / classes.length;
  const nearest = await neighbourErrors(dataset, splits, reporter, onBroken);
  const tests = splits.map((split, i): TestedSplit => {
    const { top1Error, top5Error, predictions: answers } = predictions[split];
    return { split, examples: answers.length, top1Error, top5Error, chance, chanceOfFive, nearestNeighbour: nearest[i] };
  });
  reporter.say(testTable(tests));
  return { predictions, tests };
}

async function neighbourErrors(
  dataset: Dataset,
  splits: readonly string[],
  reporter: Reporter,
  onBroken: (error: Error) => void,
): Promise<number[]> {
  const { train } = dataset.splits;
  const tests = splits.map((name) => dataset.splits[name]);
  const total = train.length + tests.reduce((sum, split) => sum + split.length, 0);
  const bar = reporter.bar('nearest neighbours in pixels', total, 'images');
  const errors = await nearestNeighbour(train, tests, { onBroken, onProgress: (done) => bar.update(done) });
  bar.stop();
  return errors;
}

function baselines(tests: readonly TestedSplit[]): Baseline[] {
  const bySplit = (error: (test: TestedSplit) => number) => Object.fromEntries(tests.map((test) => [test.split, error(test)]));
  return [
    {
      name: 'Nearest neighbour',
      description: 'the class of the training image whose pixels differ least',
      top1Error: bySplit((test) => test.nearestNeighbour),
    },
    { name: 'Guessing', description: 'any class at random', top1Error: bySplit((test) => test.chance) },
  ];
}

/** What trained the run. */
function engineInWords(recorded: RunConfig['engine'] | undefined): string {
  if (recorded?.backend === 'pytorch') return 'PyTorch';
  const { backend, threads } = backendInfo();
  return `${threads === 1 ? 'one thread' : `${threads} threads`} of the ${backend === 'wasm' ? 'WebAssembly' : backend} engine`;
}

/** The errors as a small table. */
function testTable(tests: readonly TestedSplit[]): string {
  const rows = [
    ['wrong answer', ...tests.map(({ split }) => split)],
    ['this network', ...tests.map(({ top1Error }) => percent(top1Error))],
    ['nearest neighbour', ...tests.map((test) => percent(test.nearestNeighbour))],
    ['guessing', ...tests.map(({ chance }) => percent(chance))],
    ['wrong in five answers', ...tests.map(() => '')],
    ['this network', ...tests.map(({ top5Error }) => percent(top5Error))],
    ['guessing', ...tests.map(({ chanceOfFive }) => percent(chanceOfFive))],
  ];
  const widths = rows[0].map((_, i) => Math.max(...rows.map((row) => row[i].length)));
  return rows
    .map((row) => `  ${row.map((cell, i) => (i === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[i]))).join('   ')}`)
    .join('\n');
}
