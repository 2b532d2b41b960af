/**
 * Computes values of a graph node by node. Intermediate values are released after their last use, and a ReLU that follows a convolution
 * is fused into its kernel.
 *
 * Some operators need the elements of a tensor on the host. The computation is a generator that asks for these elements, so that the same
 * code reads synchronously for `forward` and asynchronously for `run`.
 */
import { inLayer } from '../../../tensor/graph/spans.js';
import {
  BackendError,
  DTypeError,
  noGrad,
  reshape,
  ShapeError,
  scope,
  Tensor,
  type TypedArray,
  ValueError,
} from '../../../tensor/index.js';
import { HostValue, isHost, typeOf, type Value } from '../decoding/host_value.js';
import type { Graph } from '../graph/graph.js';
import { type Node, neededFor } from '../graph/nodes.js';
import { Call, needsHost } from '../operator.js';
import { RunValues } from './run_values.js';
import type { ModelWeights } from './weights.js';

/** How a graph is run. */
export interface RunMode {
  /** Whether the model is in training mode. */
  training: boolean;
  /** Whether operations are recorded for a backward pass, unless the caller is inside `noGrad`. */
  record: boolean;
}

/** A tensor whose elements a node needs on the host. */
export interface ReadRequest {
  tensor: Tensor;
  node: Node;
  /** Name of the value. */
  name: string;
}

/** A computation that asks for the elements of tensors and continues when it receives them. */
export type Steps<T> = Generator<ReadRequest, T, TypedArray>;

/** Runs a computation to its end and reads tensors synchronously. @throws BackendError if the backend cannot */
export function completeSync<T>(steps: Steps<T>): T {
  let step = steps.next();
  while (!step.done) {
    let data: TypedArray;
    try {
      data = readSync(step.value);
    } catch (error) {
      step = steps.throw(error);
      continue;
    }
    step = steps.next(data);
  }
  return step.value;
}

function readSync({ tensor, node, name }: ReadRequest): TypedArray {
  try {
    return tensor.dataSync();
  } catch (error) {
    if (!(error instanceof BackendError)) throw error;
    throw new BackendError(
      `onnx: node ${JSON.stringify(node.name)} (${node.type}) needs the elements of ${JSON.stringify(name)}, which the ${tensor.backend.name} backend reads asynchronously only; use await model.run({ … })`,
      { cause: error },
    );
  }
}

/** Runs a computation to its end and reads tensors asynchronously. */
export async function complete<T>(steps: Steps<T>): Promise<T> {
  let step = steps.next();
  while (!step.done) {
    let data: TypedArray;
    try {
      data = await step.value.tensor.data();
    } catch (error) {
      step = steps.throw(error);
      continue;
    }
    step = steps.next(data);
  }
  return step.value;
}

/** Runs the nodes of a graph with the weights of a model. */
export class Execution {
  constructor(
    private readonly graph: Pick<Graph, 'nodes' | 'consumers' | 'outputs'>,
    private readonly weights: ModelWeights,
  ) {}

  /** Computes the wanted values, and only the nodes that they depend on. */
  *compute(feeds: ReadonlyMap<string, Value>, wanted: readonly string[], mode: RunMode): Steps<Record<string, Tensor>> {
    const plan = neededFor(wanted, this.graph.nodes);
    const { fixed, learned, backend } = this.weights;
    const values = new RunValues([...fixed, ...learned, ...feeds], plan, wanted);
    const fused = new Set<Node>();
    try {
      for (const node of plan) {
        if (!fused.has(node)) {
          const relu = this.fusableRelu(node, values);
          const results = yield* this.node(node, values, mode, relu !== null);
          if (relu) fused.add(relu);
          for (const [i, name] of (relu ?? node).outputs.entries()) values.hold(name, results[i]);
        }
        values.releaseInputsOf(node);
      }
      return Object.fromEntries(wanted.map((name) => [name, values.output(name, backend)]));
    } catch (error) {
      values.releaseAll();
      throw error;
    }
  }

  /** Runs one node. */
  *node(node: Node, values: RunValues, mode: RunMode, relu = false): Steps<readonly (Value | null)[]> {
    const inputs: (Value | undefined)[] = [];
    for (const [slot, name] of node.inputs.entries()) {
      const value = name === '' ? undefined : values.get(name);
      inputs.push(value && needsHost(node, slot, value) ? yield* hostCopy(node, name, value, values) : value);
    }
    const { backend, constants } = this.weights;
    const call = new Call({ node, inputs, backend, training: mode.training, relu, constants });
    const run = () => ownResults(node.operator.run(call), inputs);
    try {
      return values.budget.during(() => inLayer(node.name, () => (mode.record ? scope(run) : noGrad(run))));
    } catch (error) {
      throw naming(node, error);
    }
  }

  /** Returns the ReLU that can be fused into this node, because it is the only user of its output; otherwise null. */
  private fusableRelu(node: Node, values: RunValues): Node | null {
    const [output] = node.outputs;
    if (!node.operator.fusesRelu || values.isWanted(output)) return null;
    const following = this.graph.consumers.get(output) ?? [];
    const [only] = following;
    if (following.length !== 1 || only.type !== 'Relu' || this.graph.outputs.some(({ name }) => name === output)) return null;
    return only;
  }
}

/** Returns the elements of a tensor as a host value. They are read once per run. */
function* hostCopy(node: Node, name: string, value: Value, values: RunValues): Steps<HostValue> {
  if (isHost(value)) return value;
  const known = values.copies.get(name);
  if (known) return known;
  const copy = new HostValue(typeOf(value), value.shape, yield { tensor: value, node, name });
  values.copies.set(name, copy);
  return copy;
}

/** Replaces a result that is an input of the node by another tensor with the same buffer, because both are released separately. */
function ownResults(results: readonly (Value | null)[], inputs: readonly (Value | undefined)[]): readonly (Value | null)[] {
  return results.map((result) => (result instanceof Tensor && inputs.includes(result) ? reshape(result, result.shape) : result));
}

/** Prefixes the message of an error with the node that caused it. */
function naming(node: Node, error: unknown): unknown {
  const message = (inner: Error) => `onnx: node ${JSON.stringify(node.name)} (${node.type}): ${inner.message}`;
  for (const Kind of [ShapeError, DTypeError, ValueError]) if (error instanceof Kind) return new Kind(message(error), { cause: error });
  return error;
}
