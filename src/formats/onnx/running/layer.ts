/** One node of an imported graph as a layer. */
import { Module, type ReceptiveWindow } from '../../../nn/index.js';
import { type Shape, sizeOf, Tensor } from '../../../tensor/index.js';
import type { Value } from '../decoding/host_value.js';
import { OnnxError } from '../errors.js';
import type { Node } from '../graph/nodes.js';

/** A node as a layer, with its operator, its parameters and its receptive window. */
export class OnnxLayer extends Module {
  constructor(
    private readonly node: Node,
    private readonly learned: ReadonlyMap<string, Tensor>,
    private readonly compute: (x: Tensor) => readonly (Value | null)[],
  ) {
    super();
  }

  override get kind(): string {
    return this.node.type;
  }

  forward(x: Tensor): Tensor {
    const [y] = this.compute(x);
    if (!(y instanceof Tensor))
      throw new OnnxError(`onnx: node ${JSON.stringify(this.node.name)} (${this.node.type}) does not return a tensor`);
    return y;
  }

  override namedParameters(): [string, Tensor][] {
    return this.node.inputs.filter((name) => this.learned.has(name)).map((name) => [name, this.learned.get(name)!]);
  }

  override receptiveWindow(): ReceptiveWindow {
    const { receptiveWindow: window = 'global' } = this.node.operator;
    return typeof window === 'function' ? window(this.node.attributes, this.learned.get(this.node.inputs[1] ?? '')?.shape) : window;
  }
}

/** Returns the multiply-adds of convolutions and matrix products; 0 for other operators, whose number is negligible. */
export function multiplyAdds(layer: Module, output: Shape): number {
  const weights = layer.parameters()[0];
  if (layer.kind === 'Conv') return sizeOf(output) * (weights.size / weights.shape[0]);
  if (layer.kind === 'Gemm' || layer.kind === 'MatMul') return weights ? sizeOf(output) * (weights.size / (output.at(-1) ?? 1)) : 0;
  return 0;
}
