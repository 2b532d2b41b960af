/**
 * The two kinds of source images of a scene: emoji in colour with alpha, and grey photographs (which a scene recolours). Each has a
 * mip chain, a series of copies of half the size, so that it can be rendered at any scale without aliasing.
 */

/** One level of a sprite's mip chain. */
export interface SpriteLevel {
  /** Side in texels. */
  readonly side: number;
  /** [side, side, 4] with premultiplied alpha. */
  readonly rgba: Uint8Array;
}

/** An emoji with a transparent rim. `levels[k]` has half the side of `levels[k - 1]`. */
export interface Sprite {
  readonly levels: readonly SpriteLevel[];
  /** Bounding box [y0, x0, y1, x1] of the texels of level 0 with an opacity of one half or more; y1 and x1 are exclusive. */
  readonly box: readonly [number, number, number, number];
}

/** One level of a photograph's mip chain. */
export interface PhotographLevel {
  readonly width: number;
  readonly height: number;
  /** [height, width] */
  readonly grey: Uint8Array;
}

/** A grey photograph with its mip chain. */
export interface Photograph {
  readonly levels: readonly PhotographLevel[];
}

/** Shortest side of the last mip level. */
const SMALLEST_LEVEL = 8;

/** Creates a sprite from [side, side, 4] pixels with straight alpha, as `getImageData` returns them; `side` is a power of two. */
export function makeSprite(side: number, straight: ArrayLike<number>): Sprite {
  let rgba = new Uint8Array(side * side * 4);
  for (let p = 0; p < rgba.length; p += 4) {
    const alpha = straight[p + 3];
    for (let c = 0; c < 3; c++) rgba[p + c] = (straight[p + c] * alpha + 127) / 255;
    rgba[p + 3] = alpha;
  }
  const levels: SpriteLevel[] = [{ side, rgba }];
  while (side > SMALLEST_LEVEL) {
    rgba = halve(rgba, side, side, 4);
    side >>= 1;
    levels.push({ side, rgba });
  }
  return { levels, box: opaqueBox(levels[0]) };
}

/** Creates a photograph from [height, width] grey pixels. */
export function makePhotograph(width: number, height: number, grey: Uint8Array): Photograph {
  const levels: PhotographLevel[] = [{ width, height, grey }];
  while (Math.min(width, height) >= 2 * SMALLEST_LEVEL) {
    grey = halve(grey, width, height, 1);
    width >>= 1;
    height >>= 1;
    levels.push({ width, height, grey });
  }
  return { levels };
}

/** Returns the mip level nearest in scale if a pixel covers `texels` texels of level 0. */
export function pickLevel(texels: number, count: number): number {
  let level = 0;
  while (level < count - 1 && texels > Math.SQRT2 * (1 << level)) level++;
  return level;
}

/** Averages blocks of 2 × 2 texels; an odd last row or column is dropped. */
function halve(texels: Uint8Array, width: number, height: number, channels: number): Uint8Array<ArrayBuffer> {
  const w = width >> 1;
  const h = height >> 1;
  const row = width * channels;
  const half = new Uint8Array(w * h * channels);
  let to = 0;
  for (let y = 0; y < h; y++) {
    for (let x = 0; x < w; x++) {
      let from = 2 * (y * row + x * channels);
      for (let c = 0; c < channels; c++, from++) {
        half[to++] = (texels[from] + texels[from + channels] + texels[from + row] + texels[from + row + channels] + 2) >> 2;
      }
    }
  }
  return half;
}

function opaqueBox({ side, rgba }: SpriteLevel): [number, number, number, number] {
  let [y0, x0, y1, x1] = [side, side, 0, 0];
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      if (rgba[(y * side + x) * 4 + 3] < 128) continue;
      y0 = Math.min(y0, y);
      x0 = Math.min(x0, x);
      y1 = Math.max(y1, y + 1);
      x1 = Math.max(x1, x + 1);
    }
  }
  return y1 > y0 ? [y0, x0, y1, x1] : [0, 0, side, side];
}
