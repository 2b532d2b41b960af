/** `zfnet top9`: finds the images with the strongest activations of each map and projects them to pixels (paper, Fig. 2). */
import type { Command } from 'commander';
import type { DeconvMode, MapActivations } from 'zfnet';
import { top9Experiment } from 'zfnet/report';
import { type Context, defineCommand, handler, whole } from '../command.js';
import { checkMaps, layersNamed, layersOf, stoppable, strongestOf } from '../look.js';
import {
  dataOption,
  imagesOption,
  layersOption,
  mapsOption,
  mapsText,
  outOption,
  RULE_NAMES,
  renamedOption,
  rulesOption,
  splitOption,
} from '../options.js';
import { experimentsFolder, writeExperiment } from '../report/experiment.js';
import { type DataChoice, openRunData } from '../run/data.js';
import { openRun } from '../run/runs.js';
import { pickSplit } from './evaluate.js';

interface Top9Options extends DataChoice {
  split: string;
  layers?: string[];
  maps?: number[];
  count: number;
  rules: DeconvMode | typeof ALL_RULES;
  images?: number;
  out?: string;
}

/** Value of `--rules` that shows the projections by all rules side by side. */
const ALL_RULES = 'all';

const EXAMPLES = [
  'zfnet top9 runs/demo                                          # all maps of all convolutions',
  'zfnet top9 runs/demo --layers conv4,conv5 --maps 0-15',
  'zfnet top9 runs/photos --data more-photos/ --layers conv5 --rules all --out seen/',
];
const NOTE = `
The images are read once for all layers. The activations found are cached in the run's folder, so that a repeated command is fast, and a
command that was stopped by Ctrl-C continues when it is run again.`;

export function top9Command(program: Command): void {
  const command = defineCommand(
    program,
    'top9 <run>',
    'find the nine images with the strongest activations of each map and project them to pixels (Fig. 2)',
    EXAMPLES,
  )
    .addOption(dataOption())
    .addOption(splitOption('val'))
    .addOption(layersOption('all convolutions'))
    .addOption(mapsOption())
    .option('--count <n>', 'number of images kept per map', whole({ min: 1 }), 9)
    .addOption(imagesOption('sampled at random (default: all)'))
    .addOption(rulesOption(ALL_RULES))
    .addOption(outOption('folder for top9.json, top9.html and top9-LAYER.png (default: RUN/experiments)'))
    .addHelpText('after', NOTE)
    .action(
      handler(async (context, path: string, options: Top9Options) => {
        await context.engine();
        await stoppable(context, 'run the same command again to continue', () => top9(context, path, options));
      }),
    );
  renamedOption(command, '--layer <name>', '--layers');
  renamedOption(command, '--examples <n>', '--images');
  renamedOption(command, '--modes', '--rules', ALL_RULES);
}

async function top9(context: Context, path: string, options: Top9Options): Promise<void> {
  const { split, maps, count, images, rules, out = experimentsFolder(path) } = options;
  const run = await openRun(path);
  try {
    const { model, preprocess } = run;
    const layers = await layersOf(run, layersNamed(run, options.layers));
    checkMaps(layers, maps);
    const dataset = await openRunData(run, options, context.reporter);
    const { length } = pickSplit(dataset, split);
    const found = await strongestOf({ path, model, preprocess, dataset, split, layers: [...layers.keys()], maps, count, images }, context);
    const total = Object.values(found).reduce((sum, each) => sum + each.length, 0);
    const bar = context.reporter.bar('projecting', total, 'maps');
    const experiment = await top9Experiment({
      model,
      preprocess,
      dataset,
      split,
      images: Math.min(images ?? length, length),
      found,
      modes: rules === ALL_RULES ? RULE_NAMES : [rules],
      onProgress: (done) => bar.update(done),
      signal: context.signal,
    });
    bar.stop();
    const files = await writeExperiment(experiment, out, commandLine(path, options));
    context.result({ ...(experiment.numbers as object), files }, () => table(found, files));
  } finally {
    run.model.dispose();
  }
}

function commandLine(path: string, { data, split, layers = [], maps, rules }: Top9Options): string {
  const words = ['npx zfnet top9', path];
  if (data) words.push(`--data ${data}`);
  if (split !== 'val') words.push(`--split ${split}`);
  words.push(...layers.map((names) => `--layers ${names}`));
  if (maps) words.push(`--maps ${mapsText(maps)}`);
  if (rules !== 'deconvnet') words.push(`--rules ${rules}`);
  return words.join(' ');
}

function table(found: Readonly<Record<string, readonly MapActivations[]>>, files: readonly string[]): string {
  const rows = Object.entries(found).map(([layer, maps]) => {
    const dead = maps.filter(({ active }) => active === 0).map(({ map }) => map);
    return `  ${layer.padEnd(8)} ${String(maps.length).padStart(4)} maps${dead.length > 0 ? `, ${dead.length} dead: ${dead.join(', ')}` : ''}`;
  });
  return ['strongest activations found:', ...rows, `written: ${files.join(', ')}`].join('\n');
}
