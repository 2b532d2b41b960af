/** Hand-made emoji and photographs, so that the scenes rendered from them depend on no package. */
import type { Scene, SceneAssets } from '../../src/data/index.js';
import { SCENE_CLASSES, SCENE_PHOTOGRAPHS, SCENE_STYLES } from '../../src/data/index.js';
import { makePhotograph, makeSprite, type Photograph, type Sprite } from '../../src/data/scenes/pictures.js';

export type Rgba = readonly [red: number, green: number, blue: number, alpha: number];

/** A sprite of 64×64 texels given by place. */
export function sprite(texel: (y: number, x: number) => Rgba): Sprite {
  return makeSprite(64, Array.from({ length: 64 * 64 }, (_, i) => texel(i >> 6, i & 63)).flat());
}

/** A photograph given by place. */
export function photograph(width: number, height: number, grey: (y: number, x: number) => number): Photograph {
  return makePhotograph(
    width,
    height,
    Uint8Array.from({ length: width * height }, (_, i) => grey(Math.floor(i / width), i % width)),
  );
}

/** A different, asymmetric shape with soft edges for every class and style, and photographs with fine and coarse detail. */
export function drawnAssets(): SceneAssets {
  const sprites: Record<string, Record<string, Sprite>> = {};
  for (const [s, style] of SCENE_STYLES.entries()) {
    sprites[style] = {};
    for (const [k, name] of SCENE_CLASSES.entries()) {
      sprites[style][name] = sprite((y, x) => {
        const [dy, dx] = [y - 31 - (k % 3), x - 30 + (k % 5)];
        const inside = (18 + (k % 7)) ** 2 - dy * dy - (1 + (k % 4)) * dx * dx - ((s * dy * dx) >> 2);
        const alpha = Math.min(255, Math.max(0, inside * 3));
        return [(k * 53 + y * 3) & 255, (s * 61 + x * 4) & 255, (k * 19 + x + y) & 255, alpha];
      });
    }
  }
  const photographs: Record<string, Photograph> = {};
  for (const [p, name] of SCENE_PHOTOGRAPHS.entries()) {
    photographs[name] = photograph(96 + 4 * p, 80 + (p % 3) * 20, (y, x) => (((y * (p + 3)) ^ (x * 5)) & 127) + ((y + x) >> 1));
  }
  return { sprites, photographs };
}

/** A scene with an unchanged emoji in the middle of an unchanged photograph; `changed` contains the differences. */
export const scene = (changed: Partial<Scene> = {}, backdrop: Partial<Scene['backdrop']> = {}): Scene => ({
  class: 'shape',
  style: 'plain',
  photograph: 'wall',
  centre: [0.5, 0.5],
  scale: 0.5,
  rotation: 0,
  mirror: false,
  hue: 0,
  saturation: 1,
  brightness: 1,
  backdrop: {
    side: 1,
    place: [0.5, 0.5],
    mirror: false,
    contrast: 1,
    brightness: 0,
    tones: [
      { shadows: 0, lights: 0, saturation: 0 },
      { shadows: 0, lights: 0, saturation: 0 },
    ],
    direction: 0,
    ...backdrop,
  },
  ...changed,
});

/** Assets with one emoji and one photograph, as `scene` asks for them. */
export const assetsOf = (emoji: Sprite, wall: Photograph = photograph(64, 64, () => 100)): SceneAssets => ({
  sprites: { plain: { shape: emoji } },
  photographs: { wall },
});
