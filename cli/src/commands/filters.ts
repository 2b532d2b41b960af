/** `zfnet filters`: renders and measures the filters of the first layer, of one run or of two side by side (paper, Fig. 6). */
import { basename } from 'node:path';
import type { Command } from 'commander';
import type { Run } from 'zfnet';
import type { Dataset } from 'zfnet/data';
import { type FiltersInput, type FiltersNumbers, filtersExperiment } from 'zfnet/report';
import { type Context, defineCommand, handler } from '../command.js';
import { layersOf, stoppable, strongestOf } from '../look.js';
import { dataOption, imagesOption, outOption, renamedOption, splitOption } from '../options.js';
import { experimentsFolder, writeExperiment } from '../report/experiment.js';
import { type DataChoice, openRunData } from '../run/data.js';
import { openRun, originOf } from '../run/runs.js';
import { percent } from '../terminal/reporter.js';
import { pickSplit } from './evaluate.js';

interface FiltersOptions extends DataChoice {
  compare?: string;
  split: string;
  images: number;
  out?: string;
}

const EXAMPLES = [
  'zfnet filters runs/demo',
  'zfnet filters runs/demo --compare runs/alexnet     # compares 7×7, stride 2 with 11×11, stride 4',
  'zfnet filters runs/demo --compare runs/unlimited   # a run trained with --max-filter-rms 0',
];

export function filtersCommand(program: Command): void {
  const command = defineCommand(
    program,
    'filters <run>',
    'render and measure the filters of the first layer; list dead and dominating filters (Fig. 6)',
    EXAMPLES,
  )
    .option('--compare <run>', 'another run to compare with')
    .addOption(dataOption())
    .addOption(splitOption('val'))
    .addOption(imagesOption('sampled at random', 2000))
    .addOption(outOption('folder for filters.json, filters.html and filters*.png (default: RUN/experiments)'))
    .action(
      handler(async (context, path: string, options: FiltersOptions) => {
        await context.engine();
        await stoppable(context, 'run the same command again to continue', () => filters(context, path, options));
      }),
    );
  renamedOption(command, '--examples <n>', '--images');
}

async function filters(context: Context, path: string, options: FiltersOptions): Promise<void> {
  const { compare, data, out = experimentsFolder(path) } = options;
  const paths = compare === undefined ? [path] : [path, compare];
  const runs: Run[] = [];
  try {
    for (const each of paths) runs.push(await openRun(each));
    // Both runs are measured on the images of the first.
    const subjects: FiltersInput[] = [];
    for (const [i, run] of runs.entries()) {
      const { data: source } = runs[0].config;
      const dataset = await openRunData({ config: { ...run.config, data: source } }, options, context.reporter);
      subjects.push(await filterSubject(context, paths[i], run, dataset, options));
    }
    const experiment = await filtersExperiment(subjects[0], subjects[1]);
    const command = ['npx zfnet filters', path, ...(compare ? [`--compare ${compare}`] : []), ...(data ? [`--data ${data}`] : [])].join(
      ' ',
    );
    const files = await writeExperiment(experiment, out, command);
    const numbers = experiment.numbers as FiltersNumbers;
    context.result({ ...numbers, files }, () => table(numbers, files));
  } finally {
    for (const { model } of runs) model.dispose();
  }
}

/** Input of `filtersExperiment`: the strongest activations of the first two convolutions of a run. */
export async function filterSubject(
  context: Context,
  path: string,
  run: Run,
  dataset: Dataset,
  { split, images }: Pick<FiltersOptions, 'split' | 'images'>,
): Promise<FiltersInput> {
  const { model, preprocess } = run;
  const layers = [...(await layersOf(run, undefined)).keys()].slice(0, 2);
  const { length } = pickSplit(dataset, split);
  const found = await strongestOf({ path, model, preprocess, dataset, split, layers, count: 1, images }, context);
  return {
    name: basename(path),
    model,
    preprocess,
    origin: originOf(run),
    dataset,
    split,
    images: Math.min(images, length),
    layers: layers.map((layer) => ({ layer, maps: found[layer] })),
  };
}

function table(numbers: FiltersNumbers, files: readonly string[]): string {
  const line = ({ run, layer, kernel, stride, maps, dead, dominating, coverage, aliasing }: FiltersNumbers) =>
    [
      `${run}: ${maps.length} filters of ${layer}, ${kernel.join('×')}, stride ${stride[0]}`,
      `  dead: ${dead.join(', ') || 'none'}; dominating: ${dominating.join(', ') || 'none'}`,
      `  low, middle, high frequencies: ${percent(coverage.low)}, ${percent(coverage.mid)}, ${percent(coverage.high)}; aliasing ${percent(aliasing)}`,
    ].join('\n');
  return [line(numbers), ...(numbers.compare ? [line(numbers.compare)] : []), `written: ${files.join(', ')}`].join('\n');
}
