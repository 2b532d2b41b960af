/** The values of one run of a graph: which exist, which are still needed, and how much memory those on the host take. */
import { type Backend, reshape, Tensor } from '../../../tensor/index.js';
import { HostBudget, type HostValue, isHost, toTensor, type Value } from '../decoding/host_value.js';
import { OnnxError } from '../errors.js';
import type { Node } from '../graph/nodes.js';

/** Values by name. A value is released when the last node that uses it has run, unless it is wanted or was given. */
export class RunValues {
  readonly budget = new HostBudget();
  /** Elements of tensors that were read to the host, by the name of the value. */
  readonly copies = new Map<string, HostValue>();
  private readonly values: Map<string, Value>;
  private readonly given: ReadonlySet<Value>;
  private readonly wanted: ReadonlySet<string>;
  /** For each value, the number of nodes that still use it. */
  private readonly uses = new Map<string, number>();

  /**
   * @param given inputs, parameters and constants, which are not released
   * @param plan the nodes that will run
   */
  constructor(given: Iterable<readonly [string, Value]>, plan: readonly Node[], wanted: readonly string[]) {
    this.values = new Map(given);
    this.given = new Set(this.values.values());
    this.wanted = new Set(wanted);
    for (const { inputs } of plan) for (const name of inputs) this.uses.set(name, (this.uses.get(name) ?? 0) + 1);
  }

  get(name: string): Value | undefined {
    return this.values.get(name);
  }

  isWanted(name: string): boolean {
    return this.wanted.has(name);
  }

  /** Stores a result of a node, or frees it if neither a node nor the caller needs it. */
  hold(name: string, value: Value | null | undefined): void {
    if (!value) return;
    if (name === '' || (!this.wanted.has(name) && !this.uses.has(name))) {
      if (value instanceof Tensor) value.release('the next node');
      return;
    }
    this.values.set(name, value);
    if (isHost(value)) this.budget.hold(value);
  }

  /** Releases the inputs of a node that has run, as far as no other node needs them. */
  releaseInputsOf(node: Node): void {
    for (const name of node.inputs) {
      const left = (this.uses.get(name) ?? 1) - 1;
      this.uses.set(name, left);
      if (left <= 0 && !this.wanted.has(name)) this.release(name);
    }
  }

  /** Releases all results, after a failure. */
  releaseAll(): void {
    for (const name of [...this.values.keys()]) this.release(name);
  }

  /** Returns a wanted value as a tensor, which the caller disposes of. */
  output(name: string, backend: Backend): Tensor {
    const value = this.values.get(name);
    if (!value) throw new OnnxError(`onnx: ${JSON.stringify(name)} is an optional output that its node did not compute`);
    if (isHost(value)) return toTensor(value, backend, `output ${JSON.stringify(name)}`);
    // If an input or a weight is also an output, return another tensor with the same buffer, which the caller may dispose.
    return this.given.has(value) ? reshape(value, value.shape) : value;
  }

  private release(name: string): void {
    this.copies.delete(name);
    const value = this.values.get(name);
    if (!value || this.given.has(value)) return;
    if (value instanceof Tensor) value.release('the next node');
    else this.budget.release(value);
    this.values.delete(name);
  }
}
