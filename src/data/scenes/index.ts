/** `scenes`, a synthetic data set that needs no download: emoji over photographs, rendered on request. */

import { checkIndex, type Dataset, DEFAULT_CACHE_BYTES, type Example, type OpenOptions, type Split } from '../dataset.js';
import { DataError } from '../errors.js';
import { ByteCache } from '../files/cache.js';
import { Hash } from '../files/hash.js';
import { assetsFingerprint, loadSceneAssets, type SceneAssets } from './assets.js';
import { SCENE_CLASSES, SCENE_CREDITS, SCENE_SPLITS, type SceneSplit } from './names.js';
import { planScene, sceneLabels } from './plan.js';
import { renderScene, SMALLEST_SCENE } from './render.js';

/** Version of the data set; increase it with every change that alters the images of a seed. */
const VERSION = 1;
const DEFAULT_SIDE = 96;
/** Largest length of a split, whose labels are kept in memory. */
const LARGEST_SPLIT = 2 ** 24;

/** Opens `scenes` from the installed packages. */
export async function openScenes(options: OpenOptions = {}): Promise<Dataset> {
  return scenesFrom(await loadSceneAssets(options.onProgress), options);
}

/**
 * Returns the data set `scenes` for assets that are already loaded, such as those that a web page has rasterised itself.
 *
 * @throws DataError for unknown splits and for sizes out of range
 */
export function scenesFrom(assets: SceneAssets, options: OpenOptions = {}): Dataset {
  const { seed = 0, sizes = {}, imageSize: side = DEFAULT_SIDE, cacheBytes = DEFAULT_CACHE_BYTES } = options;
  if (side < SMALLEST_SCENE) throw new DataError(`scenes: imageSize is ${side}; expected ${SMALLEST_SCENE} pixels or more`);
  const names = Object.keys(SCENE_SPLITS) as SceneSplit[];
  for (const [name, size] of Object.entries(sizes)) {
    if (!(names as string[]).includes(name)) throw new DataError(`scenes: there is no split ${name}; expected ${names.join(', ')}`);
    if (size !== undefined && (!Number.isInteger(size) || size < 1 || size > LARGEST_SPLIT)) {
      throw new DataError(`scenes: the size of ${name} is ${size}; expected a whole number from 1 to ${LARGEST_SPLIT}`);
    }
  }
  const cache = new ByteCache<Example>(cacheBytes);
  const splits: Record<string, Split> = {};
  const hash = new Hash().add(VERSION).add(seed).add(assetsFingerprint(assets));
  for (const name of names) {
    const length = sizes[name] ?? SCENE_SPLITS[name].size;
    hash.add(name).add(length);
    splits[name] = sceneSplit(assets, seed, name, length, side, cache);
  }
  return {
    name: 'scenes',
    classes: SCENE_CLASSES,
    channels: 3,
    splits,
    imageSize: [side, side],
    credits: SCENE_CREDITS,
    fingerprint: hash.hex(),
    warnings: [],
  };
}

function sceneSplit(assets: SceneAssets, seed: number, split: SceneSplit, length: number, side: number, cache: ByteCache<Example>): Split {
  const labels = sceneLabels(seed, split, length);
  return {
    length,
    labels,
    async get(index) {
      checkIndex(index, length, `scenes, ${split}`);
      const name = `${split}/${index}`;
      const kept = cache.get(name);
      if (kept) return kept;
      const { image, details } = renderScene(assets, planScene(assets, seed, split, index, labels[index]), side);
      const example = { image, label: labels[index], index, name, details };
      cache.set(name, example, image.data.length);
      return example;
    },
  };
}
