/** `zfnet evaluate`: measures the top-1 and top-5 errors of a run, or of an ensemble of runs, on labelled images. */
import type { Command } from 'commander';
import { type Classifier, type Evaluation, evaluate, type Run } from 'zfnet';
import type { Dataset, Split } from 'zfnet/data';
import { confusionPicture, visible } from 'zfnet/report';
import { type Context, defineCommand, handler, oneOf, UsageError } from '../command.js';
import { writeOutput } from '../files/write_file.js';
import { baselinesOption, batchSizeOption, dataOption, renamedOption, splitOption } from '../options.js';
import { pngOf } from '../report/experiment.js';
import { type BaselineErrors, measureBaselines, testTable } from '../report/tested_splits.js';
import { matchClasses } from '../run/classes.js';
import { type DataChoice, openRunData } from '../run/data.js';
import { openRun } from '../run/runs.js';
import { percent } from '../terminal/reporter.js';

interface EvaluateOptions extends DataChoice {
  split: string;
  crops: '1' | '10';
  ensemble?: string[];
  batchSize: number;
  confusion?: boolean | string;
  allClasses?: boolean;
  baselines?: boolean;
}

export function evaluateCommand(program: Command): void {
  const command = defineCommand(program, 'evaluate <run>', 'measure the top-1 and top-5 errors of a run on labelled images', [
    'zfnet evaluate runs/digits',
    'zfnet evaluate runs/digits --data idx:digits/ --split val --json',
    'zfnet evaluate runs/photos --crops 10 --ensemble runs/photos-2 runs/photos-3',
    'zfnet evaluate runs/scenes --split unseen-style --baselines --confusion confusion.png',
  ])
    .addOption(dataOption())
    .addOption(splitOption('val'))
    .option(
      '--crops <n>',
      'crops per image whose probabilities are averaged: 1 (centre) or 10 (corners and centre, also mirrored if training used mirroring)',
      oneOf(['1', '10']),
      '1',
    )
    .option('--ensemble <run...>', 'further runs; their class probabilities are averaged with those of the first')
    .addOption(batchSizeOption('crops per forward pass', 128))
    .option('--confusion [file.png]', 'compute the confusion matrix and add it to the JSON output or write it as a picture')
    .option('--all-classes', 'list the errors of all classes, not only of those with the largest errors')
    .addOption(baselinesOption())
    .action(
      handler(async (context, path: string, options: EvaluateOptions) => {
        const { confusion: picture } = options;
        if (typeof picture === 'string' && !picture.endsWith('.png'))
          throw new UsageError(`--confusion writes PNG: '${picture}' should end in .png`);
        await context.engine();
        const paths = [path, ...(options.ensemble ?? [])];
        const runs: Run[] = [];
        for (const each of paths) runs.push(await openRun(each));
        const { evaluation, baselines } = await evaluateRuns(runs, options, context);
        const { classes } = runs[0];
        for (const { model } of runs) model.dispose();
        const { confusion, ...figures } = evaluation;
        if (confusion && typeof picture === 'string') await writeOutput(picture, await pngOf(confusionPicture(confusion, classes)));
        const { split, crops } = options;
        context.result(
          {
            ...figures,
            split,
            crops: Number(crops),
            runs: paths,
            ...(confusion && { confusion }),
            ...(baselines && { baselines }),
          },
          () =>
            [
              table(evaluation, options.allClasses ?? false),
              ...(baselines ? [testTable([{ split, ...figures, ...baselines }])] : []),
              ...(typeof picture === 'string' ? [`confusion matrix: ${picture}`] : []),
            ].join('\n'),
        );
      }),
    );
  renamedOption(command, '--per-class', '--all-classes');
}

interface Evaluated {
  evaluation: Evaluation;
  baselines: BaselineErrors | null;
}

async function evaluateRuns(runs: readonly Run[], options: EvaluateOptions, { reporter }: Context): Promise<Evaluated> {
  const [first] = runs;
  const splits: Split[] = [];
  const opened = new Map<number, Dataset>();
  for (const run of runs) {
    const { side } = run.preprocess.options;
    // All members see the same examples, those of the first run, each at its own input size.
    const dataset =
      opened.get(side) ??
      (await openRunData({ config: { ...run.config, data: first.config.data } }, options, reporter, {
        divide: options.baselines ?? false,
      }));
    opened.set(side, dataset);
    splits.push(matchClasses(pickSplit(dataset, options.split), dataset, run));
  }
  const bar = reporter.bar('evaluating', splits[0].length, 'images');
  try {
    const evaluation = await evaluate(runs satisfies readonly Classifier[], splits, {
      crops: options.crops === '10' ? 10 : 1,
      batchSize: options.batchSize,
      confusion: options.confusion !== undefined,
      onProgress: (done) => bar.update(done),
      onBroken: (error) => reporter.warn(`left out: ${error.message}`),
    });
    const dataset = opened.get(first.preprocess.options.side)!;
    const simpler = options.baselines ? await measureBaselines(dataset, [options.split], { linear: true }, reporter) : [];
    return { evaluation, baselines: simpler[0] ?? null };
  } finally {
    bar.stop();
  }
}

/** Returns a split by name; throws `UsageError` with the available names if there is none. */
export function pickSplit(dataset: Dataset, name: string): Split {
  const split = dataset.splits[name];
  if (!split) throw new UsageError(`${dataset.name} has no split '${name}'; it has ${Object.keys(dataset.splits).join(', ')}`);
  return split;
}

/** Number of classes that are listed without `--all-classes`. */
const HARDEST = 5;

function table({ examples, top1Error, top5Error, perClass }: Evaluation, all: boolean): string {
  const worst = [...perClass].sort((a, b) => b.top1Error - a.top1Error).slice(0, all ? perClass.length : HARDEST);
  const width = Math.max(...worst.map((each) => visible(each.class).length), 0);
  return [
    `${examples} images: top-1 error ${percent(top1Error)}, top-5 error ${percent(top5Error)}`,
    ...(perClass.length > 1
      ? [
          `${all ? 'all classes' : 'classes with the largest errors'} (top-1 error, top-5 error, images):`,
          ...worst.map(
            (each) =>
              `  ${visible(each.class).padEnd(width)}  ${percent(each.top1Error).padStart(8)}  ${percent(each.top5Error).padStart(8)}  ${each.examples}`,
          ),
        ]
      : []),
  ].join('\n');
}
