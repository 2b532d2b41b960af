/**
 * Shape inference: runs a graph on a backend that computes only shapes, together with the shape arithmetic on the host. It is used to
 * resolve `If` nodes while a model is loaded, and to find the shapes of values.
 */
import { shapesOnly } from '../../../nn/index.js';
import { noGrad, type Shape, zeros } from '../../../tensor/index.js';
import { isFloat } from '../decoding/element_types.js';
import { HostBudget, type HostValue, isHost, type Value } from '../decoding/host_value.js';
import { Call, needsHost } from '../operator.js';
import type { Constants, Node, ValueInfo } from './nodes.js';

/** Floating-point constants with more elements than this are weights, of which only the shape is used. */
const SMALL = 64;

/** The shapes of a graph's values for given input shapes. */
export class ShapePass {
  /** Values by name; null if neither shape nor elements are known, because they depend on the elements of the input. */
  private readonly values = new Map<string, Value | null>();
  private readonly backend = shapesOnly();
  private readonly budget = new HostBudget();

  constructor(
    private readonly constants: Constants,
    inputs: readonly ValueInfo[],
    shapes: ReadonlyMap<string, Shape>,
    /** Shapes of further constants, whose elements are not available. */
    weights: ReadonlyMap<string, Shape> = new Map(),
  ) {
    for (const [name, shape] of weights) this.values.set(name, zeros(shape, { backend: this.backend }));
    for (const { name } of inputs) {
      const shape = shapes.get(name);
      this.values.set(name, shape ? zeros(shape, { backend: this.backend }) : null);
    }
  }

  /** Runs one node. Run the nodes that it depends on first. */
  run(node: Node): void {
    const results = this.attempt(node);
    for (const [i, name] of node.outputs.entries()) if (name !== '') this.values.set(name, results?.[i] ?? null);
  }

  shape(name: string): Shape | undefined {
    return this.value(name)?.shape;
  }

  /** Returns a value whose elements are known. */
  host(name: string): HostValue | undefined {
    const value = this.value(name);
    return value && isHost(value) ? value : undefined;
  }

  private value(name: string): Value | null | undefined {
    const known = this.values.get(name);
    if (known !== undefined) return known;
    const constant = this.constants.get(name);
    if (!constant) return undefined;
    const value = isFloat(constant.type) && constant.size > SMALL ? zeros(constant.shape, { backend: this.backend }) : constant;
    this.values.set(name, value);
    return value;
  }

  private attempt(node: Node): readonly (Value | null)[] | null {
    const inputs = node.inputs.map((name) => (name === '' ? undefined : this.value(name)));
    // Tensors have no elements here, so a node that needs them on the host has an unknown result.
    if (inputs.some((value, slot) => value === null || (value && needsHost(node, slot, value)))) return null;
    try {
      const given = inputs.map((value) => value ?? undefined);
      const { backend } = this;
      const call = new Call({ node, inputs: given, backend, training: false, relu: false, constants: new Map() });
      return this.budget.during(() => noGrad(() => node.operator.run(call)));
    } catch {
      // Errors of the node are reported when the model runs.
      return null;
    }
  }
}

/** Returns the shape of an input with the free dimensions filled in: the first by `batch`, the others by `side`. */
export function filledShape({ shape }: ValueInfo, batch: number, side: number, freeBatch: boolean): Shape | undefined {
  return shape?.map((extent, axis) => {
    if (axis === 0 && (freeBatch || typeof extent !== 'number')) return batch;
    return typeof extent === 'number' ? extent : side;
  });
}
