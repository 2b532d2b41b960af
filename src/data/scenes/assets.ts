/** Loads the pictures that scenes are rendered from: the emoji of every class and style, rasterised once, and the photographs. */
import { neededNodeModule } from '../../backend/node_module.js';
import { checkArgument, func, isPlainObject, objectWith, type Rule, rule } from '../../backend/validate.js';
import type { OpenProgress } from '../dataset.js';
import { DataError, reasonOf } from '../errors.js';
import { Hash } from '../files/hash.js';
import { requirePackageFiles } from '../files/packages.js';
import { loadSharp } from '../reading/sharp.js';
import { photographPackage, SCENE_CLASSES, SCENE_PHOTOGRAPHS, SCENE_STYLES, stylePackage } from './names.js';
import { makePhotograph, makeSprite, type Photograph, type Sprite } from './pictures.js';

/** The emoji and photographs that `renderScene` renders from. */
export interface SceneAssets {
  /** Emoji by style, then by class. */
  readonly sprites: Readonly<Record<string, Readonly<Record<string, Sprite>>>>;
  /** Backgrounds by name, from `SCENE_PHOTOGRAPHS`. */
  readonly photographs: Readonly<Record<string, Photograph>>;
}

export const sceneAssets: Rule = objectWith('the result of loadSceneAssets()', {
  sprites: rule('an object', isPlainObject),
  photographs: rule('an object', isPlainObject),
});

/** Side of a sprite in texels, and its transparent rim on each side, which bilinear sampling needs at the edges of all mip levels. */
const SPRITE_SIDE = 256;
const SPRITE_RIM = 16;

/** Converts a coordinate from a fraction of the drawing's side to texels of its sprite. */
export const texelOf = (share: number): number => SPRITE_RIM + share * (SPRITE_SIDE - 2 * SPRITE_RIM);

interface IconSet {
  width?: number;
  height?: number;
  icons: Record<string, IconBody>;
  aliases?: Record<string, Partial<IconBody> & { parent: string }>;
}

interface IconBody {
  body: string;
  left?: number;
  top?: number;
  width?: number;
  height?: number;
}

let loaded: WeakRef<SceneAssets> | undefined;

/**
 * Loads the emoji sets and photographs of `scenes`, about 60 MB in memory. A second call returns the same object while it is in use.
 *
 * @example const { sprites, photographs } = await loadSceneAssets();
 * @throws DataError naming the missing packages, or a class without an icon
 */
export async function loadSceneAssets(onProgress?: (progress: OpenProgress) => void): Promise<SceneAssets> {
  if (onProgress !== undefined) checkArgument('loadSceneAssets', 'onProgress', onProgress, func);
  const kept = loaded?.deref();
  if (kept) return kept;
  const paths = await requirePackageFiles(
    [
      ...SCENE_PHOTOGRAPHS.map((name) => ({ name: photographPackage(name), file: 'data/image.jpg' })),
      ...SCENE_STYLES.map((style) => ({ name: stylePackage(style), file: 'icons.json' })),
    ],
    'the data set scenes',
  );
  const total = SCENE_PHOTOGRAPHS.length + SCENE_STYLES.length * SCENE_CLASSES.length;
  let done = 0;
  const tick = <T>(value: T): T => {
    onProgress?.({ phase: 'loading', done: ++done, total });
    return value;
  };
  // The photographs decode on other threads while this one reads the emoji sets.
  const photographs = Promise.all(SCENE_PHOTOGRAPHS.map(async (name, i) => [name, tick(await readPhotograph(paths[i]))] as const));
  photographs.catch(() => undefined);
  const sprites: Record<string, Record<string, Sprite>> = {};
  const rasterising: Promise<unknown>[] = [];
  for (const [i, style] of SCENE_STYLES.entries()) {
    sprites[style] = {};
    const path = paths[SCENE_PHOTOGRAPHS.length + i];
    for (const [name, svg] of await readIcons(path)) {
      rasterising.push(
        rasterise(svg, `${name} in ${path}`).then((sprite) => {
          sprites[style][name] = tick(sprite);
        }),
      );
    }
  }
  await Promise.all(rasterising);
  const assets: SceneAssets = { sprites, photographs: Object.fromEntries(await photographs) };
  loaded = new WeakRef(assets);
  return assets;
}

/** Returns a hash of the rasterised assets at a low resolution, which changes with the drawings, the photographs and the SVG renderer. */
export function assetsFingerprint(assets: SceneAssets): string {
  const hash = new Hash();
  for (const style of SCENE_STYLES) {
    for (const name of SCENE_CLASSES) hash.add(assets.sprites[style][name].levels[3].rgba);
  }
  for (const name of SCENE_PHOTOGRAPHS) hash.add(assets.photographs[name].levels[3].grey);
  return hash.hex();
}

async function readPhotograph(path: string): Promise<Photograph> {
  const sharp = await loadSharp();
  try {
    const { data, info } = await sharp(path).toColourspace('b-w').raw().toBuffer({ resolveWithObject: true });
    return makePhotograph(info.width, info.height, new Uint8Array(data.buffer, data.byteOffset, data.length));
  } catch (error) {
    throw new DataError(`${path}: cannot be read: ${reasonOf(error)}; install its package again`, path, error);
  }
}

/** Reads the SVG of each class from an icon set. */
async function readIcons(path: string): Promise<[name: string, svg: string][]> {
  const { readFile } = await neededNodeModule('node:fs/promises');
  let set: IconSet;
  try {
    set = JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    throw new DataError(`${path}: cannot be read as an icon set: ${reasonOf(error)}; install its package again`, path, error);
  }
  return SCENE_CLASSES.map((name) => {
    const icon = findIcon(set, name);
    if (!icon) throw new DataError(`${path}: has no icon ${name}; install version 1 of its package`, path);
    return [name, toSvg(icon, set)];
  });
}

function findIcon(set: IconSet, name: string): IconBody | undefined {
  const icon = set.icons[name];
  const alias = set.aliases?.[name];
  if (icon || !alias) return icon;
  const parent = findIcon(set, alias.parent);
  return parent && { ...parent, ...alias };
}

function toSvg(icon: IconBody, set: IconSet): string {
  const { left = 0, top = 0, width = set.width ?? 16, height = set.height ?? 16 } = icon;
  const rim = (Math.max(width, height) * SPRITE_RIM) / (SPRITE_SIDE - 2 * SPRITE_RIM);
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="${SPRITE_SIDE}" height="${SPRITE_SIDE}" ` +
    `viewBox="${left - rim} ${top - rim} ${width + 2 * rim} ${height + 2 * rim}">${icon.body}</svg>`
  );
}

async function rasterise(svg: string, name: string): Promise<Sprite> {
  const sharp = await loadSharp();
  const { data, info } = await sharp(new TextEncoder().encode(svg)).ensureAlpha().raw().toBuffer({ resolveWithObject: true });
  if (info.width !== SPRITE_SIDE || info.height !== SPRITE_SIDE || info.channels !== 4) {
    throw new DataError(
      `${name}: rasterised to ${info.width} × ${info.height} × ${info.channels}, expected ${SPRITE_SIDE} × ${SPRITE_SIDE} × 4`,
    );
  }
  return makeSprite(SPRITE_SIDE, data);
}
