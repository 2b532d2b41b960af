/**
 * Correspondence: whether masking the same part of an object (such as the left eye) changes the features of different images in the same
 * way (Zeiler & Fergus 2013, section 4.3 and Table 1).
 *
 * ε = x − x̃ is the difference between a layer's features of an image and of the image with the part masked. Δ is the fraction of the
 * dimensions in which sign(ε) of two images differs, as a mean over all pairs of images (the paper sums instead). A sign is −1, 0 or 1;
 * two features that do not change agree. A small Δ means that the features change in the same way.
 */

import { convolutions, hiddenLayers } from '../../analysis/hidden_layers.js';
import { type Spread, spreadOf } from '../../analysis/spread.js';
import {
  abortSignal,
  arrayOf,
  checkArgument,
  checkOptions,
  func,
  integer,
  isPlainObject,
  numeric,
  objectWith,
  type RulesFor,
  rule,
  show,
  text,
} from '../../backend/validate.js';
import { RandomStream } from '../../data/random.js';
import { evaluating } from '../../nn/evaluating.js';
import type { LayeredModel } from '../../nn/index.js';
import { aTensor, checkModel } from '../../nn/rules.js';
import { yieldToEvents } from '../../nn/yield_to_events.js';
import { noGrad, ShapeError, type Tensor, ValueError, zeros } from '../../tensor/index.js';
import { empty } from '../../tensor/tensor.js';
import type { Patch } from '../activations/receptive_fields.js';
import { copyBlock } from '../occlusion/windows.js';
import { checkLayer, patch } from '../rules.js';

/** Images to compare with each other, and the boxes of their parts. */
export interface MarkedImages {
  /** Input of the network, [N, C, H, W]. */
  images: Tensor;
  /** For each image, the box of each part: [y0, x0, y1, x1] in pixels of the input, end exclusive. */
  parts: readonly Readonly<Record<string, Patch>>[];
  /** For each image, the box of the object; random masks are centred inside it. Default: the box around all parts. */
  objects?: readonly Patch[];
}

/** Options of `correspondence`. */
export interface CorrespondenceOptions {
  /** Layer names, as `ProjectOptions.layer`. Default: the last convolution and the last hidden layer, the paper's layers 5 and 7. */
  layers?: readonly string[];
  /** Network input under the masks, [1, C, H, W]. Default 0, which is the mean image for inputs that had it subtracted. */
  grey?: Tensor;
  /** Number of times that random masks are sampled for each group of images. Default 10. */
  draws?: number;
  /** Seed of the random masks. Default 0. */
  seed?: number;
  /** Called after each group of images and sample of masks with the number of finished steps, and their total. */
  onProgress?: (done: number, total: number) => void;
  /** Aborting it makes `correspondence` throw the signal's reason after the current step. */
  signal?: AbortSignal;
}

/** Name of the entry for random masks. */
export const RANDOM_PART = 'random';

/** Δ of one part. */
export interface PartCorrespondence {
  /** Name of the part as the groups give it; `random` for the masks at random positions. */
  part: string;
  /** Δ by layer: mean and standard deviation over all pairs of images of all groups and, for random masks, over all samples. */
  delta: Record<string, Spread>;
}

/** Result of `correspondence`. */
export interface Correspondence {
  /** The layers that were compared, in the order of the options. */
  layers: string[];
  /** One entry per part, and a last one for masks of the sizes of the parts at random positions in the objects. */
  parts: PartCorrespondence[];
  /** Number of images in each group. */
  groups: number[];
  /** Number of times that random masks were sampled. */
  draws: number;
}

const OPTIONS: RulesFor<CorrespondenceOptions> = {
  layers: arrayOf(text),
  grey: aTensor,
  draws: integer(1),
  seed: integer(),
  onProgress: func,
  signal: abortSignal,
};

const groupRule = objectWith('a group { images: Tensor [N, C, H, W], parts: N objects of boxes }', {
  images: aTensor,
  parts: arrayOf(rule('an object of boxes by part', isPlainObject)),
});

/** Names of the last convolution and the last hidden layer with weights. */
export function upperLayers(model: LayeredModel): string[] {
  const layers = [convolutions(model).at(-1), hiddenLayers(model).at(-1)].filter((name) => name !== undefined);
  if (layers.length === 0) throw new ValueError('correspondence: the network has no hidden layer of weights; name the layers to compare');
  return [...new Set(layers)];
}

/**
 * Δ for every part that is marked in all images, and for random masks.
 *
 * @example const { parts } = await correspondence(model, groups, { draws: 2 });
 * @param groups groups of at least two images each; images are compared within their group
 * @throws ValueError for groups that are too small or share no part, for boxes outside the image, and for layers that do not exist
 */
export async function correspondence(
  model: LayeredModel,
  groups: readonly MarkedImages[],
  options: CorrespondenceOptions = {},
): Promise<Correspondence> {
  checkModel('correspondence', model);
  checkArgument('correspondence', 'groups', groups, arrayOf(groupRule));
  for (const { objects } of groups) checkArgument('correspondence', 'objects', objects ?? [], arrayOf(patch));
  checkOptions('correspondence', options, OPTIONS);
  for (const layer of options.layers ?? []) checkLayer('correspondence', model, layer);
  const { layers = upperLayers(model), draws = 10, seed = 0, onProgress, signal } = options;
  const features = layers.map((layer) => model.featureLayer(layer));
  const names = sharedParts(groups);
  const found = new Map<string, number[][]>([...names, RANDOM_PART].map((part) => [part, layers.map(() => [])]));
  const total = groups.length * (names.length + draws);
  let done = 0;
  for (const [g, group] of groups.entries()) {
    const random = new RandomStream(seed, 'masks', g);
    const masks: [part: string, boxes: Patch[]][] = names.map((part) => [part, group.parts.map((boxes) => boxes[part])]);
    for (let draw = 0; draw < draws; draw++) masks.push([RANDOM_PART, randomBoxes(group, names, random)]);
    const clean = featuresOf(model, features, group.images);
    try {
      for (const [part, boxes] of masks) {
        const masked = withMasks(group.images, boxes, options.grey);
        const moved = featuresOf(model, features, masked);
        masked.dispose();
        for (const [i, output] of moved.entries()) {
          const changes = noGrad(() => clean[i].sub(output));
          found.get(part)![i].push(...signDistances(await changes.data(), group.images.shape[0]));
          changes.dispose();
          output.dispose();
        }
        onProgress?.(++done, total);
        await yieldToEvents();
        signal?.throwIfAborted();
      }
    } finally {
      for (const output of clean) output.dispose();
    }
  }
  const parts = [...found].map(
    ([part, values]): PartCorrespondence => ({
      part,
      delta: Object.fromEntries(layers.map((layer, i) => [layer, spreadOf(values[i])])),
    }),
  );
  return { layers: [...layers], parts, groups: groups.map(({ images }) => images.shape[0]), draws };
}

/** Names of the parts that every image of every group has, in the order of the first image. */
function sharedParts(groups: readonly MarkedImages[]): string[] {
  if (groups.length === 0) throw new ValueError('correspondence: there are no images to compare');
  for (const { images, parts } of groups) {
    if (images.rank !== 4 || images.shape[0] !== parts.length)
      throw new ShapeError(
        `correspondence: images have shape [${images.shape}], expected [${parts.length}, C, H, W] for ${parts.length} lists of parts`,
      );
    if (parts.length < 2) throw new ValueError('correspondence: a group has one image, expected at least 2 to compare');
    const [height, width] = images.shape.slice(2);
    for (const [i, boxes] of parts.entries())
      for (const [part, box] of Object.entries(boxes)) {
        const [y0, x0, y1, x1] = arrayOf(numeric, 4, 4).test(box) ? box : [-1, -1, -1, -1];
        if (![y0, x0, y1, x1].every(Number.isInteger) || y0 < 0 || x0 < 0 || y1 <= y0 || x1 <= x0 || y1 > height || x1 > width)
          throw new ValueError(
            `correspondence: the ${part} of image ${i} is at ${show(box)}, expected [y0, x0, y1, x1] in whole pixels, y0 < y1 up to ${height} and x0 < x1 up to ${width}`,
          );
      }
  }
  const everywhere = (part: string) => groups.every(({ parts }) => parts.every((boxes) => Object.hasOwn(boxes, part)));
  const shared = Object.keys(groups[0].parts[0]).filter(everywhere);
  if (shared.length === 0) throw new ValueError('correspondence: there is no part that is marked in every image');
  if (shared.includes(RANDOM_PART))
    throw new ValueError(`correspondence: a part is named '${RANDOM_PART}', which is reserved for random masks; rename the part`);
  return shared;
}

/** For each image, a box of the size of one of its parts, centred at a random position in the object. */
function randomBoxes({ images, parts, objects }: MarkedImages, names: readonly string[], random: RandomStream): Patch[] {
  const [height, width] = images.shape.slice(2);
  return parts.map((boxes, image) => {
    const [y0, x0, y1, x1] = boxes[names[random.below(names.length)]];
    const [h, w] = [y1 - y0, x1 - x0];
    const [top, left, bottom, right] = objects?.[image] ?? around(Object.values(boxes));
    const y = Math.min(Math.max(top + random.below(bottom - top) - Math.floor(h / 2), 0), height - h);
    const x = Math.min(Math.max(left + random.below(right - left) - Math.floor(w / 2), 0), width - w);
    return [y, x, y + h, x + w];
  });
}

const around = (boxes: readonly Patch[]): Patch => [
  Math.min(...boxes.map(([y0]) => y0)),
  Math.min(...boxes.map(([, x0]) => x0)),
  Math.max(...boxes.map(([, , y1]) => y1)),
  Math.max(...boxes.map(([, , , x1]) => x1)),
];

/** Copy of the images with one box per image replaced by grey. */
function withMasks(images: Tensor, boxes: readonly Patch[], grey: Tensor | undefined): Tensor {
  const [count, ...shape] = images.shape;
  if (grey && grey.shape.join() !== [1, ...shape].join())
    throw new ShapeError(`correspondence: grey has shape [${grey.shape}], expected [${[1, ...shape]}]`);
  const own = grey ?? zeros([1, ...shape], { dtype: images.dtype, backend: images.backend });
  const masked = empty('correspondence', images.shape, images.dtype, images.backend);
  for (let image = 0; image < count; image++) {
    const [y0, x0, y1, x1] = boxes[image];
    copyBlock({ of: masked, image, at: [0, 0] }, { of: images, image, at: [0, 0] }, [shape[1], shape[2]]);
    copyBlock({ of: masked, image, at: [y0, x0] }, { of: own, image: 0, at: [y0, x0] }, [y1 - y0, x1 - x0]);
  }
  if (own !== grey) own.dispose();
  return masked;
}

const featuresOf = (model: LayeredModel, features: readonly string[], images: Tensor): Tensor[] =>
  evaluating(model, () =>
    noGrad(() => {
      const outputs = model.activations(images, [...new Set(features)]);
      return features.map((feature) => outputs[feature]);
    }),
  );

/**
 * Fraction of the dimensions in which the signs of two images' changes differ, for every pair of images.
 *
 * @param changes [images, dimensions]
 */
export function signDistances(changes: ArrayLike<number>, images: number): number[] {
  checkArgument('signDistances', 'images', images, integer(1));
  checkArgument('signDistances', 'changes', changes, arrayOf(numeric));
  if (changes.length % images !== 0)
    throw new ShapeError(`signDistances: got ${changes.length} changes, expected a multiple of ${images} images`);
  const dimensions = changes.length / images;
  const distances: number[] = [];
  for (let i = 0; i < images; i++)
    for (let j = i + 1; j < images; j++) {
      let differing = 0;
      for (let d = 0; d < dimensions; d++)
        if (Math.sign(changes[i * dimensions + d]) !== Math.sign(changes[j * dimensions + d])) differing++;
      distances.push(differing / dimensions);
    }
  return distances;
}
