/** From the bytes of a file to a model. */
import { type Backend, defaultBackend } from '../../tensor/index.js';
import { decodeModel, type ModelProto, type TensorProto } from './decoding/schema.js';
import { externalLocation } from './decoding/tensor_proto.js';
import { buildGraph } from './graph/graph.js';
import { OnnxModel } from './running/model.js';

export interface LoadOnnxOptions {
  /**
   * Gives the bytes of a file beside the model. Called once for each, with a relative path of forward slashes that stays inside the
   * model's folder; others are refused before.
   */
  externalData?: (path: string) => Uint8Array | Promise<Uint8Array>;
  /**
   * Takes a fixed batch for a free one: reshapes to a fixed shape that begins with it follow the batch that arrives. Many models
   * are written with a batch of 1 and mean any. Default false.
   */
  freeBatch?: boolean;
  /** Where the model is to live. Default: the default backend. */
  backend?: Backend;
}

/**
 * Reads an ONNX model, operator sets 6 to the newest. It lives on the default backend, in evaluation mode.
 *
 * @param bytes the file; nothing of it is kept but small constants, so that large weights exist twice while this runs and once afterwards
 * @throws OnnxError for bytes that are no ONNX model, for an operator or a type that is not supported (named, with its node and with
 *   what is supported), for cycles, names that nothing defines, and external data that is missing or outside the model's folder
 * @throws BackendError before `await init()`
 */
export async function loadOnnx(bytes: Uint8Array, options: LoadOnnxOptions = {}): Promise<OnnxModel> {
  const backend = options.backend ?? defaultBackend();
  const proto = decodeModel(bytes);
  const files = new Map<string, Uint8Array>();
  for (const tensor of tensorsOf(proto)) {
    const location = externalLocation(tensor);
    if (location && options.externalData && !files.has(location.path)) files.set(location.path, await options.externalData(location.path));
  }
  return new OnnxModel(buildGraph(proto, files, options.freeBatch), backend);
}

/** Every tensor that a model holds. */
function* tensorsOf({ graph }: ModelProto): Generator<TensorProto> {
  if (!graph) return;
  yield* graph.initializer;
  for (const { attribute } of graph.node) for (const { t } of attribute) if (t) yield t;
}
