/**
 * Renders one scene: a recoloured crop of a photograph, with a rotated, scaled, mirrored and recoloured emoji over it.
 * It uses plain arithmetic on bytes, no codec and no canvas, so that a scene has the same bytes in every runtime.
 */
import {
  arrayOf,
  boolean,
  checkArgument,
  checkFields,
  checkOptions,
  finite,
  objectWith,
  type RulesFor,
  show,
  text,
} from '../../backend/validate.js';
import type { Image } from '../dataset.js';
import { DataError } from '../errors.js';
import { cosine, sine, wrap } from '../trigonometry.js';
import { type SceneAssets, sceneAssets } from './assets.js';
import { type Photograph, pickLevel, type Sprite } from './pictures.js';
import type { Backdrop, Scene, SceneDetails, Tone } from './scene.js';

/** The result of `renderScene`. */
export interface RenderedScene {
  /** [size, size, 3] */
  readonly image: Image;
  readonly details: SceneDetails;
  /** Opacity of the emoji, [size, size], 0 to 255; only with the option `mask`. */
  readonly mask?: Uint8Array;
}

/** Smallest side of a scene in pixels; smaller emoji are not recognisable. */
export const SMALLEST_SCENE = 16;

const pair = arrayOf(finite(), 2, 2);
const toneRule = objectWith('a tone', { shadows: finite(), lights: finite(), saturation: finite() });

const SCENE: RulesFor<Scene> = {
  class: text,
  style: text,
  photograph: text,
  centre: pair,
  scale: finite(0),
  rotation: finite(),
  mirror: boolean,
  hue: finite(),
  saturation: finite(),
  brightness: finite(),
  backdrop: objectWith('a backdrop { side, place, mirror, contrast, brightness, tones, direction }', {
    side: finite(0),
    place: pair,
    mirror: boolean,
    contrast: finite(),
    brightness: finite(),
    tones: arrayOf(toneRule, 2, 2),
    direction: finite(),
  }),
};

/** Largest side of a scene in pixels. */
const LARGEST_SCENE = 2 ** 14;

/**
 * Renders `scene` as a square image.
 *
 * @example const { image } = renderScene(await loadSceneAssets(), scene, 64);
 * @param size side of the image in pixels, 16 to 16,384
 * @param options.mask whether to return the opacity of the emoji as well. Default false
 * @throws DataError for a class, style or photograph that is not in `assets`
 */
export function renderScene(assets: SceneAssets, scene: Scene, size: number, options: { mask?: boolean } = {}): RenderedScene {
  checkArgument('renderScene', 'assets', assets, sceneAssets, DataError);
  checkFields('renderScene', { ...scene, box: undefined }, SCENE, Object.keys(SCENE), DataError);
  checkOptions('renderScene', options, { mask: boolean }, DataError);
  if (!Number.isInteger(size) || size < SMALLEST_SCENE || size > LARGEST_SCENE) {
    throw new DataError(
      `scenes: the side is ${show(size)} pixels; expected a whole number, ${SMALLEST_SCENE} or more (${LARGEST_SCENE} at most)`,
    );
  }
  const own = <T>(from: Readonly<Record<string, T>>, name: string): T | undefined => (Object.hasOwn(from, name) ? from[name] : undefined);
  const sprite = own(own(assets.sprites, scene.style) ?? {}, scene.class);
  const photograph = own(assets.photographs, scene.photograph);
  if (!sprite) throw new DataError(`scenes: there is no ${scene.class} in the style ${scene.style}`);
  if (!photograph) {
    throw new DataError(
      `scenes: there is no photograph ${scene.photograph}; expected one of ${Object.keys(assets.photographs).join(', ')}`,
    );
  }
  const data = new Uint8Array(size * size * 3);
  renderBackdrop(data, size, photograph, scene.backdrop);
  const mask = options.mask ? new Uint8Array(size * size) : undefined;
  const box = renderSprite(data, size, sprite, scene, mask);
  return { image: { width: size, height: size, channels: 3, data }, details: { ...scene, box }, mask };
}

/** @deprecated The name of `renderScene` before version 0.2. */
export const drawScene = renderScene;

/** Fraction of a photograph's width and height that is excluded at each edge, where prints have frames and stains. */
const MARGIN = 0.03;

function renderBackdrop(out: Uint8Array, size: number, photograph: Photograph, backdrop: Backdrop): void {
  const { width, height } = photograph.levels[0];
  const usable = 1 - 2 * MARGIN;
  const side = backdrop.side * usable * Math.min(width, height);
  const top = MARGIN * height + backdrop.place[0] * (usable * height - side);
  const left = MARGIN * width + backdrop.place[1] * (usable * width - side);
  const step = side / size;
  const k = pickLevel(step, photograph.levels.length);
  const level = photograph.levels[k];
  const { grey } = level;

  // The source columns and their interpolation weights are the same in every row.
  const columns = new Int32Array(size);
  const fractions = new Float64Array(size);
  for (let x = 0; x < size; x++) {
    const along = backdrop.mirror ? size - 1 - x : x;
    const u = clamp((left + (along + 0.5) * step) / (1 << k) - 0.5, 0, level.width - 1.001);
    columns[x] = Math.floor(u);
    fractions[x] = u - columns[x];
  }
  const first = toneTable(backdrop.tones[0], backdrop);
  const second = toneTable(backdrop.tones[1], backdrop);
  // The second tone's weight in 256ths grows along the direction, from 0 at one corner to 256 at the opposite one.
  const dx = cosine(backdrop.direction);
  const dy = sine(backdrop.direction);
  const extent = Math.abs(dx) + Math.abs(dy);
  const weightX = (256 * dx) / (extent * size);
  const weightY = (256 * dy) / (extent * size);
  const weight0 = 128 * (1 - (dx + dy) / extent);

  let to = 0;
  for (let y = 0; y < size; y++) {
    const v = clamp((top + (y + 0.5) * step) / (1 << k) - 0.5, 0, level.height - 1.001);
    const row = Math.floor(v);
    const fy = v - row;
    const upper = row * level.width;
    const lower = upper + level.width;
    for (let x = 0; x < size; x++) {
      const column = columns[x];
      const fx = fractions[x];
      const above = grey[upper + column] + fx * (grey[upper + column + 1] - grey[upper + column]);
      const below = grey[lower + column] + fx * (grey[lower + column + 1] - grey[lower + column]);
      const shade = ((above + fy * (below - above) + 0.5) | 0) * 3;
      const weight = (weight0 + weightX * (x + 0.5) + weightY * (y + 0.5) + 0.5) | 0;
      out[to++] = (first[shade] * (256 - weight) + second[shade] * weight + 128) >> 8;
      out[to++] = (first[shade + 1] * (256 - weight) + second[shade + 1] * weight + 128) >> 8;
      out[to++] = (first[shade + 2] * (256 - weight) + second[shade + 2] * weight + 128) >> 8;
    }
  }
}

/** Returns the colour of each shade of grey, [256, 3]. */
function toneTable(tone: Tone, { contrast, brightness }: Backdrop): Uint8Array {
  const table = new Uint8Array(256 * 3);
  for (let shade = 0; shade < 256; shade++) {
    const lightness = clamp((shade / 255 - 0.5) * contrast + 0.5 + brightness, 0, 1);
    const hue = tone.shadows + (tone.lights - tone.shadows) * lightness;
    const chroma = (1 - Math.abs(2 * lightness - 1)) * tone.saturation;
    for (let c = 0; c < 3; c++) {
      // Red (c = 0), green or blue component of a pure hue: 1 over 120 degrees, with linear slopes of 60 degrees to 0.
      const off = Math.abs(wrap(hue - 120 * c));
      const pure = clamp(2 - off / 60, 0, 1);
      table[shade * 3 + c] = 255 * clamp(lightness + chroma * (pure - 0.5), 0, 1) + 0.5;
    }
  }
  return table;
}

/** Affine map from pixels to texels of one level of a sprite: u = ux · x + uy · y + u0, and v likewise. */
interface TexelMap {
  readonly side: number;
  /** Texels [side, side, 4], multiplied by their alpha. */
  readonly rgba: Uint8Array;
  readonly ux: number;
  readonly uy: number;
  readonly u0: number;
  readonly vx: number;
  readonly vy: number;
  readonly v0: number;
}

/** Chooses the level of the sprite with the resolution of the image, and inverts the rotation, scale, mirror and translation. */
function texelMap(size: number, sprite: Sprite, scene: Scene): TexelMap {
  const [top, left, bottom, right] = sprite.box;
  const texels = Math.max(bottom - top, right - left) / (scene.scale * size);
  const k = pickLevel(texels, sprite.levels.length);
  const step = texels / (1 << k);
  const c = cosine(scene.rotation) * step;
  const s = sine(scene.rotation) * step;
  const flip = scene.mirror ? -1 : 1;
  const [ux, uy, vx, vy] = [flip * c, flip * s, -s, c];
  const cy = 0.5 - scene.centre[0] * size;
  const cx = 0.5 - scene.centre[1] * size;
  const u0 = ux * cx + uy * cy + (left + right) / 2 / (1 << k) - 0.5;
  const v0 = vx * cx + vy * cy + (top + bottom) / 2 / (1 << k) - 0.5;
  return { ...sprite.levels[k], ux, uy, u0, vx, vy, v0 };
}

/** Blends the emoji over `out`, writes its opacity to `mask`, and returns its bounding box. */
function renderSprite(
  out: Uint8Array,
  size: number,
  sprite: Sprite,
  scene: Scene,
  mask: Uint8Array | undefined,
): [number, number, number, number] {
  const { side, rgba, ux, uy, u0, vx, vy, v0 } = texelMap(size, sprite, scene);
  const [rr, rg, rb, gr, gg, gb, br, bg, bb] = colourMatrix(scene);
  const last = side - 1.001;
  let [boxTop, boxLeft, boxBottom, boxRight] = [size, size, 0, 0];
  for (let y = 0; y < size; y++) {
    const uRow = uy * y + u0;
    const vRow = vy * y + v0;
    const [from, to] = span(uRow, ux, vRow, vx, last, size);
    for (let x = from; x < to; x++) {
      const u = clamp(uRow + ux * x, 0, last);
      const v = clamp(vRow + vx * x, 0, last);
      const column = u | 0;
      const row = v | 0;
      const fx = u - column;
      const fy = v - row;
      const p = (row * side + column) * 4;
      const q = p + side * 4;
      const w11 = fx * fy;
      const w10 = fy - w11;
      const w01 = fx - w11;
      const w00 = 1 - fx - w10;
      const alpha = w00 * rgba[p + 3] + w01 * rgba[p + 7] + w10 * rgba[q + 3] + w11 * rgba[q + 7];
      if (alpha < 0.5) continue;
      const red = w00 * rgba[p] + w01 * rgba[p + 4] + w10 * rgba[q] + w11 * rgba[q + 4];
      const green = w00 * rgba[p + 1] + w01 * rgba[p + 5] + w10 * rgba[q + 1] + w11 * rgba[q + 5];
      const blue = w00 * rgba[p + 2] + w01 * rgba[p + 6] + w10 * rgba[q + 2] + w11 * rgba[q + 6];
      const place = y * size + x;
      const seen = 1 - alpha / 255;
      const to3 = place * 3;
      out[to3] = out[to3] * seen + clamp(rr * red + rg * green + rb * blue, 0, alpha) + 0.5;
      out[to3 + 1] = out[to3 + 1] * seen + clamp(gr * red + gg * green + gb * blue, 0, alpha) + 0.5;
      out[to3 + 2] = out[to3 + 2] * seen + clamp(br * red + bg * green + bb * blue, 0, alpha) + 0.5;
      if (mask) mask[place] = alpha + 0.5;
      if (alpha >= 127.5) {
        if (y < boxTop) boxTop = y;
        if (x < boxLeft) boxLeft = x;
        if (y >= boxBottom) boxBottom = y + 1;
        if (x >= boxRight) boxRight = x + 1;
      }
    }
  }
  return boxBottom > boxTop ? [boxTop, boxLeft, boxBottom, boxRight] : [0, 0, 0, 0];
}

/** Returns the range [from, to) of pixels x of a row for which both u = uRow + ux * x and v = vRow + vx * x are in [0, last]. */
function span(uRow: number, ux: number, vRow: number, vx: number, last: number, size: number): [number, number] {
  let from = 0;
  let to = size;
  for (const [start, slope] of [
    [uRow, ux],
    [vRow, vx],
  ]) {
    if (slope === 0) {
      if (start < 0 || start > last) return [0, 0];
      continue;
    }
    const a = -start / slope;
    const b = (last - start) / slope;
    from = Math.max(from, Math.ceil(Math.min(a, b)));
    to = Math.min(to, Math.floor(Math.max(a, b)) + 1);
  }
  return [from, Math.max(from, to)];
}

/** Weights of red, green and blue for perceived brightness (Rec. 709). */
const LUMA = [0.213, 0.715, 0.072] as const;

/** Returns the [3, 3] matrix that rotates hues at constant luma (like SVG's `hueRotate`), then scales saturation and brightness. */
function colourMatrix({ hue, saturation, brightness }: Scene): number[] {
  const c = cosine(hue);
  const s = sine(hue);
  const [lr, lg, lb] = LUMA;
  const turn = [
    lr + c * (1 - lr) - s * lr,
    lg - c * lg - s * lg,
    lb - c * lb + s * (1 - lb),
    lr - c * lr + s * 0.143,
    lg + c * (1 - lg) + s * 0.14,
    lb - c * lb - s * 0.283,
    lr - c * lr - s * (1 - lr),
    lg - c * lg + s * lg,
    lb + c * (1 - lb) + s * lb,
  ];
  // Saturation scales the distance of a colour from its luma, which the rotation preserves: out = luma + saturation * (turned - luma).
  return turn.map((weight, i) => brightness * (saturation * weight + (1 - saturation) * LUMA[i % 3]));
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(Math.max(value, low), high);
}
