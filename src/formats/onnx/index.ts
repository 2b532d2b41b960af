/** ONNX: models in and out. */
export { classOutputs, OnnxClassifier, type OnnxClassifierOptions } from './classifier.js';
export { OnnxError, UnsupportedError } from './errors.js';
export { type ToOnnxOptions, toOnnx } from './export.js';

export { type LoadOnnxOptions, loadOnnx } from './load.js';
export { OnnxModel } from './model.js';
export type { ValueInfo } from './nodes.js';
export { listOutputs, type OutputCandidate } from './outputs.js';
export { SCORES, type Scores } from './scores.js';
