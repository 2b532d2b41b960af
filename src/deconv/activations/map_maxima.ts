/** The strongest activation of every map in every image of a split, found in one pass: a value and a position per map and image. */
import { checkArgument } from '../../backend/validate.js';
import type { Split } from '../../data/dataset.js';
import { batches } from '../../data/loader.js';
import { evaluating } from '../../nn/evaluating.js';
import type { LayeredModel } from '../../nn/index.js';
import { aTensor } from '../../nn/rules.js';
import { yieldToEvents } from '../../nn/yield_to_events.js';
import { noGrad, type Tensor, type TypedArray } from '../../tensor/index.js';
import type { MapMaximaOptions } from '../options.js';
import { prepare } from '../prepare.js';

/** The strongest activations of a layer's maps in the images of a batch. */
export interface LayerMaxima {
  /** [N · maps], the strongest activation of each map in each image. */
  values: TypedArray;
  /** [N · maps], index y · W + x within the map; the first of equal activations. */
  places: TypedArray;
  /** Shape of the layer's output: [N, maps, H, W] or [N, units]. */
  shape: readonly number[];
}

/** The strongest activations in a batch of images. */
export interface BatchMaxima {
  /** Indices of the images in the split. */
  indices: number[];
  /** Shape of the network's input. */
  input: readonly number[];
  /** One entry per layer, in the order of the option `layers`. */
  layers: LayerMaxima[];
}

/** Runs a split through the model once, for all layers together. Memory use does not depend on the size of the split. */
export async function* mapMaxima(
  model: LayeredModel,
  split: Split,
  options: MapMaximaOptions,
): AsyncGenerator<BatchMaxima, void, undefined> {
  const { layers, batchSize = 64, preprocess, indices, onBroken, signal } = options;
  const features = layers.map((layer) => model.featureLayer(layer));
  for await (const examples of batches(split, { batchSize, indices, onBroken })) {
    await yieldToEvents();
    signal?.throwIfAborted();
    const { input, maxima } = evaluating(model, () => noGrad(() => ofBatch(model, prepare(model, preprocess, examples), features)));
    const found: LayerMaxima[] = [];
    for (const { value, place, shape } of maxima) {
      found.push({ values: await value.data(), places: await place.data(), shape });
      value.dispose();
      place.dispose();
    }
    yield { indices: examples.map(({ index }) => index), input, layers: found };
  }
}

function ofBatch(model: LayeredModel, x: Tensor, features: readonly string[]) {
  checkArgument('topActivations', 'the result of preprocess', x, aTensor);
  const outputs = model.activations(x, features);
  const maxima = features.map((feature) => {
    const { shape } = outputs[feature];
    const [n, maps, height = 1, width = 1] = shape;
    const planes = outputs[feature].reshape([n * maps, height * width]);
    return { value: planes.max({ axes: 1 }), place: planes.argmax({ axis: 1 }), shape };
  });
  return { input: x.shape, maxima };
}
