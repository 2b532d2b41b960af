/** The strongest activation of every map in every image of a split: one pass, two numbers a map and image. */
import { checkArgument } from '../../backend/validate.js';
import type { Split } from '../../data/dataset.js';
import { batches } from '../../data/loader.js';
import { yieldToEvents } from '../../data/turn.js';
import { evaluating } from '../../nn/evaluating.js';
import type { LayeredModel } from '../../nn/index.js';
import { aTensor } from '../../nn/rules.js';
import { noGrad, type Tensor, type TypedArray } from '../../tensor/index.js';
import type { MapMaximaOptions } from '../options.js';

/** What a layer's maps answer to the images of a batch. */
export interface LayerMaxima {
  /** [N · maps], the strongest activation of each map in each image. */
  values: TypedArray;
  /** [N · maps], y · W + x within the map; of equal activations the first. */
  places: TypedArray;
  /** Of the layer's output: [N, maps, H, W] or [N, units]. */
  shape: readonly number[];
}

export interface BatchMaxima {
  /** Places of the images in the split. */
  indices: number[];
  /** Shape of the network's input. */
  input: readonly number[];
  /** In the order of the layers asked for. */
  layers: LayerMaxima[];
}

/** Runs a split through the model once, for all layers together. What is held does not grow with the split. */
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
    const { input, maxima } = evaluating(model, () => noGrad(() => ofBatch(model, preprocess(examples), features)));
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
