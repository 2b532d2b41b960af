/** ONNX: models in and out. */
export { OnnxClassifier } from './classifier.js';
export { OnnxError, UnsupportedError } from './errors.js';
export { type ToOnnxOptions, toOnnx } from './export.js';

export { type LoadOnnxOptions, loadOnnx } from './load.js';
export { OnnxModel } from './model.js';
export type { ValueInfo } from './nodes.js';
