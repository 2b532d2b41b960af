/** `zfnet evaluate`: the errors of a run, or of an ensemble of runs, on labelled images. */
import type { Command } from 'commander';
import { type Classifier, type Evaluation, evaluate, type Run } from 'zfnet';
import type { Dataset, Split } from 'zfnet/data';
import { matchClasses } from '../classes.js';
import { type Context, defineCommand, handler, oneOf, UsageError, whole } from '../command.js';
import { percent } from '../reporter.js';
import { openRun, openRunData } from '../runs.js';

interface EvaluateOptions {
  data?: string;
  split: string;
  crops: '1' | '10';
  ensemble?: string[];
  batchSize: number;
  confusion?: boolean;
}

export function evaluateCommand(program: Command): void {
  defineCommand(program, 'evaluate <run>', 'errors of a run on labelled images', [
    'zfnet evaluate runs/digits',
    'zfnet evaluate runs/digits --data idx:digits/ --split val --json',
    'zfnet evaluate runs/photos --crops 10 --ensemble runs/photos-2 runs/photos-3',
  ])
    .option('--data <source>', 'as for train (default: what the run was trained on)')
    .option('--split <name>', 'val, train, or another split of the source', 'val')
    .option(
      '--crops <n>',
      '1: the centre; 10: corners and centre, mirrored too if training saw mirror images, averaged',
      oneOf(['1', '10']),
      '1',
    )
    .option('--ensemble <run...>', 'further runs, whose answers are averaged with the first one’s')
    .option('--batch-size <n>', 'crops a forward pass', whole({ min: 1 }), 128)
    .option('--confusion', 'count which class was taken for which')
    .action(
      handler(async (context, path: string, options: EvaluateOptions) => {
        await context.engine();
        const paths = [path, ...(options.ensemble ?? [])];
        const runs: Run[] = [];
        for (const each of paths) runs.push(await openRun(each));
        const result = await evaluateRuns(runs, options, context);
        for (const { model } of runs) model.dispose();
        const { confusion, ...figures } = result;
        context.result(
          { ...figures, split: options.split, crops: Number(options.crops), runs: paths, ...(confusion && { confusion }) },
          () => table(result),
        );
      }),
    );
}

async function evaluateRuns(runs: readonly Run[], options: EvaluateOptions, { reporter }: Context): Promise<Evaluation> {
  const [first] = runs;
  const splits: Split[] = [];
  const opened = new Map<number, Dataset>();
  for (const run of runs) {
    const { side } = run.preprocess.options;
    // All members see the same examples, each at its own size; the first run says which.
    const dataset = opened.get(side) ?? (await openRunData({ config: { ...run.config, data: first.config.data } }, options.data, reporter));
    opened.set(side, dataset);
    splits.push(matchClasses(pickSplit(dataset, options.split), dataset, run));
  }
  const bar = reporter.bar('evaluating', splits[0].length, 'images');
  try {
    return await evaluate(runs satisfies readonly Classifier[], splits, {
      crops: options.crops === '10' ? 10 : 1,
      batchSize: options.batchSize,
      confusion: options.confusion,
      onProgress: (done) => bar.update(done),
      onBroken: (error) => reporter.warn(`left out: ${error.message}`),
    });
  } finally {
    bar.stop();
  }
}

/** Throws `UsageError` naming the splits that there are. */
export function pickSplit(dataset: Dataset, name: string): Split {
  const split = dataset.splits[name];
  if (!split) throw new UsageError(`${dataset.name} has no split '${name}'; it has ${Object.keys(dataset.splits).join(', ')}`);
  return split;
}

function table({ examples, top1Error, top5Error, perClass }: Evaluation): string {
  const worst = [...perClass].sort((a, b) => b.top1Error - a.top1Error).slice(0, 5);
  const width = Math.max(...worst.map((each) => each.class.length), 0);
  return [
    `${examples} images: top-1 error ${percent(top1Error)}, top-5 error ${percent(top5Error)}`,
    ...(perClass.length > 1
      ? ['hardest classes:', ...worst.map((each) => `  ${each.class.padEnd(width)}  ${percent(each.top1Error)} of ${each.examples}`)]
      : []),
  ].join('\n');
}
