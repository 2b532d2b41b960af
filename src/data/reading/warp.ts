/** An image moved, enlarged or turned, in plain arithmetic: the same bytes in every runtime. */
import { arrayOf, checkArgument, checkOptions, finite, positive, type RulesFor } from '../../backend/validate.js';
import type { Image } from '../dataset.js';
import { image as imageRule } from '../rules.js';
import { cosine, sine } from '../scenes/draw.js';

export interface Warp {
  /** [down, right] in pixels. */
  shift?: readonly [number, number];
  /** About the middle; 2 doubles what is seen. Default 1. */
  scale?: number;
  /** Degrees about the middle, clockwise. Default 0. */
  rotation?: number;
}

const OPTIONS: RulesFor<Warp> = { shift: arrayOf(finite(), 2, 2), scale: positive, rotation: finite() };

/**
 * The image under a warp, bilinearly sampled: turned, then enlarged, then shifted. What comes from outside the image is the
 * nearest pixel of its edge.
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
