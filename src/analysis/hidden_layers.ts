/** Which layers of a network an experiment looks at unless it is told. */

import { isConvolution, type LayeredModel } from '../nn/index.js';
import { checkModel } from '../nn/rules.js';

const LINEAR_KINDS = ['Linear', 'Gemm', 'MatMul'];

/** The convolutions of a network, from the pixels up. */
export function convolutions(model: LayeredModel): string[] {
  checkModel('convolutions', model);
  return model.layerNames().filter((name) => isConvolution(model.layer(name)));
}

/** The convolutions and linear layers of a network, from the pixels up, but for the last, whose outputs are the classes. */
export function hiddenLayers(model: LayeredModel): string[] {
  checkModel('hiddenLayers', model);
  return model
    .layerNames()
    .filter((name) => isConvolution(model.layer(name)) || LINEAR_KINDS.includes(model.layer(name).kind))
    .slice(0, -1);
}
