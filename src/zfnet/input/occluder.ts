/** What images are covered with, and where things of an image lie in what the network sees of it. */
import { arrayOf, checkArgument, finite, integer, objectWith, oneOf } from '../../backend/validate.js';
import type { Image } from '../../data/dataset.js';
import type { Preprocess, PreprocessOptions } from './preprocess.js';

const MID_GREY = 128;

/** Of a square image, in pixels. */
const side = integer(1, 2 ** 14);

/** The shade of the mean image as a whole, 0 to 255, which tells the network least; mid grey where there is no mean image. */
export function meanShade(preprocess: Pick<Preprocess, 'mean'>): number {
  checkArgument('meanShade', 'preprocess', preprocess, objectWith('a Preprocess', { mean: arrayOf(finite(), 1) }));
  const { mean } = preprocess;
  const shade = Math.round(mean.reduce((sum, value) => sum + value, 0) / mean.length);
  return shade > 0 ? shade : MID_GREY;
}

/** An image of one shade, of the size that a network's images have. */
export function plainImage(options: Pick<PreprocessOptions, 'side' | 'channels'>, shade: number): Image {
  checkArgument('plainImage', 'the size', options, objectWith('{ side, channels }', { side, channels: oneOf(1, 3) }));
  checkArgument('plainImage', 'shade', shade, finite(0, 255));
  const { side: length, channels } = options;
  return { width: length, height: length, channels, data: new Uint8Array(length * length * channels).fill(shade) };
}

/**
 * Where a box of an image of `side` pixels lies in its centre crop, which is what the network sees of it: whole pixels, cut at the
 * edge; null where nothing of it is seen.
 *
 * @param box [y0, x0, y1, x1], end exclusive
 */
export function inCentreCrop(
  options: Pick<PreprocessOptions, 'side' | 'inputSize'>,
  box: readonly [number, number, number, number],
): [number, number, number, number] | null {
  checkArgument('inCentreCrop', 'the size', options, objectWith('{ side, inputSize }', { side, inputSize: side }));
  checkArgument('inCentreCrop', 'box', box, arrayOf(finite(), 4, 4));
  const { inputSize } = options;
  const start = Math.floor((options.side - inputSize) / 2);
  const inside = (value: number) => Math.min(Math.max(value - start, 0), inputSize);
  const [y0, x0] = [Math.floor(inside(box[0])), Math.floor(inside(box[1]))];
  const [y1, x1] = [Math.ceil(inside(box[2])), Math.ceil(inside(box[3]))];
  return y1 > y0 && x1 > x0 ? [y0, x0, y1, x1] : null;
}
