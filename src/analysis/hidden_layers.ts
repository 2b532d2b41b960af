/** Default layers of the experiments: the convolutions and the hidden layers of a network. */

import { isConvolution, type LayeredModel } from '../nn/index.js';
import { checkModel } from '../nn/rules.js';

const LINEAR_KINDS = ['Linear', 'Gemm', 'MatMul'];

/** Names of the convolutions of a network, in the order of computation. */
export function convolutions(model: LayeredModel): string[] {
  checkModel('convolutions', model);
  return model.layerNames().filter((name) => isConvolution(model.layer(name)));
}

/** Names of the convolutions and linear layers of a network in the order of computation, except the last, which outputs class scores. */
export function hiddenLayers(model: LayeredModel): string[] {
  checkModel('hiddenLayers', model);
  return model
    .layerNames()
    .filter((name) => isConvolution(model.layer(name)) || LINEAR_KINDS.includes(model.layer(name).kind))
    .slice(0, -1);
}
