/**
 * Detects local response normalisation that is expressed in elementary operators, as PyTorch exports it, and replaces it by one `LRN`
 * node, so that the deconvnet rule for normalisation applies. The pattern is input / (k + alpha · mean of squares) ^ beta, where the
 * squares are padded and averaged over neighbouring channels by an `AveragePool` with kernel [size, 1, 1] on [N, 1, C, H, W].
 */
import { Attributes } from '../decoding/attributes.js';
import type { AttributeProto, NodeProto } from '../decoding/schema.js';
import { OPERATORS } from '../ops/index.js';
import { type Constants, type Node, neededFor, type ValueInfo } from './nodes.js';
import { filledShape, ShapePass } from './shape_pass.js';

interface Context {
  inputs: readonly ValueInfo[];
  outputs: readonly ValueInfo[];
  constants: Constants;
  freeBatch: boolean;
}

interface Lrn {
  input: string;
  size: number;
  alpha: number;
  beta: number;
  k: number;
}

/**
 * Returns the nodes with every detected normalisation replaced by an `LRN` node.
 *
 * @param nodes in the order of computation
 */
export function withLrn(nodes: readonly Node[], context: Context): readonly Node[] {
  const pools = nodes.filter(({ type, attributes }) => type === 'AveragePool' && attributes.ints('kernel_shape')?.length === 3);
  if (pools.length === 0) return nodes;
  const found = new Map<Node, Lrn>();
  const search = new Search(nodes, context);
  for (const node of nodes) {
    const lrn = node.type === 'Div' ? search.lrnOf(node) : null;
    if (lrn) found.set(node, lrn);
  }
  if (found.size === 0) return nodes;
  const replaced = nodes.map((node) => {
    const lrn = found.get(node);
    return lrn ? lrnNode(node, lrn) : node;
  });
  // Remove the nodes that only the elementary form needed.
  const before = new Set(neededFor(namesOf(context.outputs), nodes));
  const after = new Set(neededFor(namesOf(context.outputs), replaced));
  return replaced.filter((node) => after.has(node) || !before.has(node));
}

const namesOf = (infos: readonly ValueInfo[]): string[] => infos.map(({ name }) => name);

function lrnNode(node: Node, { input, size, alpha, beta, k }: Lrn): Node {
  const blank: AttributeProto = { floats: new Uint8Array(0), ints: [], strings: [] };
  const attribute = [
    { ...blank, name: 'size', i: size },
    { ...blank, name: 'alpha', f: alpha },
    { ...blank, name: 'beta', f: beta },
    { ...blank, name: 'bias', f: k },
  ];
  const proto: NodeProto = { opType: 'LRN', name: node.name, input: [input], output: [...node.outputs], attribute };
  const operator = OPERATORS[''].LRN;
  return { ...node, type: 'LRN', operator, inputs: [input], attributes: new Attributes(proto, new Map()) };
}

/** Operators between the parts of the pattern that only change the shape or the type. */
const RESHAPING = new Set(['Reshape', 'Squeeze', 'Unsqueeze', 'Identity', 'Flatten', 'Cast']);

/** Searches a graph for the pattern, with the shapes of its values. */
class Search {
  private readonly makers = new Map<string, Node>();
  private readonly pass: ShapePass;

  constructor(nodes: readonly Node[], { inputs, constants, freeBatch }: Context) {
    const shapes = inputs.flatMap((info) => {
      const shape = filledShape(info, freeBatch ? 2 : 1, 224, freeBatch);
      return shape ? [[info.name, shape] as const] : [];
    });
    this.pass = new ShapePass(constants, inputs, new Map(shapes));
    for (const node of nodes) {
      this.pass.run(node);
      for (const output of node.outputs) this.makers.set(output, node);
    }
  }

  /** Returns the parameters of the LRN that a `Div` node computes, x / (k + alpha · mean over channels of x²) ^ beta, or null. */
  lrnOf(div: Node): Lrn | null {
    const [input, divisor] = div.inputs;
    const power = this.maker(divisor, 'Pow');
    const beta = this.number(power?.inputs[1]);
    const sum = this.withConstant(power?.inputs[0], 'Add');
    const product = sum && this.withConstant(sum.other, 'Mul');
    if (beta === null || !sum || !product) return null;
    const shape = this.pass.shape(input);
    if (shape?.length !== 4 || String(this.pass.shape(product.other)) !== String(shape)) return null;
    const pool = this.beforeReshapes(product.other);
    const size = pool && channelWindow(pool);
    if (!pool || !size) return null;
    const start = this.padded(pool.inputs[0], shape, size);
    return start !== null && this.isSquare(start, input) ? { input, size, alpha: product.constant, beta, k: sum.constant } : null;
  }

  private maker(name: string | undefined, type: string): Node | null {
    const node = this.makers.get(name ?? '');
    return node?.type === type ? node : null;
  }

  /** Returns a scalar that is known while the model is loaded, or null. */
  private number(name: string | undefined): number | null {
    const value = this.pass.host(name ?? '');
    return value?.size === 1 ? value.data[0] : null;
  }

  private withConstant(name: string | undefined, type: string): { other: string; constant: number } | null {
    const node = this.maker(name, type);
    if (!node) return null;
    const [a, b] = node.inputs;
    const [left, right] = [this.number(a), this.number(b)];
    if (right !== null) return { other: a, constant: right };
    return left === null ? null : { other: b, constant: left };
  }

  private beforeReshapes(name: string): Node | null {
    let node = this.makers.get(name);
    while (node && RESHAPING.has(node.type)) node = this.makers.get(node.inputs[0]);
    return node ?? null;
  }

  /** Returns the value that was padded with zeros along the channels, as an LRN with this window size requires; null for other padding. */
  private padded(name: string, [n, c, h, w]: readonly number[], size: number): string | null {
    if (String(this.pass.shape(name)) !== String([n, 1, c + size - 1, h, w])) return null;
    const before = [0, 0, 0, 0, 0];
    for (let at = name; ; ) {
      const node = this.makers.get(at);
      if (!node) return null;
      if (node.type !== 'Pad') return before.join() === [0, 0, Math.floor((size - 1) / 2), 0, 0].join() ? at : null;
      const pads = this.pass.host(node.inputs[1] ?? '')?.data ?? node.attributes.ints('pads');
      const value = (node.inputs[2] ? this.number(node.inputs[2]) : node.attributes.float('value', 0)) ?? Number.NaN;
      if (pads?.length !== 10 || node.attributes.string('mode', 'constant') !== 'constant' || value !== 0 || node.inputs[3]) return null;
      for (let axis = 0; axis < 5; axis++) before[axis] += pads[axis];
      at = node.inputs[0];
    }
  }

  private isSquare(name: string, of: string): boolean {
    const node = this.beforeReshapes(name);
    if (node?.type === 'Mul') return node.inputs[0] === of && node.inputs[1] === of;
    return node?.type === 'Pow' && node.inputs[0] === of && this.number(node.inputs[1]) === 2;
  }
}

/** Returns the window size of an average pooling over channels only, with stride 1; null for other nodes. */
function channelWindow({ type, attributes }: Node): number | null {
  const kernel = attributes.ints('kernel_shape') ?? [];
  const plain =
    type === 'AveragePool' &&
    kernel.length === 3 &&
    kernel[1] === 1 &&
    kernel[2] === 1 &&
    (attributes.ints('strides') ?? []).every((stride) => stride === 1) &&
    (attributes.ints('dilations') ?? []).every((dilation) => dilation === 1) &&
    (attributes.ints('pads') ?? []).every((pad) => pad === 0) &&
    attributes.string('auto_pad', 'NOTSET') !== 'SAME_UPPER' &&
    attributes.string('auto_pad', 'NOTSET') !== 'SAME_LOWER';
  return plain ? kernel[0] : null;
}
