/** Which layers of a network an experiment looks at unless it is told. */
import { isConvolution, type LayeredModel } from '../nn/index.js';

const LINEAR_KINDS = ['Linear', 'Gemm', 'MatMul'];

/** The convolutions of a network, from the pixels up. */
export const convolutions = (model: LayeredModel): string[] => model.layerNames().filter((name) => isConvolution(model.layer(name)));

/** The convolutions and linear layers of a network, from the pixels up, but for the last, whose outputs are the classes. */
export const hiddenLayers = (model: LayeredModel): string[] =>
  model
    .layerNames()
    .filter((name) => isConvolution(model.layer(name)) || LINEAR_KINDS.includes(model.layer(name).kind))
    .slice(0, -1);
