/** `zfnet top9`: finds the images with the strongest activations of each map and projects them to pixels (paper, Fig. 2). */
import type { Command } from 'commander';
import type { DeconvMode, MapActivations } from 'zfnet';
import { top9Experiment } from 'zfnet/report';
import { type Context, defineCommand, handler, oneOf, whole } from '../command.js';
import { checkMaps, collect, layersOf, mapList, mapsText, stoppable, strongestOf } from '../look.js';
import { experimentsFolder, writeExperiment } from '../report/experiment.js';
import { type DataChoice, openRunData } from '../run/data.js';
import { openRun } from '../run/runs.js';
import { pickSplit } from './evaluate.js';

interface Top9Options extends DataChoice {
  split: string;
  layer?: string[];
  maps?: number[];
  count: number;
  mode: DeconvMode;
  modes?: boolean;
  examples?: number;
  out?: string;
}

const MODES = ['deconvnet', 'gradient', 'guided'] as const satisfies readonly DeconvMode[];

const EXAMPLES = [
  'zfnet top9 runs/demo                                          # all maps of all convolutions',
  'zfnet top9 runs/demo --layer conv4 --layer conv5 --maps 0-15',
  'zfnet top9 runs/photos --data more-photos/ --layer conv5 --modes --out seen/',
];
const NOTE = `
The images are read once for all layers. The activations found are cached in the run's folder, so that a repeated command is fast, and a
command that was stopped by Ctrl-C continues when it is run again.`;

export function top9Command(program: Command): void {
  defineCommand(
    program,
    'top9 <run>',
    'find the nine images with the strongest activations of each map and project them to pixels (Fig. 2)',
    EXAMPLES,
  )
    .option('--data <source>', 'image source, written as for train --data (default: the images that the run was trained on)')
    .option('--split <name>', 'split of the source: val, train or another of its splits', 'val')
    .option('--layer <name>', 'layer to use; repeat the option for several layers (default: all convolutions)', collect)
    .option('--maps <list>', 'maps to use, such as 0-7 or 3,5,8-11 (default: all)', mapList)
    .option('--count <n>', 'number of images per map', whole({ min: 1 }), 9)
    .option('--examples <n>', 'number of images to search, sampled at random (default: all)', whole({ min: 1 }))
    .option('--mode <mode>', `rules of the backward pass: ${MODES.join(', ')}`, oneOf(MODES), 'deconvnet')
    .option('--modes', 'show the projections of all three modes side by side')
    .option('--out <folder>', 'folder for top9.json, top9.html and top9-LAYER.png (default: RUN/experiments)')
    .addHelpText('after', NOTE)
    .action(
      handler(async (context, path: string, options: Top9Options) => {
        await context.engine();
        await stoppable(context, 'run the same command again to continue', () => top9(context, path, options));
      }),
    );
}

async function top9(context: Context, path: string, options: Top9Options): Promise<void> {
  const { split, maps, count, examples, mode, out = experimentsFolder(path) } = options;
  const run = await openRun(path);
  try {
    const { model, preprocess } = run;
    const layers = await layersOf(run, options.layer);
    checkMaps(layers, maps);
    const dataset = await openRunData(run, options, context.reporter);
    const { length } = pickSplit(dataset, split);
    const found = await strongestOf(
      { path, model, preprocess, dataset, split, layers: [...layers.keys()], maps, count, examples },
      context,
    );
    const total = Object.values(found).reduce((sum, each) => sum + each.length, 0);
    const bar = context.reporter.bar('projecting', total, 'maps');
    const experiment = await top9Experiment({
      model,
      preprocess,
      dataset,
      split,
      images: Math.min(examples ?? length, length),
      found,
      modes: options.modes ? MODES : [mode],
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

function commandLine(path: string, { data, split, layer = [], maps, modes, mode }: Top9Options): string {
  const words = ['npx zfnet top9', path];
  if (data) words.push(`--data ${data}`);
  if (split !== 'val') words.push(`--split ${split}`);
  words.push(...layer.map((name) => `--layer ${name}`));
  if (maps) words.push(`--maps ${mapsText(maps)}`);
  if (modes) words.push('--modes');
  else if (mode !== 'deconvnet') words.push(`--mode ${mode}`);
  return words.join(' ');
}

function table(found: Readonly<Record<string, readonly MapActivations[]>>, files: readonly string[]): string {
  const rows = Object.entries(found).map(([layer, maps]) => {
    const dead = maps.filter(({ active }) => active === 0).map(({ map }) => map);
    return `  ${layer.padEnd(8)} ${String(maps.length).padStart(4)} maps${dead.length > 0 ? `, ${dead.length} dead: ${dead.join(', ')}` : ''}`;
  });
  return ['strongest activations found:', ...rows, `written: ${files.join(', ')}`].join('\n');
}
