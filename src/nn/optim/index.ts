/** Exports of the optimisers and learning-rate schedules. */
export type { Optimizer, OptimizerState, ParameterGroup, ParameterGroupOptions } from './optimizer.js';
export * from './schedules/index.js';
export { SGD, type SgdOptions, type SgdState } from './sgd.js';
