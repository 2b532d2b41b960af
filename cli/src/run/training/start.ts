/** What training starts from: the images, the network, and the weights of another run. */
import type { DataOptions, PresetName, RunConfig } from 'zfnet';
import * as engine from 'zfnet';
import { type Dataset, inChannels } from 'zfnet/data';
import { UsageError } from '../../command.js';
import type { Reporter } from '../../terminal/reporter.js';
import { openData, recordedOptions, recordedSource } from '../data.js';
import { defaultNetwork, defaultTraining, knownSide, naturalSide, recipeDefaults } from '../defaults.js';
import type { FolderStore } from '../run_folder.js';
import { namingWrongSize, openTrainedRun } from '../runs.js';
import type { TrainRunOptions } from './options.js';

/** What `engine.train` needs to start. The caller disposes of the model. */
export interface Start {
  model: engine.ZfNet;
  dataset: Dataset;
  dataOptions: DataOptions;
  /** Options of training; those of a resumed run only as far as they were given. */
  training: TrainRunOptions['training'];
}

/**
 * Opens the images and builds the network.
 *
 * @param recorded configuration of the run to resume, null for a new run
 * @param from run whose weights the network starts from, if any
 */
export async function prepare(
  recorded: RunConfig | null,
  from: engine.TrainedRun | null,
  options: TrainRunOptions,
  reporter: Reporter,
): Promise<Start> {
  const { dataset, dataOptions, ...network } = recorded
    ? await dataOfRun(recorded, options, reporter)
    : await dataOfNew(options, from, reporter);
  for (const [name, split] of Object.entries(dataset.splits)) reporter.detail(`${name}: ${split.length} examples`);
  if (recorded) {
    const { architecture, init, training } = recorded;
    const model = engine.zfnet(architecture.preset, { ...architecture, init, seed: training.seed });
    return { model, dataset, dataOptions, training: options.training };
  }
  const model = from ? modelLike(from, options, dataset) : newModel(options, dataset, network);
  const { preset, inputSize } = model.architecture;
  const given = defined(options.training);
  const own = recipeDefaults(preset, given);
  const training = { ...own, ...defaultTraining(dataset.channels, inputSize, options.freeze, own), ...given };
  return { model, dataset, dataOptions, training };
}

/** Opens the run to start from; on a resume only if the resumed run has no checkpoint yet. */
export async function startOf(store: FolderStore, recorded: RunConfig | null, options: TrainRunOptions): Promise<engine.TrainedRun | null> {
  if (!recorded) return options.from === undefined ? null : await openTrainedRun(options.from);
  const begun = (await store.list()).some((path) => path.endsWith('.safetensors'));
  return recorded.from === undefined || begun ? null : await openTrainedRun(recorded.from);
}

/** Builds the network of another run for new classes, with new initial weights. Throws `UsageError` for layers that cannot be frozen. */
function modelLike(start: engine.TrainedRun, options: TrainRunOptions, dataset: Dataset): engine.ZfNet {
  const { architecture } = start.model;
  const { dropout = architecture.dropout, freeze, training } = options;
  const like = { ...architecture, classes: dataset.classes.length, dropout, init: start.init, seed: training?.seed };
  return namingWrongSize(() => {
    const model = engine.zfnet(architecture.preset, like);
    if (freeze !== undefined) engine.lastFrozenLayer(model, freeze);
    return model;
  });
}

/** Copies the weights of the run to start from. With frozen layers the last layer is always initialised anew, as in the paper. */
export function begin(
  model: engine.ZfNet,
  start: engine.TrainedRun,
  { from, freeze }: Pick<RunConfig, 'from' | 'freeze'>,
  classes: readonly string[],
  reporter: Reporter,
): { from: engine.TrainJob['from'] } {
  const run = from as string;
  const taken = engine.startFrom(model, start, { sameClasses: freeze === undefined && classes.join('\n') === start.classes.join('\n') });
  reporter.say(`${taken.join(', ')} start from the weights of ${run}`);
  return { from: { run, preprocess: start.preprocess } };
}

type RunData = { dataset: Dataset; dataOptions: DataOptions; preset?: PresetName; inputSize?: number };

async function dataOfRun(recorded: RunConfig, options: TrainRunOptions, reporter: Reporter): Promise<RunData> {
  const { data, preprocess } = recorded;
  const dataOptions = recordedOptions(data);
  const dataset = await openData(
    options.data ?? recordedSource(data),
    preprocess.side,
    { ...dataOptions, workers: options.workers },
    reporter,
  );
  return { dataset: inChannels(dataset, preprocess.channels), dataOptions };
}

/** Opens the data of a new run at the input size of its network. Without a given size, it derives the size from the images first. */
async function dataOfNew(options: TrainRunOptions, start: engine.TrainedRun | null, reporter: Reporter): Promise<RunData> {
  const { data, dataOptions = {}, workers } = options;
  const opening = { ...dataOptions, workers };
  if (!data) throw new UsageError('there are no images to train on: give --data SOURCE');
  if (start) {
    const { side, channels } = start.preprocess.options;
    return { dataset: inChannels(await openData(data, side, opening, reporter), channels), dataOptions };
  }
  const looked = options.inputSize === undefined && knownSide(data) === undefined;
  const side = looked ? await naturalSide(await openData(data, undefined, opening, reporter)) : knownSide(data);
  const { preset, inputSize } = defaultNetwork(side, options);
  const dataset = await openData(data, engine.sideFor(inputSize), opening, reporter);
  return { dataset, dataOptions, preset, inputSize };
}

function newModel(options: TrainRunOptions, dataset: Dataset, network: { preset?: PresetName; inputSize?: number }): engine.ZfNet {
  const { width, dropout, init, training } = options;
  const { channels, classes } = dataset;
  const preset = network.preset ?? 'a';
  if (!engine.isClassifier(preset))
    throw new UsageError(`preset ${preset} ends with its convolutions and has no classes to learn: use another preset`);
  const { inputSize } = network;
  return namingWrongSize(() =>
    engine.zfnet(preset, { classes: classes.length, inputSize, channels, width, dropout, init, seed: training?.seed }),
  );
}

/** Returns the object without undefined entries. */
const defined = <T extends object>(value: T | undefined): Partial<T> =>
  Object.fromEntries(Object.entries(value ?? {}).filter(([, each]) => each !== undefined)) as Partial<T>;
