/** Exports of the neural-network layer: modules, initial weights, errors, optimisers, schedules and summaries. */

export { shapesOnly } from '../backend/shapes/index.js';
export {
  AuxiliaryHead,
  auxiliaryLoss,
  checkpointed,
  Identity,
  ModuleList,
  Parallel,
  Residual,
  type ResidualOptions,
} from './containers/index.js';
export { trainingBytes } from './dry_run.js';
export { type InitScheme, initialize } from './init.js';
export type { FieldAxis, LayeredModel, LayerSummary, Network, ReceptiveField } from './layered_model.js';
export {
  Dropout,
  Dropout2d,
  GELU,
  HardSigmoid,
  HardSwish,
  LeakyReLU,
  PReLU,
  ReLU,
  ReLU6,
  Sigmoid,
  SiLU,
  Softmax,
  Tanh,
} from './layers/activation.js';
export { Conv2d, ConvTranspose2d } from './layers/conv2d.js';
export { PartialConv2d, RadialBasis, ScaledTanh, Subsampling2d } from './layers/lenet.js';
export { Flatten, Linear } from './layers/linear.js';
export { BatchNorm2d, GroupNorm, LayerNorm, LocalResponseNorm } from './layers/normalization.js';
export { AdaptiveAvgPool2d, AdaptiveMaxPool2d, AvgPool2d, MaxPool2d } from './layers/pooling.js';
export { Upsample } from './layers/upsample.js';
export { batchErrors, countErrors, topK } from './loss.js';
export { torchvision } from './models/torchvision.js';
export {
  Module,
  namingLayer,
  Pointwise,
  parameter,
  type Reach,
  type ReceptiveWindow,
  StateError,
  type Structure,
  type WindowGeometry,
} from './module.js';
export * from './optim/index.js';
export { Sequential } from './sequential.js';
export {
  countParameters,
  growField,
  isConvolution,
  PIXEL_FIELD,
  patchOf,
  receptiveField,
  summarize,
} from './summary.js';
export { type CompileOptions, warmUp } from './training/warm_up.js';
