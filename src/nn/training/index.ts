/** Exports of the training loop for any network. */
export type { FitBatch, FitData } from './batches.js';
export { fit } from './fit.js';
export { type FitCallbacks, type FitEpoch, type FitSettings, type FitStep, NonFiniteLossError } from './fit_settings.js';
export type { LossFunction } from './stepper.js';
