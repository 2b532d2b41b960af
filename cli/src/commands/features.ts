/** `zfnet features`: trains linear classifiers on the features of each layer (paper, Table 7). */
import type { Command } from 'commander';
import { analyseFeatures, CLASSIFIERS, type ClassifierKind, type FeatureRow, type Run, type Stage, stages } from 'zfnet';
import { type Dataset, type Split, sampleByClass, subset } from 'zfnet/data';
import { type FeaturesNumbers, featuresExperiment } from 'zfnet/report';
import { type Context, defineCommand, handler, oneOf, UsageError, whole } from '../command.js';
import { asUsage, layersNamed, stoppable } from '../look.js';
import { dataOption, layersOption, outOption, renamedOption, splitOption } from '../options.js';
import { experimentsFolder, writeExperiment } from '../report/experiment.js';
import { unconverged } from '../report/tested_splits.js';
import { type DataChoice, openRunData } from '../run/data.js';
import { openRun } from '../run/runs.js';
import { percent } from '../terminal/reporter.js';
import { pickSplit } from './evaluate.js';

interface FeaturesOptions extends DataChoice {
  split: string;
  perClass: number;
  layers?: string[];
  classifier?: ClassifierKind;
  maxFeatures: number;
  out?: string;
}

const EXAMPLES = [
  'zfnet features runs/demo',
  'zfnet features runs/demo --split unseen-style --per-class 100',
  'zfnet features runs/demo --data photos/ --layers conv5,fc7 --classifier svm',
];

export function featuresCommand(program: Command): void {
  const command = defineCommand(
    program,
    'features <run>',
    'train a linear classifier on the features of each layer and compare the errors (Table 7)',
    EXAMPLES,
  )
    .addOption(dataOption(undefined, ', with any classes'))
    .addOption(splitOption('val', 'the one that the errors are measured on; the classifiers are trained on the split train'))
    .option('--per-class <n>', 'number of training images per class, at most', whole({ min: 2 }), 50)
    .addOption(layersOption('all convolutions and fully connected layers'))
    .option('--classifier <kind>', `classifier: ${CLASSIFIERS.join(' or ')} (default: both)`, oneOf(CLASSIFIERS))
    .option('--max-features <n>', 'largest number of features per image; larger maps are averaged over blocks', whole({ min: 1 }), 2048)
    .addOption(outOption('folder for features.json, .html and .png (default: RUN/experiments)'))
    .action(
      handler(async (context, path: string, options: FeaturesOptions) => {
        await context.engine();
        const run = await openRun(path);
        try {
          await stoppable(context, 'nothing was written', () => analyse(context, path, run, options));
        } finally {
          run.model.dispose();
        }
      }),
    );
  renamedOption(command, '--layer <name>', '--layers');
}

async function analyse(context: Context, path: string, run: Run, options: FeaturesOptions): Promise<void> {
  const { reporter, signal } = context;
  const { out = experimentsFolder(path), maxFeatures, classifier } = options;
  const chosen = stagesOf(run, layersNamed(run, options.layers));
  const dataset = await openRunData(run, options, reporter, { divide: true });
  const [train, val] = [someOfEach(dataset, options.perClass, context.common.seed), pickSplit(dataset, options.split)];
  if (options.split === 'train')
    throw new UsageError('the classifiers are trained on the split train; measure on another split, such as --split val');
  const bar = reporter.bar('features', train.length + val.length, 'images');
  let fits: ReturnType<typeof reporter.bar> | null = null;
  const rows = await asUsage(() =>
    analyseFeatures(run, train, val, {
      stages: chosen,
      ...(classifier && { classifiers: [classifier] }),
      classes: dataset.classes.length,
      maxFeatures,
      signal,
      onBroken: (error) => reporter.warn(`left out: ${error.message}`),
      onProgress: (done) => bar.update(done),
      onFit: (done, total) => {
        fits ??= reporter.bar('classifiers', total, 'classifiers');
        fits.update(done);
      },
    }),
  );
  for (const { name, fit } of rows) if (fit && !fit.converged) reporter.warn(unconverged(`the classifier ${name}`, fit));
  const numbers: FeaturesNumbers = {
    rows,
    source: dataset.name,
    classes: dataset.classes.length,
    trainExamples: train.length,
    valExamples: val.length,
    split: options.split,
  };
  const files = await writeExperiment(
    featuresExperiment(numbers),
    out,
    `npx zfnet features ${path}${options.data ? ` --data ${options.data}` : ''}`,
  );
  context.result({ ...numbers, files }, () => table(rows, files));
}

/** The named layers, or all stages. The features of a stage are the output after its ReLU, pooling and normalisation. */
export function stagesOf({ model }: Pick<Run, 'model'>, named: readonly string[] | undefined): Stage[] {
  const all = stages(model);
  const layers = model.layerNames();
  return (
    named?.map((name) => {
      if (!layers.includes(name)) throw new UsageError(`there is no layer '${name}'; the layers are ${layers.join(', ')}`);
      return all.find((stage) => stage.name === name) ?? { name, layer: model.featureLayer(name) };
    }) ?? all
  );
}

/** At most `perClass` training images per class, sampled with the seed. */
function someOfEach(dataset: Dataset, perClass: number, seed: number | undefined): Split {
  const split = pickSplit(dataset, 'train');
  const places = sampleByClass(split, dataset.classes.length, { seed });
  return subset(
    split,
    places.flatMap((own) => own.slice(0, perClass)),
  );
}

function table(rows: readonly FeatureRow[], files: readonly string[]): string {
  const width = Math.max(...rows.map(({ name }) => name.length));
  const line = ({ name, features, trainTop1Error, valTop1Error }: FeatureRow) =>
    `  ${name.padEnd(width)}  ${String(features).padStart(5)} features   error ${percent(valTop1Error).padStart(8)}   in training ${percent(trainTop1Error)}`;
  return [...rows.map(line), `written: ${files.join(', ')}`].join('\n');
}
