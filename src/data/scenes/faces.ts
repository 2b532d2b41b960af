/** Renders the animal faces of `scenes`, upright and centred, with the bounding boxes of their eyes and noses. */
import { arrayOf, checkArgument, checkOptions, integer, oneOf } from '../../backend/validate.js';
import type { Image } from '../dataset.js';
import { type SceneAssets, sceneAssets, texelOf } from './assets.js';
import { SCENE_CLASSES, SCENE_PHOTOGRAPHS, SCENE_STYLES } from './names.js';
import { FACE_BOXES, FACE_CLASSES, FACE_PARTS, type FaceClass, type FacePart, type PartBox } from './parts.js';
import { planScene } from './plan.js';
import { renderScene, SMALLEST_SCENE } from './render.js';
import type { Scene } from './scene.js';

/** A bounding box in pixels, [y0, x0, y1, x1]; y1 and x1 are exclusive. */
export type PixelBox = readonly [number, number, number, number];

/** A rendered face with the bounding boxes of its parts. */
export interface SceneFace {
  /** Animal of the face, one of `FACE_CLASSES`. */
  class: FaceClass;
  /** Style of the drawing, equal for the five faces of a group. */
  style: (typeof SCENE_STYLES)[number];
  /** Name of the photograph behind the face, equal for the five faces of a group. */
  photograph: string;
  /** [side, side, 3] */
  image: Image;
  /** Bounding box of the whole face. */
  box: PixelBox;
  /** Bounding boxes of the eyes and the nose. */
  parts: Readonly<Record<FacePart, PixelBox>>;
}

/** Longer side of a face as a fraction of the image's side. */
const SCALE = 0.75;
/** Margin on each side of a part's bounding box, in hundredths of the drawing's side. */
const MARGIN = 3;

const OPTIONS = { styles: arrayOf(oneOf(...SCENE_STYLES)), photographs: arrayOf(oneOf(...SCENE_PHOTOGRAPHS)), seed: integer() };

/**
 * Renders groups of five faces, one per animal. The faces of a group have the same style and different crops of the same photograph.
 * They keep their original colours.
 *
 * @example const [faces] = sceneFaces(await loadSceneAssets(), 64);
 * @param side side of the images in pixels
 * @param options.styles default: all styles
 * @param options.photographs default: the photographs that are not in the training split
 * @param options.seed seed of the crops. Default 0
 */
export function sceneFaces(
  assets: SceneAssets,
  side: number,
  options: { styles?: readonly (typeof SCENE_STYLES)[number][]; photographs?: readonly string[]; seed?: number } = {},
): SceneFace[][] {
  checkArgument('sceneFaces', 'assets', assets, sceneAssets);
  checkArgument('sceneFaces', 'side', side, integer(SMALLEST_SCENE, 2 ** 14));
  checkOptions('sceneFaces', options, OPTIONS);
  const { styles = SCENE_STYLES, photographs = SCENE_PHOTOGRAPHS.slice(6), seed = 0 } = options;
  return styles.flatMap((style) =>
    photographs.map((photograph, p) =>
      FACE_CLASSES.map((name, i): SceneFace => {
        const label = SCENE_CLASSES.indexOf(name);
        const { backdrop } = planScene(assets, seed, 'val', p * FACE_CLASSES.length + i, label);
        const scene: Scene = {
          class: name,
          style,
          photograph,
          centre: [0.5, 0.5],
          scale: SCALE,
          rotation: 0,
          mirror: false,
          hue: 0,
          saturation: 1,
          brightness: 1,
          backdrop,
        };
        const toPixels = pixelsOf(assets, scene, side);
        const boxes = FACE_BOXES[style][name].map(toPixels);
        const parts = Object.fromEntries(FACE_PARTS.map((part, k) => [part, boxes[k]])) as Record<FacePart, PixelBox>;
        const { image, details } = renderScene(assets, scene, side);
        return { class: name, style, photograph, image, box: details.box, parts };
      }),
    ),
  );
}

/**
 * Returns a function that converts a box from hundredths of the drawing's side to pixels of an upright scene: enlarged by the margin,
 * rounded outwards, and clipped to the image.
 */
function pixelsOf(assets: SceneAssets, { class: name, style, centre, scale }: Scene, side: number): (box: PartBox) => PixelBox {
  const [top, left, bottom, right] = assets.sprites[style][name].box;
  const zoom = (scale * side) / Math.max(bottom - top, right - left);
  const place = (hundredths: number, axis: 0 | 1) => {
    const middle = axis === 0 ? (top + bottom) / 2 : (left + right) / 2;
    return centre[axis] * side + (texelOf(hundredths / 100) - middle) * zoom;
  };
  const low = (value: number, axis: 0 | 1) => Math.max(0, Math.floor(place(value - MARGIN, axis)));
  const high = (value: number, axis: 0 | 1) => Math.min(side, Math.ceil(place(value + MARGIN, axis)));
  return ([y0, x0, y1, x1]) => [low(y0, 0), low(x0, 1), high(y1, 0), high(x1, 1)];
}
