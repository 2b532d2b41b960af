/** Defaults of training: the values of the paper, and sizes that follow the data. */
import {
  type Augmentation,
  type GivenTrainingOptions,
  type InitScheme,
  networkRecipe,
  PRESETS,
  type PresetName,
  type TrainingOptions,
} from 'zfnet';
import { type Dataset, parseSource, type Split, samplePlaces } from 'zfnet/data';

/** Inputs smaller than this use the preset `small`, whose strides are 1. */
const SMALL_BELOW = 64;
const SMALL_FROM = 28;
/** Side in pixels of the pictures of `scenes`, which exist in any size: training on this one takes minutes. */
const SCENES_SIDE = 64;

export interface NetworkDefaults {
  preset: PresetName;
  inputSize: number;
}

/**
 * Returns the preset and the input size for images of a given size.
 *
 * @param side shortest side of the images in pixels; needed if no input size is given
 */
export function defaultNetwork(side: number | undefined, given: { preset?: PresetName; inputSize?: number }): NetworkDefaults {
  const size = given.inputSize ?? side ?? PRESETS.a.inputSize;
  const preset = given.preset ?? (size < SMALL_BELOW ? 'small' : 'a');
  if (given.inputSize !== undefined) return { preset, inputSize: given.inputSize };
  if (preset === 'small') return { preset, inputSize: Math.min(Math.max(size, SMALL_FROM), SMALL_BELOW - 1) };
  const own = PRESETS[preset].inputSize;
  return { preset, inputSize: size >= SMALL_BELOW && size < own ? size : own };
}

/**
 * Returns the defaults for augmentation and epochs, those of the network's recipe if it has any. With frozen layers there is no
 * augmentation, so that their outputs can be cached.
 */
export function defaultTraining(
  channels: 1 | 3,
  inputSize: number,
  freeze?: string,
  recipe: GivenTrainingOptions = {},
): Pick<TrainingOptions, 'augment' | 'epochs'> {
  // Grey images are usually digits or letters, which must not be mirrored.
  const augment: Augmentation = freeze !== undefined ? 'none' : channels === 1 ? 'shift' : (recipe.augment ?? 'paper');
  return { augment, epochs: recipe.epochs ?? (inputSize < SMALL_BELOW ? 20 : 70) };
}

/** Returns the recipe of the network's paper; with another optimiser, without the values that belong to its own. */
export function recipeDefaults(preset: PresetName, given: GivenTrainingOptions): GivenTrainingOptions {
  const recipe = networkRecipe(preset);
  if (given.optimizer === undefined || given.optimizer.kind === (recipe.optimizer?.kind ?? 'sgd')) return recipe;
  const { optimizer: _, lr: __, momentum: ___, weightDecay: ____, ...others } = recipe;
  return others;
}

/** Returns the shortest side of a source's images if its name determines it. */
export function knownSide(source: string): number | undefined {
  const { kind } = parseSource(source);
  return kind.scheme === 'scenes' ? SCENES_SIDE : kind.side;
}

/** Returns the shortest side of a data set's images: the recorded one, or the median of a sample. */
export async function naturalSide(dataset: Dataset): Promise<number | undefined> {
  if (dataset.imageSize) return Math.min(...dataset.imageSize);
  const { train } = dataset.splits;
  const sides = await Promise.all(samplePlaces(train.length, 16).map((place) => sideOf(train, place)));
  const known = sides.filter((side) => side !== undefined).sort((a, b) => a - b);
  return known[Math.floor(known.length / 2)];
}

async function sideOf(split: Split, index: number): Promise<number | undefined> {
  try {
    const { image } = await split.get(index);
    return Math.min(image.width, image.height);
  } catch {
    return undefined;
  }
}

export const INITS = ['paper', 'he', 'glorot', 'mixed', 'lecun'] as const satisfies readonly InitScheme[];
