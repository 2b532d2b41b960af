/** Exports of tensors, operations and automatic differentiation for the other folders. */
import './methods.js';

export type {
  Backend,
  BackendInfo,
  BinaryOp,
  Capabilities,
  DeviceCeiling,
  DeviceInfo,
  DType,
  MemoryUse,
  OverlapRule,
  ReluRule,
  TypedArray,
  UnaryOp,
} from '../backend/backend.js';
export * from '../backend/errors.js';
export {
  type ConvOptions,
  type ConvParams,
  type ConvTranspose2dOptions,
  convParams,
  convTransposeParams,
  type OldPoolOptions,
  type Padding,
  type Pair,
  type PoolOptions,
  type PoolParams,
  poolParams,
  windowCount,
} from '../backend/params.js';
export {
  type BackwardOptions,
  type BackwardRules,
  backward,
  isRecording,
  noGrad,
  RULES,
  type RulesName,
  recording,
  setNanCheck,
} from './graph/autograd.js';
export { type DefinedOp, defineOp, type OpContext, type OpDefinition } from './graph/define_op.js';
export { span } from './graph/spans.js';
export * from './ops/index.js';
export { Generator, type GeneratorState, getRandomState, manualSeed, STREAMS, setRandomState } from './random.js';
export { type Shape, sizeOf } from './shape.js';
export {
  defaultBackend,
  fromHost,
  full,
  ones,
  type RandomOptions,
  randn,
  scope,
  setDefaultBackend,
  Tensor,
  type TensorOptions,
  tensor,
  uniform,
  withBackend,
  zeros,
} from './tensor.js';
