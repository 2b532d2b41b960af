/** Checks the tensors that a user passes to a model, and converts them to values of the graph. */
import { type Backend, BackendError, DTypeError, ShapeError, type Tensor, ValueError } from '../../../tensor/index.js';
import { checkSameBackend } from '../../../tensor/tensor.js';
import { isFloat } from '../decoding/element_types.js';
import { HostValue, type Value } from '../decoding/host_value.js';
import type { GraphLookup } from '../graph/lookup.js';
import type { ValueInfo } from '../graph/nodes.js';

/** Describes the inputs of a model for messages: `'x' (float32 [N, 3, 224, 224])`. */
export const inputNames = (inputs: readonly ValueInfo[]): string =>
  inputs.map(({ name, type, shape }) => `'${name}' (${type} [${shape?.map((extent) => extent ?? '?') ?? '…'}])`).join(', ');

/**
 * Checks the type, the backend and the rank of a tensor for an input.
 *
 * @throws DTypeError, BackendError or ShapeError naming the input
 */
export function checkInput({ name, type, shape }: ValueInfo, given: Tensor, backend: Backend): void {
  const float = given.dtype === 'float32' || given.dtype === 'float64';
  if (float !== isFloat(type))
    throw new DTypeError(
      `input '${name}' is ${given.dtype}, expected ${isFloat(type) ? 'float32' : type === 'bool' ? 'uint8' : 'int32'} for ${type}`,
    );
  if (given.backend !== backend)
    throw new BackendError(`input '${name}' lives on the ${given.backend.name} backend, the model on ${backend.name}; move one of them`);
  if (shape && shape.length !== given.rank)
    throw new ShapeError(`input '${name}' has shape [${given.shape}], expected [${shape.map((extent) => extent ?? '?')}]`);
}

/**
 * Converts the tensors of `run` to values of the graph: floating-point types of up to 32 bits are tensors, other types are host values.
 *
 * @throws ValueError for names that are missing or unknown
 */
export async function acceptFeeds(
  inputs: readonly ValueInfo[],
  feeds: Readonly<Record<string, Tensor>>,
  backend: Backend,
): Promise<Map<string, Value>> {
  const unknown = Object.keys(feeds).find((name) => !inputs.some((info) => info.name === name));
  if (unknown !== undefined) throw new ValueError(`run: there is no input '${unknown}'; the inputs are ${inputNames(inputs)}`);
  const values = new Map<string, Value>();
  for (const info of inputs) {
    const given = feeds[info.name];
    if (!given) throw new ValueError(`run: input '${info.name}' is missing; the inputs are ${inputNames(inputs)}`);
    checkInput(info, given, backend);
    const onDevice = isFloat(info.type) && info.type !== 'float64';
    values.set(info.name, onDevice ? given : new HostValue(info.type, given.shape, await given.data()));
  }
  return values;
}

/** The parts of a model that determine its input. */
interface InputOwner {
  readonly inputs: readonly ValueInfo[];
  readonly lookup: GraphLookup;
  readonly weights: { readonly backend: Backend };
}

/** Checks the input of a model with one input, and returns it as a value of the graph. */
export function singleFeed({ inputs, lookup, weights }: InputOwner, x: Tensor): Map<string, Value> {
  if (inputs.length !== 1) throw new ValueError(`this model has ${inputs.length} inputs, ${inputNames(inputs)}: use run()`);
  const [info] = inputs;
  checkSameBackend('forward', x);
  // If the graph casts an integer input to floating point anyway, an image of floating-point type is used unchanged, so that gradients
  // with respect to it are available.
  const pixels = (x.dtype === 'float32' || x.dtype === 'float64') && !isFloat(info.type) && lookup.isOnlyCast(info.name);
  checkInput(pixels ? { ...info, type: 'float32' } : info, x, weights.backend);
  // Integers are computed on the host. A backend that cannot read synchronously keeps them until a node needs them there.
  const onDevice = pixels || isFloat(info.type) || !x.backend.capabilities.syncRead;
  return new Map([[info.name, onDevice ? x : new HostValue(info.type, x.shape, x.dataSync())]]);
}
