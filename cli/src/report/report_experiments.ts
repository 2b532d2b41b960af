/** Collects the experiments of a report: runs the quick ones, and reads the stored results of the longer ones from the run. */
import type { Run } from 'zfnet';
import type { Dataset } from 'zfnet/data';
import {
  type AblateNumbers,
  ablateExperiment,
  type Experiment,
  type FeaturesNumbers,
  featuresExperiment,
  filtersExperiment,
  type TransferNumbers,
  transferExperiment,
} from 'zfnet/report';
import { type Context, Interrupted } from '../command.js';
import { ascentOf } from '../commands/ascend.js';
import { correspondenceOf } from '../commands/correspond.js';
import { checkpointsToShow, evolutionOf } from '../commands/evolve.js';
import { filterSubject } from '../commands/filters.js';
import { invarianceOf, rightOnes } from '../commands/invariance.js';
import { occlusionOf, occlusionOfSplit } from '../commands/occlude.js';
import { parseJson } from '../files/json.js';
import { FolderStore } from '../run/run_folder.js';
import { experimentsFolder } from './experiment.js';

export interface ExperimentsJob {
  run: Run;
  /** The run's folder. */
  path: string;
  /** The data, with the labels of the run's classes if `answerable`. */
  dataset: Dataset;
  /** Whether the classes of the data are classes of the run, so that predictions can be right or wrong. */
  answerable: boolean;
  /** Name of the split that the experiments use. */
  split: string;
  /** Number of images for the evolution of features (per epoch), for the filters and for the occlusion of a split. */
  examples: { evolve: number; filters: number; occlude: number };
  /** Number of units of the last layer for which gradient ascent makes pictures; 0 for none. */
  ascended: number;
}

type Maker = (context: Context, job: ExperimentsJob) => Promise<readonly Experiment[]>;

/** The experiments in the order of the report. An experiment that fails is skipped with a warning. */
const MAKERS: Readonly<Record<string, Maker>> = { filters, evolve, ascend, occlude, invariance, correspond, stored };

export async function experimentsOf(context: Context, job: ExperimentsJob): Promise<Experiment[]> {
  const made: Experiment[] = [];
  for (const [name, make] of Object.entries(MAKERS)) {
    try {
      made.push(...(await make(context, job)));
    } catch (error) {
      if (context.signal.aborted || error instanceof Interrupted) throw error;
      context.reporter.warn(`the report omits the experiment ${name}: ${error instanceof Error ? error.message : error}`);
    }
  }
  context.reporter.stop();
  return made;
}

async function filters(context: Context, { run, path, dataset, split, examples }: ExperimentsJob): Promise<Experiment[]> {
  return [await filtersExperiment(await filterSubject(context, path, run, dataset, { split, images: examples.filters }))];
}

/** Runs only if the run has at least two checkpoints and the data are those it was trained on. */
async function evolve(context: Context, { run, path, dataset, examples }: ExperimentsJob): Promise<Experiment[]> {
  const checkpoints = await checkpointsToShow(path);
  if (checkpoints.length < 2 || dataset.fingerprint !== run.config.data.fingerprint) return [];
  return [(await evolutionOf(context, path, run, dataset, checkpoints, { images: examples.evolve })).experiment];
}

async function ascend(context: Context, { run, path, dataset, split, examples, ascended }: ExperimentsJob): Promise<Experiment[]> {
  if (ascended === 0) return [];
  const maps = Array.from({ length: Math.min(ascended, run.classes.length) }, (_, map) => map);
  const layers = run.model.layerNames().slice(-1);
  return [await ascentOf(context, path, run, dataset, { layers, maps, split, images: examples.filters })];
}

/** Number of images to try; the one whose probability drops most is shown. */
const TRIED = 8;

/** Occludes one image, a correctly classified one if possible, and, if the data have object boxes, many images. */
async function occlude(context: Context, { run, path, dataset, answerable, split, examples }: ExperimentsJob): Promise<Experiment[]> {
  if (!answerable) return [];
  const tried = await rightOnes(run, dataset.splits[split], TRIED);
  if (tried.length === 0) return [];
  const least: number[] = [];
  for (const { image, label, name } of tried) {
    const { occlusion } = await occlusionOf(context, path, run, { image, label, name }, null, { split });
    least.push(Math.min(...occlusion.probability));
  }
  const { image, label, name } = tried[least.indexOf(Math.min(...least))];
  const chosen = `Of ${tried.length} images sampled from “${split}”, this is the one in which the probability of the right class falls lowest when one place is covered.`;
  const one = await occlusionOf(context, path, run, { image, label, name, chosen }, dataset, { split });
  const many = await occlusionOfSplit(context, run, dataset, { split, images: examples.occlude });
  return [one.experiment, ...(many ? [many.experiment] : [])];
}

async function invariance(context: Context, { run, dataset, answerable, split }: ExperimentsJob): Promise<Experiment[]> {
  if (!answerable) return [];
  const examples = await rightOnes(run, dataset.splits[split], 5);
  return examples.length > 0 ? [await invarianceOf(context, run, examples)] : [];
}

/** Uses the faces of scenes, so it runs only for data of scenes. */
async function correspond(context: Context, { run, dataset }: ExperimentsJob): Promise<Experiment[]> {
  return dataset.name === 'scenes' ? [(await correspondenceOf(context, run, {})).experiment] : [];
}

/** Reads the stored results of `features`, `transfer` and `ablate`. */
async function stored({ reporter }: Context, { path }: ExperimentsJob): Promise<Experiment[]> {
  const store = new FolderStore(experimentsFolder(path));
  const found: Experiment[] = [];
  const take = async <T>(name: string, present: (numbers: T) => Experiment) => {
    const bytes = await store.read(`${name}.json`);
    if (!bytes) return;
    try {
      const { value, error } = parseJson(bytes);
      if (error) throw error;
      found.push(present(value as T));
    } catch (error) {
      reporter.warn(`experiments/${name}.json is damaged and left out; run zfnet ${name} again (${(error as Error).message})`);
    }
  };
  await take<FeaturesNumbers>('features', featuresExperiment);
  await take<TransferNumbers>('transfer', transferExperiment);
  await take<AblateNumbers>('ablate', ablateExperiment);
  return found;
}
