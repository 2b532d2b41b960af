/** Renders the filters of the first layer as small colour pictures; its input channels are the colours of the image. */
import { checkArgument, instanceOf, integer } from '../../backend/validate.js';
import type { Image } from '../../data/dataset.js';
import { ShapeError, Tensor } from '../../tensor/index.js';
import { signedPicture } from './pictures.js';

/** A filter as a picture. */
export interface FilterPicture {
  /** The weights in colours, scaled by the largest absolute weight of the filter; a weight of 0 is middle grey. */
  picture: Image;
  /** Root of the mean square of the weights. */
  rms: number;
}

/**
 * Returns one picture per filter, scaled by its own largest weight; null if the channels are not colours.
 *
 * @example const sheet = contactSheet((await filterPictures(model.stateDict()['conv1.weight']))!.map(({ picture }) => picture), { columns: 8 });
 * @param weight [maps, channels, height, width]
 * @throws ShapeError for weights of another rank
 */
export async function filterPictures(weight: Tensor): Promise<FilterPicture[] | null> {
  checkArgument('filterPictures', 'weight', weight, instanceOf(Tensor));
  if (weight.rank !== 4 || weight.size === 0)
    throw new ShapeError(`filterPictures: got weights of shape [${weight.shape}], expected [maps, channels, height, width], not empty`);
  const [maps, channels, height, width] = weight.shape;
  if (channels !== 1 && channels !== 3) return null;
  const weights = Float32Array.from(await weight.data());
  const size = channels * height * width;
  return Array.from({ length: maps }, (_, map) => {
    const own = weights.subarray(map * size, (map + 1) * size);
    const strongest = own.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
    const rms = Math.sqrt(own.reduce((sum, value) => sum + value * value, 0) / size);
    return { picture: signedPicture(own, [channels, height, width], strongest), rms };
  });
}

/** Returns the number of columns for a sheet of `count` pictures: about twice as many columns as rows, with full rows if possible. */
export function columnsFor(count: number): number {
  checkArgument('columnsFor', 'count', count, integer(0, 2 ** 20));
  const ideal = Math.ceil(Math.sqrt(2 * count));
  const around = Array.from({ length: ideal }, (_, i) => ideal + (i % 2 === 0 ? i / 2 : -(i + 1) / 2));
  return around.find((columns) => columns > ideal / 2 && columns < 1.6 * ideal && count % columns === 0) ?? ideal;
}
