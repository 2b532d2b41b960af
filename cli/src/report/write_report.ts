/** Tests a run and the baselines on its data, runs the experiments, and writes `report/index.html` into the folder of the run. */
import { join } from 'node:path';
import { backendInfo, isTrained, type Run } from 'zfnet';
import type { Dataset } from 'zfnet/data';
import { type Baseline, buildReport, predictSplit, type SplitPredictions } from 'zfnet/report';
import type { Context } from '../command.js';
import { inClassesOf } from '../run/classes.js';
import { FolderStore } from '../run/run_folder.js';
import { originOf } from '../run/runs.js';
import type { Reporter } from '../terminal/reporter.js';
import { experimentsOf } from './report_experiments.js';
import { measureBaselines, type TestedSplit, testSplits, testTable } from './tested_splits.js';
import { webpDataUri } from './webp.js';

export interface WrittenReport {
  /** Path of the page. */
  page: string;
  tests: TestedSplit[];
}

/** Number of images per experiment, with and without `--quick`. */
const QUICK = { evolve: 400, filters: 1000, occlude: 24 };
const THOROUGH = { evolve: 2000, filters: 2000, occlude: 200 };

/** Largest number of classes for which gradient ascent makes pictures. */
const MOST_ASCENDED = 24;

export interface ReportJob {
  run: Run;
  /** The run's folder. */
  out: string;
  dataset: Dataset;
  /** Duration of the training in seconds, if known. */
  seconds?: number;
  /** Skip the linear classifier and gradient ascent, and use fewer images in the experiments. Default false. */
  quick?: boolean;
  /** Command line that repeats the report, shown on the page. */
  command: string;
}

/** Writes the report. If the network lacks a class of the data, the report shows its features but no errors. */
export async function writeReport(
  { run, out, dataset: given, seconds, quick = false, command }: ReportJob,
  context: Context,
): Promise<WrittenReport> {
  const { reporter } = context;
  const answerable = inClassesOf(run, given);
  const dataset = answerable ?? given;
  const splits = testSplits(dataset);
  if (!answerable) reporter.warn(`the network does not know all classes of ${given.name}: the report shows its features, but no errors`);
  const { predictions, tests } = answerable ? await test(run, answerable, splits, !quick, reporter) : { predictions: {}, tests: [] };

  const experiments = await experimentsOf(context, {
    run,
    path: out,
    dataset,
    answerable: answerable !== null,
    split: splits[0],
    examples: quick ? QUICK : THOROUGH,
    ascended: quick ? 0 : MOST_ASCENDED,
  });

  let step = '';
  let bar = reporter.bar('', 1, 'steps');
  const html = await buildReport({
    model: run.model,
    preprocess: run.preprocess,
    dataset,
    metrics: run.metrics,
    predictions,
    featureSplit: splits[0],
    experiments,
    baselines: baselines(tests),
    training: { examples: run.config.data.trainExamples, seconds, engine: engineInWords(run), origin: originOf(run) },
    ownData: isTrained(run) && given.fingerprint === run.config.data.fingerprint,
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

/** Computes the predictions of the network on each split, and its errors beside those of the baselines. */
async function test(
  run: Run,
  dataset: Dataset,
  splits: readonly string[],
  linear: boolean,
  reporter: Reporter,
): Promise<{ predictions: Record<string, SplitPredictions>; tests: TestedSplit[] }> {
  const onBroken = (error: Error) => reporter.warn(`left out: ${error.message}`);
  const predictions: Record<string, SplitPredictions> = {};
  for (const name of splits) {
    const bar = reporter.bar(`testing on ${name}`, dataset.splits[name].length, 'images');
    predictions[name] = await predictSplit(run, dataset.splits[name], { onBroken, onProgress: (done) => bar.update(done) });
    bar.stop();
  }
  const simpler = await measureBaselines(dataset, splits, { linear }, reporter);
  const tests = splits.map((split, i): TestedSplit => {
    const { top1Error, top5Error, predictions: all } = predictions[split];
    return { split, examples: all.length, top1Error, top5Error, ...simpler[i] };
  });
  reporter.say(testTable(tests));
  return { predictions, tests };
}

function baselines(tests: readonly TestedSplit[]): Baseline[] {
  const bySplit = (error: (test: TestedSplit) => number) => Object.fromEntries(tests.map((test) => [test.split, error(test)]));
  const measured = tests.flatMap(({ split, linear }) => (linear === undefined ? [] : [[split, linear] as const]));
  const linear = {
    name: 'Linear classifier',
    description: 'a weighted sum of the pixels for each class',
    top1Error: Object.fromEntries(measured),
  };
  return [
    ...(measured.length > 0 ? [linear] : []),
    {
      name: 'Nearest neighbour',
      description: 'the class of the training image whose pixels differ least',
      top1Error: bySplit((test) => test.nearestNeighbour),
    },
    { name: 'Guessing', description: 'any class at random', top1Error: bySplit((test) => test.chance) },
  ];
}

/** Describes the engine that trained the run. */
function engineInWords(run: Run): string {
  if (isTrained(run) && run.config.engine.backend === 'pytorch') return 'PyTorch';
  const { backend, threads, device } = backendInfo();
  if (device) return `${device.description || device.vendor || 'a GPU'}${device.software ? ', a software device,' : ''} through WebGPU`;
  return `${threads === 1 ? 'one thread' : `${threads} threads`} of the ${backend === 'wasm' ? 'WebAssembly' : backend} engine`;
}
