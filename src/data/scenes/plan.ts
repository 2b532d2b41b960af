/** Chooses the random parameters of each item of `scenes`; they depend only on seed, split and index. */
import { RandomStream } from '../random.js';
import { cosine, sine } from '../trigonometry.js';
import type { SceneAssets } from './assets.js';
import { SCENE_CLASSES, SCENE_SPLITS, type SceneSplit } from './names.js';
import type { Backdrop, Scene, Tone } from './scene.js';

const PARTS: Readonly<Record<SceneSplit, number>> = { train: 0, val: 1, 'unseen-style': 2 };

/**
 * Returns the labels of the first `length` items, [length]. Each block of 24 items contains every class once, in random order. The
 * classes are therefore balanced at any length, and the label of an item does not depend on the length.
 */
export function sceneLabels(seed: number, split: SceneSplit, length: number): Int32Array {
  const count = SCENE_CLASSES.length;
  const labels = new Int32Array(length);
  for (let start = 0; start < length; start += count) {
    const order = Array.from(SCENE_CLASSES, (_, label) => label);
    new RandomStream(seed, 'sceneLabels', start / count, PARTS[split]).shuffle(order);
    for (let i = start; i < Math.min(length, start + count); i++) labels[i] = order[i - start];
  }
  return labels;
}

/**
 * Returns the scene of item `index` with the class `label`. The order of the random numbers below defines the data set: add new ones at
 * the end.
 */
export function planScene(assets: SceneAssets, seed: number, split: SceneSplit, index: number, label: number): Scene {
  const random = new RandomStream(seed, 'scenes', index, PARTS[split]);
  const { styles, photographs } = SCENE_SPLITS[split];
  const style = styles[random.below(styles.length)];
  const photograph = photographs[random.below(photographs.length)];
  const scale = random.between(0.45, 0.85);
  const rotation = random.between(-25, 25);
  const mirror = random.coin();
  const name = SCENE_CLASSES[label];
  const [halfHeight, halfWidth] = halfExtent(assets, style, name, scale, rotation);
  const centre = [place(random, halfHeight), place(random, halfWidth)] as const;
  const hue = random.between(-180, 180);
  const saturation = random.between(0.7, 1.4);
  const brightness = random.between(0.75, 1.25);
  return {
    class: name,
    style,
    photograph,
    centre,
    scale,
    rotation,
    mirror,
    hue,
    saturation,
    brightness,
    backdrop: planBackdrop(random),
  };
}

function planBackdrop(random: RandomStream): Backdrop {
  const side = random.between(0.35, 1);
  const place = [random.between(0, 1), random.between(0, 1)] as const;
  const mirror = random.coin();
  const contrast = random.between(0.5, 1.1);
  const brightness = random.between(-0.2, 0.2);
  const tone = (): Tone => {
    const shadows = random.between(0, 360);
    return { shadows, lights: shadows + random.between(-90, 90), saturation: random.between(0.05, 0.6) };
  };
  return { side, place, mirror, contrast, brightness, tones: [tone(), tone()], direction: random.between(0, 360) };
}

/** Returns half the height and half the width of the rotated emoji's bounding box, as fractions of the image's side. */
function halfExtent(assets: SceneAssets, style: string, name: string, scale: number, rotation: number): [number, number] {
  const [y0, x0, y1, x1] = assets.sprites[style][name].box;
  const share = scale / Math.max(y1 - y0, x1 - x0) / 2;
  const height = share * (y1 - y0);
  const width = share * (x1 - x0);
  const c = Math.abs(cosine(rotation));
  const s = Math.abs(sine(rotation));
  return [height * c + width * s, width * c + height * s];
}

/** Fraction of its half extent by which an emoji may extend beyond the image. */
const OVERHANG = 0.15;

/** Returns a random centre coordinate at which an emoji of this half extent is inside the image, except for the overhang. */
function place(random: RandomStream, half: number): number {
  const room = Math.max(0, 0.5 - half * (1 - OVERHANG));
  return random.between(0.5 - room, 0.5 + room);
}
