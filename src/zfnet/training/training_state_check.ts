/** Checks the training state of a checkpoint before a run resumes from it: types, ranges and consistency. */
import { arrayOf, finite, integer, isPlainObject, objectWith, oneOf, type Rules, rule, show } from '../../backend/validate.js';
import type { Checkpoint } from '../../formats/checkpoint.js';
import { FormatError } from '../../formats/errors.js';
import type { HostTensor } from '../../formats/safetensors.js';
import { StateError } from '../../nn/index.js';
import { STREAMS } from '../../tensor/index.js';
import { checkpointInfo, parameterNames } from '../run/checkpoint_info.js';
import type { RunConfig } from '../run/run_config.js';
import { checkedBy, checkFields } from '../run/run_rules.js';
import type { ScheduleOptions } from './recipe/schedule_options.js';
import { type TrainingOptions, trainingOptions } from './recipe/training_options.js';
import { recipeOf, type SavedOptimizer, SGD_KIND, type TrainingState } from './training_state.js';

const STATE_RULES: Rules = {
  epoch: integer(),
  step: integer(),
  cursor: integer(),
  lr: finite(0),
  best: rule('an object, or null', (value) => value === null || isPlainObject(value)),
};
const SUMS_RULES: Rules = { loss: finite(), errors: integer(), examples: integer(), seconds: finite(0) };
const BEST_RULES: Rules = { epoch: integer(1), top1Error: finite(0, 1) };
const GENERATOR_RULES: Rules = { seed: integer(), counter: integer() };

const SCHEDULE_STATE: Readonly<Record<ScheduleOptions['kind'], Rules>> = {
  plateau: { best: rule('a number, or null', (value) => value === null || finite().test(value)), bad: integer() },
  step: { epoch: integer() },
  'multi-step': { epoch: integer() },
  exponential: { epoch: integer() },
  cosine: { epoch: integer(), first: finite(0) },
  'one-cycle': { epoch: integer(), maxLr: finite(0) },
  constant: {},
};
const WARMUP_STATE: Rules = { warmup: integer(), base: finite(0) };

/** Number of random words in one stream of a seed. */
const STREAM_LENGTH = 2 ** 48;

/**
 * Checks the types and ranges of a training state, as far as possible without the configuration of its run.
 *
 * @throws FormatError naming the value that has the wrong type or is out of range
 */
export function checkTrainingState(value: unknown, where: string): asserts value is TrainingState {
  checkFields(where, value, STATE_RULES);
  checkFields(`${where}.sums`, value.sums, SUMS_RULES);
  if (value.best !== null) checkFields(`${where}.best`, value.best, BEST_RULES);
  checkFields(`${where}.random`, value.random, {});
  const { random } = value as { random: Record<string, unknown> };
  for (const stream of ['general', 'dropout'] as const) {
    checkFields(`${where}.random.${stream}`, random[stream], GENERATOR_RULES);
    const start = STREAMS[stream] * STREAM_LENGTH;
    checkFields(`${where}.random.${stream}`, random[stream], { counter: integer(start, start + STREAM_LENGTH - 1) });
  }
  checkFields(`${where}.schedule`, value.schedule, {});
}

/**
 * Checks that a run can resume from a checkpoint.
 *
 * @param examples number of training examples
 * @param name of the file, for errors
 * @throws FormatError for a checkpoint without training state, or with a state that is impossible for this run
 * @throws StateError if `config.json` differs from the settings with which the checkpoint was written
 */
export function checkResumable(checkpoint: Checkpoint, config: RunConfig, examples: number, name: string): void {
  const { training: state, recipe } = checkpoint.info;
  if (state === undefined) throw new FormatError(`${name}: it contains a model but no training state to resume from`);
  const info = checkpointInfo(checkpoint, name);
  const { architecture, preprocess, data } = config;
  const recorded = { architecture, preprocess, classes: data.classes, fingerprint: data.fingerprint };
  const { init: _, ...described } = info;
  checkSame(recorded, described, name);
  if (recipe !== undefined) checkSame(recipeOf(config), completeRecipe(recipe, `${name}: its metadata 'recipe'`), name);
  const where = `${name}: its metadata 'training'`;
  checkTrainingState(state, where);
  const { schedule, warmup } = config.training;
  checkFields(`${where}.schedule`, state.schedule, { ...SCHEDULE_STATE[schedule.kind], ...(warmup && WARMUP_STATE) });
  checkPlace(state, config, examples, where);
  checkOptimizer(checkpoint, config, state, name);
}

/** The recipe of a checkpoint, completed by the defaults of options that its version did not have. */
function completeRecipe(recipe: unknown, where: string): object {
  checkFields(where, recipe, {});
  checkFields(`${where}.training`, recipe.training, {});
  const { epochs: _, ...training } = checkedBy(where, () => trainingOptions(recipe.training as Partial<TrainingOptions>));
  return { ...recipe, training };
}

/** @throws StateError naming every value in which `config.json` differs from the checkpoint */
function checkSame(config: object, recorded: unknown, name: string): void {
  const differences = [...differencesOf('', config, recorded)];
  if (differences.length === 0) return;
  throw new StateError(
    `train: config.json has changed since ${name} was written: ${differences.join('; ')}. Put config.json back as it was (only epochs and lr may change on a resume, by --epochs and --lr), or start a new run`,
  );
}

function* differencesOf(place: string, config: unknown, recorded: unknown): Generator<string> {
  if (isPlainObject(config) && isPlainObject(recorded)) {
    for (const key of new Set([...Object.keys(config), ...Object.keys(recorded)]))
      yield* differencesOf(place === '' ? key : `${place}.${key}`, own(config, key), own(recorded, key));
    return;
  }
  if (JSON.stringify(config) !== JSON.stringify(recorded))
    yield `${place} is ${brief(config)} in config.json and ${brief(recorded)} in the checkpoint`;
}

const own = (object: Record<string, unknown>, key: string): unknown => (Object.hasOwn(object, key) ? object[key] : undefined);

const brief = (value: unknown): string => (value === undefined ? 'absent' : show(value));

/** @throws FormatError if the run cannot have been at this position (epoch, step, cursor) */
function checkPlace(state: TrainingState, config: RunConfig, examples: number, where: string): void {
  const { epoch, step, cursor, sums, best, random, schedule } = state;
  const { batchSize, seed } = config.training;
  const fail = (what: string): never => {
    throw new FormatError(`${where}: ${what}; resume from another checkpoint`);
  };
  const perEpoch = Math.ceil(examples / batchSize);
  const most = epoch * perEpoch + Math.ceil(cursor / batchSize);
  if (cursor > examples || (cursor % batchSize !== 0 && cursor !== examples))
    fail(`cursor is ${cursor}, expected a multiple of the batch size ${batchSize} up to the ${examples} training examples`);
  if (step < epoch || step > most) fail(`step is ${step} after ${epoch} epochs and ${cursor} examples, expected ${epoch} to ${most}`);
  if (sums.examples > cursor || sums.errors > sums.examples)
    fail(`sums count ${sums.errors} errors among ${sums.examples} examples, of which ${cursor} are done`);
  if (cursor === examples && sums.examples === 0) fail(`cursor is at the end of the epoch, but sums count no examples`);
  if (best && best.epoch > epoch) fail(`best.epoch is ${best.epoch}, but ${epoch} epochs are done`);
  for (const generator of [random.general, random.dropout])
    if (generator.seed !== seed) fail(`a random generator has the seed ${generator.seed}, config.json records ${seed}`);
  const inSteps = config.training.schedule.kind === 'one-cycle';
  const count = 'epoch' in schedule ? Number(schedule.epoch) : 0;
  if (inSteps ? count !== step : count > epoch)
    fail(`schedule.epoch is ${count}, but ${inSteps ? `${step} steps` : `${epoch} epochs`} are done`);
}

const DESCRIPTION_RULES: Rules = {
  groups: arrayOf(objectWith('{ lr, weightDecay, size }', { lr: finite(0), weightDecay: finite(0), size: integer() }), 1, 1),
  steps: arrayOf(integer()),
};

/** Names of the slots of each optimiser, and of those that every updated parameter has. */
function slotsOf({ optimizer, momentum }: TrainingOptions): { kind: string; known: string[]; needed: string[] } {
  switch (optimizer?.kind) {
    case 'adam':
      return { kind: 'Adam', known: ['mean', 'square'], needed: ['mean', 'square'] };
    case 'adamw':
      return { kind: 'AdamW', known: ['mean', 'square'], needed: ['mean', 'square'] };
    case 'rmsprop': {
      const needed = ['square', ...(optimizer.centered ? ['mean'] : []), ...(optimizer.momentum > 0 ? ['momentum'] : [])];
      return { kind: 'RMSprop', known: needed, needed };
    }
    default:
      return { kind: SGD_KIND, known: ['velocity'], needed: momentum > 0 ? ['velocity'] : [] };
  }
}

/** @throws FormatError for state without a parameter, of another optimiser, or of another shape, and for state that is missing */
function checkOptimizer(checkpoint: Checkpoint, config: RunConfig, { step }: TrainingState, name: string): void {
  const { weights, velocities, slots = {}, info } = checkpoint;
  const { kind, known, needed } = slotsOf(config.training);
  const names = parameterNames(config.architecture);
  if (kind !== SGD_KIND) {
    const where = `${name}: its metadata 'optimizer'`;
    checkFields(where, info.optimizer, { ...DESCRIPTION_RULES, kind: oneOf(kind) });
    const { groups, steps } = info.optimizer as unknown as SavedOptimizer;
    if (groups[0].size !== names.length || steps.length !== names.length)
      throw new FormatError(
        `${where}: it describes ${steps.length} parameters, its network has ${names.length}; resume from another checkpoint`,
      );
  }
  const all = { ...(Object.keys(velocities).length > 0 && { velocity: velocities }), ...slots };
  for (const [slot, state] of Object.entries(all)) {
    if (!known.includes(slot)) throw new FormatError(`${name}: it has the state ${show(slot)}, which the optimiser ${kind} does not have`);
    checkSlot(slot, state, weights, name);
  }
  if (step === 0 || config.freeze !== undefined) return;
  for (const slot of needed) {
    const state = Object.hasOwn(all, slot) ? (all as Record<string, Record<string, HostTensor>>)[slot] : {};
    const missing = names.find((key) => !Object.hasOwn(state, key));
    if (missing !== undefined) throw new FormatError(`${name}: it has no ${slot} of ${missing}, which ${neededBy(config)} needs`);
  }
}

const neededBy = ({ training }: RunConfig): string => (training.optimizer ? training.optimizer.kind : `momentum ${training.momentum}`);

function checkSlot(slot: string, state: Record<string, HostTensor>, weights: Checkpoint['weights'], name: string): void {
  for (const [key, { shape }] of Object.entries(state)) {
    const weight = Object.hasOwn(weights, key) ? weights[key] : undefined;
    if (!weight) throw new FormatError(`${name}: it has a ${slot} of ${show(key)}, which its network does not have`);
    if (weight.shape.join() !== shape.join())
      throw new FormatError(`${name}: the ${slot} of ${key} has shape [${shape}], expected [${weight.shape}]`);
  }
}
