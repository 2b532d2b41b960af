/** Loads an ONNX model from the bytes of a file. */
import { boolean, checkArgument, checkOptions, func, quote, type RulesFor, rule } from '../../backend/validate.js';
import { type Backend, defaultBackend } from '../../tensor/index.js';
import { backendRule } from '../../tensor/tensor.js';
import { decodeModel, type ModelProto, type TensorProto } from './decoding/schema.js';
import { externalLocation } from './decoding/tensor_proto.js';
import { OnnxError } from './errors.js';
import { buildGraph } from './graph/graph.js';
import { OnnxModel } from './running/model.js';

/** Options of `loadOnnx`. */
export interface LoadOnnxOptions {
  /**
   * Returns the contents of an external data file. Called once per file with a relative path (with forward slashes) inside the model's
   * folder; models with other paths are rejected.
   */
  externalData?: (path: string) => Uint8Array | Promise<Uint8Array>;
  /**
   * Whether to accept any batch size although the model declares a fixed one: a `Reshape` to a fixed shape that starts with the declared
   * batch size then uses that of the data. Many models are exported with a batch size of 1 but work with any. Default false.
   */
  freeBatch?: boolean;
  /** Backend of the model. Default: the default backend. */
  backend?: Backend;
}

const bytesRule = rule('a Uint8Array, such as await readFile(path)', (value) => value instanceof Uint8Array);

const OPTIONS: RulesFor<LoadOnnxOptions> = { externalData: func, freeBatch: boolean, backend: backendRule };

/**
 * Loads an ONNX model with operator sets from 6 on. The model is in evaluation mode.
 *
 * @example
 * const model = await loadOnnx(bytes); // bytes of the file
 * const scores = model.forward(images);
 * @param bytes contents of the file. They are not kept: the weights exist twice during loading, and once afterwards
 * @throws OnnxError for bytes that are not an ONNX model, for cycles, for undefined names, and for external data that is missing or
 *   outside the model's folder
 * @throws UnsupportedError for an operator or a type that is not supported; the message names the node and the supported ones
 * @throws ValueError for unknown options
 * @throws BackendError before `await init()`
 */
export async function loadOnnx(bytes: Uint8Array, options: LoadOnnxOptions = {}): Promise<OnnxModel> {
  checkArgument('loadOnnx', 'bytes', bytes, bytesRule, OnnxError);
  checkOptions('loadOnnx', options, OPTIONS);
  const backend = options.backend ?? defaultBackend();
  const proto = decodeModel(bytes);
  const files = new Map<string, Uint8Array>();
  for (const tensor of tensorsOf(proto)) {
    const location = externalLocation(tensor);
    if (!location || !options.externalData || files.has(location.path)) continue;
    const file = await options.externalData(location.path);
    checkArgument('loadOnnx', `what externalData gave for ${quote(location.path)}`, file, bytesRule);
    files.set(location.path, file);
  }
  return new OnnxModel(buildGraph(proto, files, options.freeBatch), backend);
}

/** Yields the initialisers of a model and the tensors in its attributes. */
function* tensorsOf({ graph, functions }: ModelProto): Generator<TensorProto> {
  if (!graph) return;
  yield* graph.initializer;
  for (const { node } of [graph, ...functions]) for (const { attribute } of node) for (const { t } of attribute) if (t) yield t;
}
