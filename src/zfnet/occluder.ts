/** What images are covered with, and where things of an image lie in what the network sees of it. */
import type { Image } from '../data/dataset.js';
import type { Preprocess, PreprocessOptions } from './preprocess.js';

const MID_GREY = 128;

/** The shade of the mean image as a whole, 0 to 255, which tells the network least; mid grey where there is no mean image. */
export function meanShade({ mean }: Pick<Preprocess, 'mean'>): number {
  const shade = Math.round(mean.reduce((sum, value) => sum + value, 0) / mean.length);
  return shade > 0 ? shade : MID_GREY;
}

/** An image of one shade, of the size that a network's images have. */
export function plainImage({ side, channels }: Pick<PreprocessOptions, 'side' | 'channels'>, shade: number): Image {
  return { width: side, height: side, channels, data: new Uint8Array(side * side * channels).fill(shade) };
}

/**
 * Where a box of an image of `side` pixels lies in its centre crop, which is what the network sees of it: whole pixels, cut at the
 * edge; null where nothing of it is seen.
 *
 * @param box [y0, x0, y1, x1], end exclusive
 */
export function inCentreCrop(
  { side, inputSize }: Pick<PreprocessOptions, 'side' | 'inputSize'>,
  box: readonly [number, number, number, number],
): [number, number, number, number] | null {
  const start = Math.floor((side - inputSize) / 2);
  const inside = (value: number) => Math.min(Math.max(value - start, 0), inputSize);
  const [y0, x0] = [Math.floor(inside(box[0])), Math.floor(inside(box[1]))];
  const [y1, x1] = [Math.ceil(inside(box[2])), Math.ceil(inside(box[3]))];
  return y1 > y0 && x1 > x0 ? [y0, x0, y1, x1] : null;
}
