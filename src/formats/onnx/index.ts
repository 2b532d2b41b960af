/** Import, execution and export of ONNX models. */

export { OnnxError, UnsupportedError } from './errors.js';
export { type ToOnnxOptions, toOnnx } from './export.js';
export type { ValueInfo } from './graph/nodes.js';

export { type LoadOnnxOptions, loadOnnx } from './load.js';
export { classOutputs } from './running/class_scores.js';
export { OnnxClassifier, type OnnxClassifierOptions } from './running/classifier.js';
export { OnnxModel } from './running/model.js';
export { listOutputs, type OutputCandidate } from './running/outputs.js';
export { SCORES, type Scores } from './running/scores.js';
