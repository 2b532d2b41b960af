/** Translates, scales and rotates images in plain arithmetic, so that the result has the same bytes in every runtime. */
import { arrayOf, checkArgument, checkOptions, finite, positive, type RulesFor } from '../../backend/validate.js';
import type { Image } from '../dataset.js';
import { image as imageRule } from '../rules.js';
import { cosine, sine } from '../trigonometry.js';

/** A geometric transformation of an image. */
export interface Warp {
  /** Translation [down, right] in pixels. Default [0, 0]. */
  shift?: readonly [number, number];
  /** Scale factor about the centre; 2 doubles the size of the contents. Default 1. */
  scale?: number;
  /** Clockwise rotation about the centre, in degrees. Default 0. */
  rotation?: number;
}

const OPTIONS: RulesFor<Warp> = { shift: arrayOf(finite(), 2, 2), scale: positive, rotation: finite() };

/**
 * Returns the image rotated, then scaled, then translated, with bilinear interpolation. Outside the image, the nearest edge pixel is
 * repeated.
 *
 * @example const turned = warpImage(example.image, { rotation: 90 });
 */
export function warpImage(image: Image, warp: Warp): Image {
  checkArgument('warpImage', 'image', image, imageRule);
  checkOptions('warpImage', warp, OPTIONS);
  const { shift = [0, 0], scale = 1, rotation = 0 } = warp ?? {};
  const { width, height, channels, data } = image;
  const out = new Uint8Array(data.length);
  const [s, c] = [sine(rotation), cosine(rotation)];
  const [middleY, middleX] = [(height - 1) / 2, (width - 1) / 2];
  let to = 0;
  for (let y = 0; y < height; y++) {
    const dy = (y - middleY - shift[0]) / scale;
    for (let x = 0; x < width; x++) {
      const dx = (x - middleX - shift[1]) / scale;
      const v = clamp(middleY - s * dx + c * dy, height - 1);
      const u = clamp(middleX + c * dx + s * dy, width - 1);
      const [row, column] = [Math.floor(v), Math.floor(u)];
      const [fy, fx] = [v - row, u - column];
      const from = (row * width + column) * channels;
      const below = row + 1 < height ? width * channels : 0;
      const right = column + 1 < width ? channels : 0;
      for (let p = from; p < from + channels; p++) {
        const above = data[p] + fx * (data[p + right] - data[p]);
        const under = data[p + below] + fx * (data[p + below + right] - data[p + below]);
        out[to++] = Math.round(above + fy * (under - above));
      }
    }
  }
  return { width, height, channels, data: out };
}

const clamp = (value: number, last: number) => Math.min(Math.max(value, 0), last);
