/**
 * A graph run without its numbers: shapes of all values, and the shape arithmetic that models do on the host. Tells while a
 * model is read which branch an `If` takes, and later what shape a value has. Nothing is computed on a real backend.
 */
import { shapesOnly } from '../../../nn/index.js';
import { noGrad, type Shape, Tensor, zeros } from '../../../tensor/index.js';
import { isFloat } from '../decoding/element_types.js';
import { type HostValue, isHost, type Value } from '../decoding/host_value.js';
import { Call } from '../operator.js';
import type { Constants, Node, ValueInfo } from './nodes.js';

/** Floating-point constants of more numbers than this are weights: only their shape matters. */
const SMALL = 64;

export class ShapePass {
  /** null: neither shape nor numbers are known, because they depend on the numbers of the input. */
  private readonly values = new Map<string, Value | null>();
  private readonly backend = shapesOnly();

  constructor(
    private readonly constants: Constants,
    inputs: readonly ValueInfo[],
    shapes: ReadonlyMap<string, Shape>,
    /** Shapes of further constants, whose numbers are not at hand. */
    weights: ReadonlyMap<string, Shape> = new Map(),
  ) {
    for (const [name, shape] of weights) this.values.set(name, zeros(shape, { backend: this.backend }));
    for (const { name } of inputs) {
      const shape = shapes.get(name);
      this.values.set(name, shape ? zeros(shape, { backend: this.backend }) : null);
    }
  }

  /** Runs one node; those that it depends on come before. */
  run(node: Node): void {
    const results = this.attempt(node);
    for (const [i, name] of node.outputs.entries()) if (name !== '') this.values.set(name, results?.[i] ?? null);
  }

  shape(name: string): Shape | undefined {
    return this.value(name)?.shape;
  }

  /** A value whose numbers are known. */
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
    if (inputs.some((value) => value === null)) return null;
    try {
      const given = inputs.map((value) => value ?? undefined);
      const { backend } = this;
      const call = new Call({ node, inputs: given, backend, training: false, relu: false, constants: new Map() });
      // A tensor of whole numbers would be looked at by the next node, and there are no numbers in it.
      return noGrad(() => node.operator.run(call)).map((value) => (value instanceof Tensor && value.dtype === 'int32' ? null : value));
    } catch {
      // Whatever is wrong with the node is reported where the model is run.
      return null;
    }
  }
}

/** The shape of an input with a number for each extent: `batch` for the first unless it is fixed, `side` for others that are free. */
export function filledShape({ shape }: ValueInfo, batch: number, side: number, freeBatch: boolean): Shape | undefined {
  return shape?.map((extent, axis) => {
    if (axis === 0 && (freeBatch || typeof extent !== 'number')) return batch;
    return typeof extent === 'number' ? extent : side;
  });
}
