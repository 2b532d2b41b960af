/** Containers: modules that combine other modules. */
export { AuxiliaryHead, auxiliaryLoss } from './auxiliary_head.js';
export { checkpointed } from './checkpointed.js';
export { Identity } from './identity.js';
export { ModuleList } from './module_list.js';
export { Parallel } from './parallel.js';
export { Residual, type ResidualOptions } from './residual.js';
