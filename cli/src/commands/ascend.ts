/** `zfnet ascend`: pictures that maps would like best, made by gradient ascent. */
import type { Command } from 'commander';
import { type AscendedMap, ascend, type Run } from 'zfnet';
import { type AscendNumbers, ascendExperiment, type Experiment } from 'zfnet/report';
import { type Context, decimal, defineCommand, handler, whole } from '../command.js';
import { experimentsFolder, writeExperiment } from '../experiment.js';
import { checkMaps, collect, layersOf, mapList, mapsText, stoppable } from '../look.js';
import { openRun } from '../runs.js';

interface AscendOptions {
  layer?: string[];
  maps?: number[];
  steps: number;
  rate: number;
  decay: number;
  blur: number;
  jitter: number;
  out?: string;
}

const DEFAULTS = { steps: 160, rate: 0.06, decay: 0.02, blur: 0.7, jitter: 3 };

const EXAMPLES = [
  'zfnet ascend runs/demo                                # all maps of the last convolution',
  'zfnet ascend runs/demo --layer fc8                    # every class',
  'zfnet ascend runs/demo --layer conv3 --maps 0-15 --steps 400 --decay 0.01',
];

export function ascendCommand(program: Command): void {
  defineCommand(program, 'ascend <run>', 'make the pictures that maps would like best, by gradient ascent; name the dead', EXAMPLES)
    .option('--layer <name>', 'this layer; may be given several times (default: the last convolution)', collect)
    .option('--maps <list>', 'these maps, such as 0-7 or 3,5,8-11 (default: all)', mapList)
    .option('--steps <n>', 'steps to climb', whole({ min: 1 }), DEFAULTS.steps)
    .option(
      '--rate <r>',
      'how far a step moves an average pixel, as a part of half the range of pixels',
      decimal({ above: 0 }),
      DEFAULTS.rate,
    )
    .option('--decay <d>', 'part of each pixel that is lost in a step', decimal({ min: 0, below: 1 }), DEFAULTS.decay)
    .option('--blur <pixels>', 'standard deviation of the blur of every fourth step; 0 for none', decimal({ min: 0 }), DEFAULTS.blur)
    .option('--jitter <pixels>', 'shift before each step, at most', whole({ min: 0 }), DEFAULTS.jitter)
    .option('--out <folder>', 'where ascend.json, ascend.html and ascend-LAYER.png go (default: RUN/experiments)')
    .action(
      handler(async (context, path: string, options: AscendOptions) => {
        await context.engine();
        await stoppable(context, 'nothing was written', () => climb(context, path, options));
      }),
    );
}

async function climb(context: Context, path: string, options: AscendOptions): Promise<void> {
  const run = await openRun(path);
  try {
    const experiment = await ascentOf(context, run, options);
    const files = await writeExperiment(experiment, options.out ?? experimentsFolder(path), commandLine(path, options));
    const numbers = experiment.numbers as AscendNumbers;
    context.result({ ...numbers, files }, () => table(numbers, files));
  } finally {
    run.model.dispose();
  }
}

/** The experiment on some layers of a run. */
export async function ascentOf(context: Context, run: Run, options: Partial<AscendOptions>): Promise<Experiment> {
  const { steps, rate, decay, blur, jitter } = { ...DEFAULTS, ...options };
  const { model, preprocess, classes } = run;
  const all = await layersOf(run, options.layer);
  const layers = options.layer ? all : new Map([...all].slice(-1));
  checkMaps(layers, options.maps);
  const { channels, inputSize, scale, deviation = [1] } = preprocess.options;
  const settings = { steps, rate, decay, blur, jitter, seed: context.common.seed ?? 0 };
  const found: Record<string, AscendedMap[]> = {};
  for (const [layer, count] of layers) {
    const maps = options.maps?.filter((map) => map < count);
    const bar = context.reporter.bar(`climbing ${layer}`, (maps?.length ?? count) * steps, 'steps');
    found[layer] = await ascend(model, {
      ...settings,
      layer,
      maps,
      input: [channels, inputSize, inputSize],
      // Half of the range of pixels, in the network's units.
      limit: (128 * scale) / Math.max(...deviation),
      onProgress: (done) => bar.update(done),
      signal: context.signal,
    });
    bar.stop();
  }
  // The last layer's units are the classes.
  const last = model.layerNames().at(-1)!;
  return ascendExperiment({ preprocess, found, names: { [last]: classes }, settings });
}

const commandLine = (path: string, { layer = [], maps }: AscendOptions): string =>
  ['npx zfnet ascend', path, ...layer.map((name) => `--layer ${name}`), ...(maps ? [`--maps ${mapsText(maps)}`] : [])].join(' ');

function table({ layers }: AscendNumbers, files: readonly string[]): string {
  const rows = layers.map(
    ({ layer, maps, dead, dominating }) =>
      `  ${layer.padEnd(8)} ${String(maps.length).padStart(4)} maps, ${dead.length} never respond${dead.length > 0 ? ` (${dead.join(', ')})` : ''}${dominating.length > 0 ? `, dominating: ${dominating.join(', ')}` : ''}`,
  );
  return [...rows, `written: ${files.join(', ')}`].join('\n');
}
