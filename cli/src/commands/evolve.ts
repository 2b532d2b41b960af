/** `zfnet evolve`: shows how features form over the epochs of training (paper, Fig. 4). */
import type { Command } from 'commander';
import { type EpochModel, type Evolution, epochCheckpoints, evolution, projectEvolution, type Run } from 'zfnet';
import { type Dataset, type Example, samplePlaces, spreadPlaces } from 'zfnet/data';
import { type Experiment, evolveExperiment, inputOf } from 'zfnet/report';
import { type Context, defineCommand, handler, UsageError } from '../command.js';
import { checkMaps, layersNamed, layersOf, stoppable } from '../look.js';
import {
  dataOption,
  imagesOption,
  layersOption,
  mapList,
  mapsOption,
  mapsText,
  outOption,
  renamedOption,
  splitOption,
} from '../options.js';
import { experimentsFolder, writeExperiment } from '../report/experiment.js';
import { type DataChoice, openRunData } from '../run/data.js';
import { FolderStore } from '../run/run_folder.js';
import { openTrainedRun } from '../run/runs.js';
import { pickSplit } from './evaluate.js';

interface EvolveOptions extends DataChoice {
  split: string;
  layers?: string[];
  maps?: number[];
  atEpochs?: number[];
  images: number;
  out?: string;
}

/** Epochs shown in the paper. */
const PAPER_EPOCHS = [1, 2, 5, 10, 20, 30, 40, 64];
/** Up to this number of checkpoints, all are used. */
const MANY = 12;
/** Default number of images. */
const IMAGES = 2000;
/** Number of maps per layer that are shown without `--maps`. */
const SHOWN = 6;

const EXAMPLES = [
  'zfnet evolve runs/demo',
  'zfnet evolve runs/photos --at-epochs 1,2,5,10,20,30,40,64 --layers conv1,conv5 --images 10000',
];

export function evolveCommand(program: Command): void {
  const command = defineCommand(
    program,
    'evolve <run>',
    'show how features form during training, from the checkpoints of a run (Fig. 4)',
    EXAMPLES,
  )
    .addOption(dataOption())
    .addOption(splitOption('train'))
    .addOption(layersOption('all convolutions'))
    .addOption(mapsOption(`${SHOWN} of each layer, evenly spaced`))
    .option(
      '--at-epochs <list>',
      `epochs whose checkpoints are compared, such as 1,2,5 (default: all of up to ${MANY} checkpoints; of more, ${PAPER_EPOCHS.join(', ')} and the last)`,
      mapList,
    )
    .addOption(imagesOption('sampled at random', IMAGES, 2))
    .addOption(outOption('folder for evolve.json, evolve.html and evolve-LAYER.png (default: RUN/experiments)'))
    .action(
      handler(async (context, path: string, options: EvolveOptions) => {
        await context.engine();
        await stoppable(context, 'nothing was written', () => evolve(context, path, options));
      }),
    );
  renamedOption(command, '--layer <name>', '--layers');
  renamedOption(command, '--examples <n>', '--images');
  renamedOption(command, '--epochs <list>', '--at-epochs');
}

async function evolve(context: Context, path: string, options: EvolveOptions): Promise<void> {
  const { out = experimentsFolder(path) } = options;
  const checkpoints = await chooseCheckpoints(path, options.atEpochs);
  const last = await openTrainedRun(path, { checkpoint: checkpoints[checkpoints.length - 1].path });
  try {
    const dataset = await openRunData(last, options, context.reporter);
    const { experiment, found } = await evolutionOf(context, path, last, dataset, checkpoints, options);
    const files = await writeExperiment(experiment, out, commandLine(path, options));
    context.result({ ...(experiment.numbers as object), files }, () => table(found, files));
  } finally {
    last.model.dispose();
  }
}

/** Runs the experiment over some checkpoints of a run. `last` is the run opened at the last of them. */
export async function evolutionOf(
  context: Context,
  path: string,
  last: Run,
  dataset: Dataset,
  checkpoints: readonly RunCheckpoint[],
  options: Partial<EvolveOptions>,
): Promise<{ experiment: Experiment; found: Evolution }> {
  const { split: name = 'train', maps, images = IMAGES } = options;
  const { reporter, signal } = context;
  const { model, preprocess } = last;
  const layers = await layersOf(last, layersNamed(last, options.layers));
  checkMaps(layers, maps);
  const whole = pickSplit(dataset, name);
  const indices = samplePlaces(whole.length, images);
  const models = checkpoints.map(
    ({ epoch, path: checkpoint }): EpochModel => ({ epoch, open: async () => (await openTrainedRun(path, { checkpoint })).model }),
  );
  const common = { preprocess: (batch: Example[]) => inputOf(preprocess, batch), signal };
  let [now, seen, before] = [0, 0, 0];
  const bar = reporter.bar('strongest activations', indices.length * models.length, 'images');
  const found = await evolution(models, whole, {
    ...common,
    layers: [...layers.keys()],
    indices,
    onBroken: (error) => reporter.warn(`left out: ${error.message}`),
    onProgress: (epoch, done) => {
      if (epoch !== now) before += seen;
      [now, seen] = [epoch, done];
      bar.update(before + done, `epoch ${epoch}`);
    },
  });
  bar.stop();
  const projecting = reporter.bar('projecting', models.length, 'epochs');
  const pictures = await projectEvolution(models, whole, found, shownMaps(found, maps), {
    ...common,
    onProgress: (_epoch, done) => projecting.update(done),
  });
  projecting.stop();
  return { experiment: evolveExperiment({ model, preprocess, dataset, split: name, found, pictures }), found };
}

function commandLine(path: string, { data, split, layers = [], maps, atEpochs, images }: EvolveOptions): string {
  const words = ['npx zfnet evolve', path];
  if (data) words.push(`--data ${data}`);
  if (split !== 'train') words.push(`--split ${split}`);
  words.push(...layers.map((names) => `--layers ${names}`));
  if (maps) words.push(`--maps ${mapsText(maps)}`);
  if (atEpochs) words.push(`--at-epochs ${mapsText(atEpochs)}`);
  if (images !== IMAGES) words.push(`--images ${images}`);
  return words.join(' ');
}

export interface RunCheckpoint {
  epoch: number;
  path: string;
}

/** Checkpoints of the paper's epochs and the last one, or all checkpoints if there are few. */
export async function checkpointsToShow(path: string): Promise<RunCheckpoint[]> {
  const all = await epochCheckpoints(new FolderStore(path));
  const lastEpoch = all.at(-1)?.epoch;
  return all.filter(({ epoch }) => all.length <= MANY || PAPER_EPOCHS.includes(epoch) || epoch === lastEpoch);
}

/** Checkpoints of the wanted epochs. Throws `UsageError` if there are fewer than two, or if a wanted epoch has none. */
async function chooseCheckpoints(path: string, wanted: readonly number[] | undefined): Promise<RunCheckpoint[]> {
  const all = await epochCheckpoints(new FolderStore(path));
  const epochs = all.map(({ epoch }) => epoch);
  const missing = wanted?.find((epoch) => !epochs.includes(epoch));
  if (missing !== undefined) throw new UsageError(`${path} has no checkpoint of epoch ${missing}; it has ${epochs.join(', ') || 'none'}`);
  const chosen = wanted ? all.filter(({ epoch }) => wanted.includes(epoch)) : await checkpointsToShow(path);
  if (chosen.length < 2)
    throw new UsageError(
      `${path} has ${chosen.length === 1 ? 'one checkpoint' : 'no checkpoints'} of its epochs; at least two are needed to see a change`,
    );
  return chosen;
}

/** The named maps, or a few evenly spaced maps that are active at the end. */
function shownMaps({ layers }: Evolution, named: readonly number[] | undefined): Record<string, number[]> {
  return Object.fromEntries(
    layers.map(({ layer, maps }) => {
      if (named) return [layer, named.filter((map) => map < maps.length)];
      const alive = maps.filter(({ strongest }) => (strongest.at(-1)?.value ?? 0) > 0).map(({ map }) => map);
      return [layer, spreadPlaces(alive.length, SHOWN).map((place) => alive[place])];
    }),
  );
}

function table({ epochs, images, layers }: Evolution, files: readonly string[]): string {
  const rows = layers.map(
    ({ layer, settled, likeness }) =>
      `  ${layer.padEnd(8)} settled at epoch ${String(settled).padStart(3)}; similarity to the last epoch: ${likeness.map((value) => value.toFixed(2)).join(' ')}`,
  );
  return [`epochs ${epochs.join(', ')}, ${images} images`, ...rows, `written: ${files.join(', ')}`].join('\n');
}
