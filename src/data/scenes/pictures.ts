/**
 * The two kinds of picture that a scene is sampled from, each with a chain of halved copies (a mip chain), so that it can be
 * drawn at any scale without aliasing: emoji in colour with alpha, photographs in grey (a scene colours them anew).
 */

export interface SpriteLevel {
  /** Side in texels. */
  readonly side: number;
  /** [side, side, 4], red, green and blue already multiplied by alpha. */
  readonly rgba: Uint8Array;
}

/** An emoji with a transparent rim around it. `levels[k]` has half the side of `levels[k - 1]`. */
export interface Sprite {
  readonly levels: readonly SpriteLevel[];
  /** Tight box [y0, x0, y1, x1] of the texels at level 0 that are at least half opaque; y1 and x1 are the first outside. */
  readonly box: readonly [number, number, number, number];
}

export interface PhotographLevel {
  readonly width: number;
  readonly height: number;
  /** [height, width] */
  readonly grey: Uint8Array;
}

export interface Photograph {
  readonly levels: readonly PhotographLevel[];
}

const SMALLEST_LEVEL = 8;

/** Makes a sprite from [side, side, 4] pixels with straight alpha, such as `getImageData` or `sharp` give; `side` is a power of two. */
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

/** Makes a photograph from [height, width] grey pixels. */
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

/** The level to sample when one pixel covers `texels` texels of level 0: the nearest in scale. */
export function pickLevel(texels: number, count: number): number {
  let level = 0;
  while (level < count - 1 && texels > Math.SQRT2 * (1 << level)) level++;
  return level;
}

/** Means of 2 × 2 texels; a last odd row or column falls away. */
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
