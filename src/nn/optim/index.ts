/** Exports of the optimisers and learning-rate schedules. */
export { Adam, type AdamOptions, AdamW, type AdamWOptions } from './adam.js';
export { clipGradNorm } from './clip_grad_norm.js';
export type { Optimizer, OptimizerState, ParameterGroup, ParameterGroupOptions } from './optimizer.js';
export { RMSprop, type RMSpropOptions } from './rmsprop.js';
export * from './schedules/index.js';
export { SGD, type SgdOptions, type SgdState } from './sgd.js';
