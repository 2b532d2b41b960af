/** Normalisation of the pixels for an imported network: by the name of a convention, or by mean and standard deviation. */
import { InvalidArgumentError } from 'commander';
import { UsageError } from '../command.js';

export interface Pixels {
  /** Mean to subtract from each channel, red first; pixels range from 0 to 255. */
  mean: readonly number[];
  /** Standard deviation to divide each channel by afterwards, red first. */
  deviation: readonly number[];
  channelOrder: 'rgb' | 'bgr';
}

/** Conventions by the name of their framework or range. Values refer to pixels from 0 to 255, red first. */
const CONVENTIONS = {
  /** torchvision: zero mean and unit variance with the statistics of ImageNet. */
  torchvision: { mean: [123.675, 116.28, 103.53], deviation: [58.395, 57.12, 57.375], channelOrder: 'rgb' },
  /** Caffe: blue first, minus the mean of ImageNet. */
  caffe: { mean: [123.68, 116.779, 103.939], deviation: [1, 1, 1], channelOrder: 'bgr' },
  /** Inception and MobileNet in Keras and TensorFlow: from −1 to 1. */
  tensorflow: { mean: [127.5, 127.5, 127.5], deviation: [127.5, 127.5, 127.5], channelOrder: 'rgb' },
  /** From 0 to 1. */
  unit: { mean: [0, 0, 0], deviation: [255, 255, 255], channelOrder: 'rgb' },
  /** From 0 to 255. */
  raw: { mean: [0, 0, 0], deviation: [1, 1, 1], channelOrder: 'rgb' },
} as const satisfies Record<string, Pixels>;

export type Convention = keyof typeof CONVENTIONS;
export const CONVENTION_NAMES = Object.keys(CONVENTIONS) as Convention[];

/** Ranges that are accepted as names of conventions. */
const ALIASES: Readonly<Record<string, Convention>> = { '-1..1': 'tensorflow', '0..1': 'unit', '0..255': 'raw' };

/** Parses the value of `--preprocess`. */
export function convention(text: string): Convention {
  const found = CONVENTION_NAMES.find((name) => name === text) ?? (Object.hasOwn(ALIASES, text) ? ALIASES[text] : undefined);
  if (!found) throw new InvalidArgumentError(`Expected one of ${[...CONVENTION_NAMES, ...Object.keys(ALIASES)].join(', ')}.`);
  return found;
}

/** Returns a parser for the value of `--mean` or `--std`: one number, or one per channel. */
export function channelNumbers(range: { above?: number } = {}): (text: string) => number[] {
  return (text) => {
    const numbers = text.split(',').map((part) => (part.trim() === '' ? Number.NaN : Number(part)));
    const { above = Number.NEGATIVE_INFINITY } = range;
    if (numbers.some((number) => !Number.isFinite(number) || number <= above) || (numbers.length !== 1 && numbers.length !== 3))
      throw new InvalidArgumentError(
        `Expected one number, or three with commas between them: red, green, blue${range.above === undefined ? '' : `, each above ${range.above}`}.`,
      );
    return numbers;
  };
}

export interface PixelOptions {
  /** Default: `torchvision` for colour images, `unit` for grey ones. */
  preprocess?: Convention;
  /** Red first. Pixels range from 0 to 1 if all values of `mean` and `std` are at most 1, otherwise from 0 to 255. */
  mean?: number[];
  std?: number[];
}

/**
 * Returns the mean, standard deviation and channel order that the options select.
 *
 * @param whole whether the network takes integers from 0 to 255 and normalises them itself
 * @throws UsageError if the options do not fit the network or each other
 */
export function pixelsOf({ preprocess, mean, std }: PixelOptions, channels: 1 | 3, whole: boolean): Pixels {
  const own = mean !== undefined || std !== undefined;
  if (whole && (own || (preprocess !== undefined && preprocess !== 'raw')))
    throw new UsageError(
      'the network takes whole numbers from 0 to 255 and normalises them itself: leave out --preprocess, --mean and --std',
    );
  const base = preprocess ?? (whole ? 'raw' : own ? 'unit' : channels === 3 ? 'torchvision' : 'unit');
  const named: Pixels = CONVENTIONS[base];
  if (!own) return { ...named, mean: named.mean.slice(0, channels), deviation: named.deviation.slice(0, channels) };
  const given = [...(mean ?? []), ...(std ?? [])];
  const unit = given.every((number) => Math.abs(number) <= 1) ? 255 : 1;
  const perChannel = (name: string, numbers: readonly number[] | undefined, otherwise: readonly number[]): number[] => {
    if (!numbers) return otherwise.slice(0, channels);
    if (numbers.length !== 1 && numbers.length !== channels)
      throw new UsageError(
        `--${name} has ${numbers.length} numbers, the network takes images of ${channels} channel${channels > 1 ? 's' : ''}`,
      );
    return Array.from({ length: channels }, (_, c) => unit * (numbers.length === 1 ? numbers[0] : numbers[c]));
  };
  const plain = [unit, unit, unit];
  return {
    channelOrder: named.channelOrder,
    mean: perChannel('mean', mean, preprocess ? named.mean : [0, 0, 0]),
    deviation: perChannel('std', std, preprocess ? named.deviation : plain),
  };
}

/** Describes a normalisation: `pixels from 0 to 255, minus 123.7, 116.3, 103.5, divided by 58.4, 57.1, 57.4`. */
export function pixelsInWords({ mean, deviation, channelOrder }: Pixels): string {
  const list = (numbers: readonly number[]) => numbers.map((number) => Number(number.toFixed(2))).join(', ');
  return `pixels from 0 to 255, minus ${list(mean)}, divided by ${list(deviation)}${channelOrder === 'bgr' ? ', blue first' : ''}`;
}
