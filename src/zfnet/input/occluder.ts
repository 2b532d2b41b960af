/** Shade and geometry for occlusion: the grey that covers images, and boxes in coordinates of the centre crop. */
import { arrayOf, checkArgument, finite, integer, objectWith, oneOf } from '../../backend/validate.js';
import type { Image } from '../../data/dataset.js';
import type { Preprocess, PreprocessOptions } from './preprocess.js';

const MID_GREY = 128;

/** Rule for the side of a square image in pixels. */
const side = integer(1, 2 ** 14);

/** Mean shade of the mean image, 0 to 255, which carries least information for the network; mid grey (128) without a mean image. */
export function meanShade(preprocess: Pick<Preprocess, 'mean'>): number {
  checkArgument('meanShade', 'preprocess', preprocess, objectWith('a Preprocess', { mean: arrayOf(finite(), 1) }));
  const { mean } = preprocess;
  const shade = Math.round(mean.reduce((sum, value) => sum + value, 0) / mean.length);
  return shade > 0 ? shade : MID_GREY;
}

/** An image of uniform shade, with the size and channels of a network's images. */
export function plainImage(options: Pick<PreprocessOptions, 'side' | 'channels'>, shade: number): Image {
  checkArgument('plainImage', 'the size', options, objectWith('{ side, channels }', { side, channels: oneOf(1, 3) }));
  checkArgument('plainImage', 'shade', shade, finite(0, 255));
  const { side: length, channels } = options;
  return { width: length, height: length, channels, data: new Uint8Array(length * length * channels).fill(shade) };
}

/**
 * Converts a box of an image of `side` pixels to coordinates of its centre crop, which is the input of the network: whole pixels, clipped
 * to the crop; null if the box is outside the crop.
 *
 * @param box [y0, x0, y1, x1] in pixels of the image, end exclusive
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
