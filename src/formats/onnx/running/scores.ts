/**
 * Finds out whether the output of a classifier contains scores before or after a softmax or sigmoid. It follows the graph from the output
 * back through nodes that change only the shape or the type, to a softmax, log-softmax or sigmoid, which may be one operator or several
 * elementary ones.
 */
import type { Shape } from '../../../tensor/index.js';
import { isFloat } from '../decoding/element_types.js';
import type { HostValue } from '../decoding/host_value.js';
import type { Node } from '../graph/nodes.js';

/**
 * How an output becomes probabilities:
 * - `softmax`, `log-softmax`: the graph computes the (log-)probabilities of exclusive classes
 * - `sigmoid`: the graph computes the probabilities of independent classes
 * - `none`: the output contains scores, to which a softmax is applied
 * - `sigmoid-logits`: the output contains scores, to which a sigmoid is applied
 */
export const SCORES = ['softmax', 'log-softmax', 'sigmoid', 'none', 'sigmoid-logits'] as const;
/** Name of the function that the outputs of a classifier have passed, or still have to pass, to become probabilities. */
export type Scores = (typeof SCORES)[number];

/** The access to a graph that this file needs. */
export interface GraphView {
  /** Returns the node that computes a value. */
  maker(name: string): Node | undefined;
  /** Returns a constant whose elements are available. */
  constant(name: string): HostValue | undefined;
  /** Returns the shape of a value for a batch of images, or undefined if it is unknown. */
  shape(name: string): Shape | undefined;
}

/** The final function of a graph. */
export interface Ending {
  /** The final function; `none` if it is neither softmax nor sigmoid. */
  kind: 'softmax' | 'log-softmax' | 'sigmoid' | 'none';
  /** Name of the value that is the input of this function; for `none` the output itself, before nodes that only change its shape. */
  scores: string;
  /** Whether `scores` already contains probabilities, because the function is a `HardSigmoid`, which has no inverse. */
  applied: boolean;
}

/** Finds the final function that computes a value of the graph. */
export function endingOf(view: GraphView, output: string): Ending {
  const end = new Reader(view).ending(output);
  return end ?? { kind: 'none', scores: new Reader(view).plain(output, false), applied: false };
}

/** A `Clip` of probabilities is ignored if its bounds are within this distance of 0 and 1. */
const CLIPPED = 1e-3;
/** Maximum number of consecutive neutral nodes, which limits the time for hostile graphs. */
const MOST_NODES = 1000;

/** Matches patterns of nodes in a graph. */
class Reader {
  constructor(private readonly view: GraphView) {}

  ending(output: string): Ending | null {
    const name = this.plain(output, true);
    const node = this.view.maker(name);
    if (!node) return null;
    const softmax = this.softmax(node);
    if (softmax !== null) return this.found('softmax', softmax);
    const logSoftmax = this.logSoftmax(node);
    if (logSoftmax !== null) return this.found('log-softmax', logSoftmax);
    const sigmoid = this.sigmoid(node);
    if (sigmoid !== null) return this.found('sigmoid', sigmoid);
    return node.type === 'HardSigmoid' ? { kind: 'sigmoid', scores: name, applied: true } : null;
  }

  private found(kind: Ending['kind'], scores: string): Ending {
    return { kind, scores: this.plain(scores, false), applied: false };
  }

  /** Follows nodes that keep all elements in order (with `clipped` also a Clip to [0, 1]) back to the value that they copy. */
  plain(output: string, clipped: boolean): string {
    let name = output;
    for (let i = 0; i < MOST_NODES; i++) {
      const node = this.view.maker(name);
      if (!node || name !== node.outputs[0] || !this.isNeutral(node, clipped)) return name;
      name = node.inputs[0];
    }
    return name;
  }

  private isNeutral(node: Node, clipped: boolean): boolean {
    const { type, inputs, outputs, attributes } = node;
    if (type === 'Identity' || type === 'Dropout') return true;
    if (type === 'Cast') return [1, 10, 11, 16].includes(attributes.int('to', 0));
    if (type === 'Clip') {
      const low = this.number(inputs[1]) ?? attributes.float('min') ?? Number.NEGATIVE_INFINITY;
      const high = this.number(inputs[2]) ?? attributes.float('max') ?? Number.POSITIVE_INFINITY;
      return clipped && low <= CLIPPED && high >= 1 - CLIPPED;
    }
    const [from, to] = [this.view.shape(inputs[0]), this.view.shape(outputs[0])];
    const extents = (shape: Shape) => shape.filter((extent) => extent !== 1).join();
    if (type === 'Reshape' || type === 'Flatten' || type === 'Squeeze' || type === 'Unsqueeze')
      return !from || !to || extents(from) === extents(to);
    if (type !== 'Transpose' || !from) return false;
    const order = attributes.ints('perm') ?? from.map((_, axis) => from.length - 1 - axis);
    const moved = order.filter((axis) => from[axis] !== 1);
    return moved.every((axis, i) => i === 0 || axis > moved[i - 1]);
  }

  /** Returns the node that computes a value, before neutral nodes, if it has this type. */
  private node(name: string | undefined, type: string): Node | null {
    const node = this.view.maker(this.plain(name ?? '', false));
    return node?.type === type ? node : null;
  }

  private number(name: string | undefined): number | undefined {
    const value = this.view.constant(this.plain(name ?? '', false));
    return value?.size === 1 ? value.data[0] : undefined;
  }

  private isNumber(name: string | undefined, number: number): boolean {
    return this.number(name) === number;
  }

  private same(a: string | undefined, b: string | undefined): boolean {
    return this.plain(a ?? '', false) === this.plain(b ?? '', false);
  }

  /** Matches Softmax(z), exp(log-softmax(z)) and exp(z) / sum(exp(z)); returns the value z or null. */
  private softmax(node: Node): string | null {
    if (node.type === 'Softmax') return this.alongClasses(node) ? node.inputs[0] : null;
    if (node.type === 'Exp') {
      const inner = this.view.maker(this.plain(node.inputs[0], false));
      return inner ? this.logSoftmax(inner) : null;
    }
    const [exponential, total] = node.inputs;
    if (node.type === 'Div') return this.normalised(exponential, total);
    if (node.type !== 'Mul') return null;
    const inverse = (name: string) => this.node(name, 'Reciprocal')?.inputs[0];
    return this.normalised(exponential, inverse(total)) ?? this.normalised(total, inverse(exponential));
  }

  private normalised(exponential: string, total: string | undefined): string | null {
    const exp = this.node(exponential, 'Exp');
    const sum = this.node(total, 'ReduceSum');
    return exp && sum && this.same(sum.inputs[0], exp.outputs[0]) ? this.unshifted(exp.inputs[0]) : null;
  }

  /** Matches LogSoftmax(z), log(softmax(z)) and z − log(sum(exp(z))); returns the value z or null. */
  private logSoftmax(node: Node): string | null {
    if (node.type === 'LogSoftmax') return this.alongClasses(node) ? node.inputs[0] : null;
    if (node.type === 'Log') {
      const inner = this.view.maker(this.plain(node.inputs[0], true));
      return inner ? this.softmax(inner) : null;
    }
    if (node.type !== 'Sub') return null;
    const sum = this.node(this.node(node.inputs[1], 'Log')?.inputs[0], 'ReduceSum');
    const exp = this.node(sum?.inputs[0], 'Exp');
    return exp && this.same(exp.inputs[0], node.inputs[0]) ? this.unshifted(exp.inputs[0]) : null;
  }

  /** Returns z for a value z − max(z), and any other value unchanged. */
  private unshifted(name: string): string {
    const difference = this.node(name, 'Sub');
    const most = this.node(difference?.inputs[1], 'ReduceMax');
    return difference && most && this.same(most.inputs[0], difference.inputs[0]) ? difference.inputs[0] : name;
  }

  /** Matches Sigmoid(z), 1 / (1 + exp(−z)) and (1 + tanh(z / 2)) / 2; returns the value z or null. */
  private sigmoid(node: Node): string | null {
    if (node.type === 'Sigmoid') return node.inputs[0];
    const sum =
      node.type === 'Reciprocal'
        ? this.node(node.inputs[0], 'Add')
        : node.type === 'Div' && this.isNumber(node.inputs[0], 1)
          ? this.node(node.inputs[1], 'Add')
          : null;
    const exp = sum && this.node(this.besides(sum, 1), 'Exp');
    if (exp) {
      const negative = this.node(exp.inputs[0], 'Neg');
      const product = this.node(exp.inputs[0], 'Mul');
      return negative?.inputs[0] ?? (product && this.besides(product, -1)) ?? null;
    }
    const half = node.type === 'Mul' ? this.node(this.besides(node, 0.5), 'Add') : null;
    const tanh = half && this.node(this.besides(half, 1), 'Tanh');
    const argument = tanh && this.node(tanh.inputs[0], 'Mul');
    return (argument && this.besides(argument, 0.5)) ?? null;
  }

  /** Returns the other operand of an operator if one operand is `constant`; otherwise undefined. */
  private besides({ inputs: [a, b] }: Node, constant: number): string | undefined {
    if (this.isNumber(b, constant)) return a;
    return this.isNumber(a, constant) ? b : undefined;
  }

  /** Whether a softmax is computed over all classes of an image; over another axis, its results are not class probabilities. */
  private alongClasses({ inputs, attributes, opset }: Node): boolean {
    const shape = this.view.shape(inputs[0]);
    if (!shape || shape.length === 0) return true;
    const given = attributes.int('axis', opset < 13 ? 1 : -1);
    const axis = given < 0 ? given + shape.length : given;
    const size = (list: readonly number[]) => list.reduce((product, extent) => product * extent, 1);
    const covered = opset < 13 ? size(shape.slice(axis)) : shape[axis];
    // With a single axis, the batch axis was removed, and the axis contains the classes.
    return covered === size(shape.length === 1 ? shape : shape.slice(1));
  }
}

/**
 * Returns the number of values per image if a value can be class scores (floating point, one row per image), 0 if it cannot, and null if
 * its shape is unknown.
 */
export function classCount(view: GraphView, output: string, batch: number): number | null {
  const maker = view.maker(output);
  if (maker?.type === 'ArgMax' || (maker?.type === 'Cast' && ![1, 10, 11, 16].includes(maker.attributes.int('to', 0)))) return 0;
  const constant = view.constant(output);
  if (constant && !isFloat(constant.type)) return 0;
  const shape = view.shape(output);
  if (!shape) return null;
  const many = shape.filter((extent) => extent !== 1);
  if (batch === 1) return many.length > 1 ? 0 : (many[0] ?? 1);
  if (shape[0] !== batch) return 0;
  return many.length > 2 ? 0 : (many[1] ?? 1);
}
