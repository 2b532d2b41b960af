/** Extracts the outputs of layers as feature matrices, on which linear classifiers are trained. */

import { hiddenLayers } from '../../analysis/hidden_layers.js';
import type { Matrix } from '../../analysis/matrix.js';
import { abortSignal, arrayOf, checkArgument, checkOptions, func, integer, type RulesFor, text } from '../../backend/validate.js';
import type { Split } from '../../data/dataset.js';
import type { DataError } from '../../data/errors.js';
import { readBatches } from '../../data/read_batches.js';
import { split as splitRule } from '../../data/rules.js';
import { backendOf } from '../../nn/backend_of.js';
import { evaluating } from '../../nn/evaluating.js';
import { Dropout, Flatten, type Module, type Network, Sequential } from '../../nn/index.js';
import { checkModel } from '../../nn/rules.js';
import { yieldToEvents } from '../../nn/yield_to_events.js';
import { noGrad, type Shape } from '../../tensor/index.js';
import type { Classifier } from '../evaluation/evaluate.js';
import { imagesToTensor } from '../input/images_to_tensor.js';
import { preparedNetwork } from '../rules.js';

/** Features of some images from one layer. */
export interface LayerFeatures {
  /** One row per image, one column per feature, in the layout of `shape` or of the reduced `grid`. */
  matrix: Matrix;
  /** Shape of the layer's output without the batch: [C, H, W] or [F]. */
  shape: Shape;
  /** Grid [h, w] to which feature maps were reduced by averaging blocks, if they were. */
  grid?: readonly [number, number];
}

/** Features of some layers, as `extractFeatures` returns. */
export interface Features {
  /** Features by layer name. All matrices have the same rows. */
  layers: Record<string, LayerFeatures>;
  /** Labels of the rows. */
  labels: Int32Array;
}

/** Options of `extractFeatures`. */
export interface ExtractOptions {
  /** Largest number of features per image. Larger feature maps are averaged over the blocks of a coarser grid. Default 2048. */
  maxFeatures?: number;
  /** Images per forward pass. Default 128. */
  batchSize?: number;
  /** Called after each batch with the number of images that are done, and their total. */
  onProgress?: (done: number, total: number) => void;
  /** Called for each example that cannot be read; the example is then skipped. Without it, the error is thrown. */
  onBroken?: (error: DataError) => void;
  /** Aborting it makes the extraction throw the signal's reason before the next batch. */
  signal?: AbortSignal;
}

/** A convolution or linear layer (`name`), and the layer whose output serves as its features (`layer`). */
export interface Stage {
  /** Name of the convolution or linear layer, such as `conv3`. */
  name: string;
  /** Name of the layer whose output is used; in a `Sequential`, the end of the stage after its ReLU, pooling and normalisation. */
  layer: string;
}

/**
 * The stages of a network in the order of computation: each convolution and linear layer except the last, which outputs the class scores.
 * In a `Sequential`, the features of a stage are taken after its ReLU, pooling and normalisation.
 *
 * @example const [{ name, layer }] = stages(model);
 */
export function stages(model: Network): Stage[] {
  checkModel('stages', model);
  return hiddenLayers(model).map((name) => ({
    name,
    layer:
      model instanceof Sequential && model.children().some(([own]) => own === name) ? endOfStage(model, name) : model.featureLayer(name),
  }));
}

function endOfStage(model: Sequential, name: string): string {
  const row = model.children();
  let end = row.findIndex(([own]) => own === name);
  const belongs = (next: readonly [string, Module] | undefined) => {
    if (next === undefined) return false;
    const [, layer] = next;
    return layer.structure() === null && layer.parameters().length === 0 && !(layer instanceof Dropout) && !(layer instanceof Flatten);
  };
  while (belongs(row[end + 1])) end++;
  return row[end][0];
}

const OPTIONS: RulesFor<ExtractOptions> = {
  maxFeatures: integer(1),
  batchSize: integer(1),
  onProgress: func,
  onBroken: func,
  signal: abortSignal,
};

/**
 * Features of some layers for the centre crops of a split, in evaluation mode.
 *
 * @example const { layers } = await extractFeatures(await openRun(store), dataset.splits.val, ['relu7']);
 * @param layers names, as in `Stage.layer`
 * @throws ValueError for a layer that does not exist
 */
export async function extractFeatures(
  network: Pick<Classifier, 'model' | 'preprocess'>,
  split: Split,
  layers: readonly string[],
  options: ExtractOptions = {},
): Promise<Features> {
  checkArgument('extractFeatures', 'the network', network, preparedNetwork);
  checkArgument('extractFeatures', 'split', split, splitRule);
  checkArgument('extractFeatures', 'layers', layers, arrayOf(text));
  checkOptions('extractFeatures', options, OPTIONS);
  const { model, preprocess } = network;
  for (const layer of layers) model.layer(layer);
  const backend = backendOf(model);
  const { batchSize = 128, maxFeatures = 2048, onBroken, onProgress, signal } = options;
  const order = Array.from({ length: split.length }, (_, i) => i);
  const parts: Record<string, Float32Array[]> = Object.fromEntries(layers.map((layer) => [layer, []]));
  const shapes: Record<string, Shape> = {};
  const labels: number[] = [];
  for await (const { examples, cursor } of readBatches(split, order, { batchSize, onBroken })) {
    signal?.throwIfAborted();
    if (examples.length > 0) {
      const images = examples.map(({ image }) => image);
      const outputs = evaluating(model, () => noGrad(() => model.activations(imagesToTensor(preprocess, images, { backend }), layers)));
      for (const layer of layers) {
        const output = outputs[layer];
        shapes[layer] = output.shape.slice(1);
        const values = (await output.data()) as Float32Array;
        const grid = gridFor(shapes[layer], maxFeatures);
        parts[layer].push(grid ? averageBlocks(values, output.shape, grid) : values);
      }
      for (const output of new Set(Object.values(outputs))) output.dispose();
      labels.push(...examples.map(({ label }) => label));
    }
    onProgress?.(cursor, split.length);
    await yieldToEvents();
  }
  const found = layers.map((layer): [string, LayerFeatures] => {
    const matrix = joined(parts[layer], labels.length);
    const grid = shapes[layer] && gridFor(shapes[layer], maxFeatures);
    return [layer, { matrix, shape: shapes[layer] ?? [], ...(grid && { grid }) }];
  });
  return { layers: Object.fromEntries(found), labels: Int32Array.from(labels) };
}

/** The finest grid that reduces [C, H, W] to at most `maxFeatures`, but at least one cell per map; undefined if it fits already. */
export function gridFor(shape: Shape, maxFeatures: number): readonly [number, number] | undefined {
  const [maps, height, width] = shape;
  if (shape.length !== 3 || maps * height * width <= maxFeatures) return undefined;
  let side = Math.max(height, width);
  const gridOf = (side: number): readonly [number, number] => [Math.min(side, height), Math.min(side, width)];
  while (side > 1 && maps * gridOf(side)[0] * gridOf(side)[1] > maxFeatures) side--;
  return gridOf(side);
}

/** Means over the blocks of a grid, [N, C · h · w]. If the grid does not divide the map, adjacent blocks overlap by a row or a column. */
export function averageBlocks(values: Float32Array, [n, maps, height, width]: Shape, [h, w]: readonly [number, number]): Float32Array {
  const out = new Float32Array(n * maps * h * w);
  const bounds = (i: number, of: number, extent: number) => [Math.floor((i * extent) / of), Math.ceil(((i + 1) * extent) / of)];
  let to = 0;
  for (let plane = 0; plane < n * maps; plane++) {
    const start = plane * height * width;
    for (let i = 0; i < h; i++) {
      const [y0, y1] = bounds(i, h, height);
      for (let j = 0; j < w; j++) {
        const [x0, x1] = bounds(j, w, width);
        let sum = 0;
        for (let y = y0; y < y1; y++) for (let x = x0; x < x1; x++) sum += values[start + y * width + x];
        out[to++] = sum / ((y1 - y0) * (x1 - x0));
      }
    }
  }
  return out;
}

function joined(parts: readonly Float32Array[], rows: number): Matrix {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const data = new Float32Array(length);
  let at = 0;
  for (const part of parts) {
    data.set(part, at);
    at += part.length;
  }
  return { rows, columns: rows > 0 ? length / rows : 0, data };
}
