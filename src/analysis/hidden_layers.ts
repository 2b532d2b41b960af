/** Default layers of the experiments: the convolutions and the hidden layers of a network. */

import { isConvolution, type LayeredModel, type LayerSummary } from '../nn/index.js';
import { checkModel } from '../nn/rules.js';

/** Kinds of fully connected layers: our own, and the operators of imported networks. */
const LINEAR_KINDS = ['Linear', 'Gemm', 'MatMul'];

/** Whether a layer is a convolution or a fully connected layer. */
export const isWeighted = (layer: Pick<LayerSummary, 'kind'>): boolean => isConvolution(layer) || LINEAR_KINDS.includes(layer.kind);

/**
 * Names of the convolutions of a network, in the order of computation.
 *
 * @example const names = convolutions(model); // ['conv1', 'conv2', 'conv3', 'conv4', 'conv5']
 */
export function convolutions(model: LayeredModel): string[] {
  checkModel('convolutions', model);
  return model.layerNames().filter((name) => isConvolution(model.layer(name)));
}

/**
 * Names of the convolutions and linear layers of a network in the order of computation, except the last, which outputs class scores.
 *
 * @example const last = hiddenLayers(model).at(-1);
 */
export function hiddenLayers(model: LayeredModel): string[] {
  checkModel('hiddenLayers', model);
  return model
    .layerNames()
    .filter((name) => isWeighted(model.layer(name)))
    .slice(0, -1);
}
