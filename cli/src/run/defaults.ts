/** What training takes where the user says nothing: the paper's values, and sizes that follow the data. */
import { type Augmentation, type InitScheme, PRESETS, type PresetName, type TrainingOptions } from 'zfnet';
import { type Dataset, type Split, samplePlaces } from 'zfnet/data';

/** Inputs below this are taken by the preset `small`, whose strides are 1. */
const SMALL_BELOW = 64;
const SMALL_FROM = 28;
/** Sources whose images have one size, or can be had at any: for `scenes`, one that trains in minutes. */
const KNOWN_SIDES: readonly [source: string, side: number][] = [
  ['scenes', 64],
  ['mnist', 28],
  ['cifar10:', 32],
];

export interface NetworkDefaults {
  preset: PresetName;
  inputSize: number;
}

/**
 * The preset and the input size for images of a given size.
 *
 * @param side shortest side of the images in pixels; needed where no input size is given
 */
export function defaultNetwork(side: number | undefined, given: { preset?: PresetName; inputSize?: number }): NetworkDefaults {
  const size = given.inputSize ?? side ?? PRESETS.a.inputSize;
  const preset = given.preset ?? (size < SMALL_BELOW ? 'small' : 'a');
  if (given.inputSize !== undefined) return { preset, inputSize: given.inputSize };
  if (preset === 'small') return { preset, inputSize: Math.min(Math.max(size, SMALL_FROM), SMALL_BELOW - 1) };
  const own = PRESETS[preset].inputSize;
  return { preset, inputSize: size >= SMALL_BELOW && size < own ? size : own };
}

/** The recipe's defaults that follow the data and the network. Frozen layers need see an image only once if it is always cut the same. */
export function defaultTraining(channels: 1 | 3, inputSize: number, freeze?: string): Pick<TrainingOptions, 'augment' | 'epochs'> {
  // A mirrored digit is another sign, and grey images are digits and letters as a rule.
  const augment: Augmentation = freeze !== undefined ? 'none' : channels === 1 ? 'shift' : 'paper';
  return { augment, epochs: inputSize < SMALL_BELOW ? 20 : 70 };
}

/** The shortest side of a source's images where its name tells. */
export const knownSide = (source: string): number | undefined =>
  KNOWN_SIDES.find(([name]) => source === name || (name.endsWith(':') && source.startsWith(name)))?.[1];

/** The shortest side of a data set's images, by its own word or by looking at a few. */
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

export const INITS = ['paper', 'he', 'glorot', 'mixed'] as const satisfies readonly InitScheme[];
