/** `Parallel`, branches that compute from the same input, as in GoogLeNet. */
import { arrayOf, checkArgument, recordOf, rule } from '../../backend/validate.js';
import { concat, type Shape, ShapeError, type Tensor } from '../../tensor/index.js';
import { checkSameBackend } from '../../tensor/tensor.js';
import { Module, namingLayer, type ReceptiveWindow, type Structure } from '../module.js';
import { aModule } from '../rules.js';
import { total, unionOfWindows } from '../summary.js';

const BRANCHES = rule(
  'an array or an object of at least one module',
  (value) => (Array.isArray(value) ? arrayOf(aModule, 1) : recordOf(aModule)).test(value) && Object.keys(value as object).length > 0,
);

/**
 * Branches that compute from the same input, whose outputs are concatenated along the channels: the module of GoogLeNet (Szegedy et al.
 * 2014). ONNX `Concat` with axis 1. The receptive window is the smallest one that contains those of all branches.
 *
 * Exporters and other code that walks through networks read its parts from `structure()`.
 *
 * ```ts
 * new Parallel({ narrow: new Conv2d(8, 4, 1), wide: new Conv2d(8, 4, 3, { padding: 1 }) });   // [N, 8, H, W] to [N, 8, H, W]
 * ```
 *
 * @throws ShapeError in `forward` and `outputShape`, if the outputs differ in more than their channels
 */
export class Parallel extends Module {
  private readonly branches: readonly (readonly [string, Module])[];

  /** @param branches in the order of their channels; those of an array get the names '0', '1', … */
  constructor(branches: readonly Module[] | Readonly<Record<string, Module>>) {
    super();
    checkArgument('Parallel', 'branches', branches, BRANCHES);
    this.branches = Object.entries(branches);
  }

  override children(): [string, Module][] {
    return this.branches.map(([name, branch]) => [name, branch]);
  }

  override structure(): Structure {
    return { kind: 'branches', branches: this.branches, join: 'concat', activation: null };
  }

  /** @param x the input of every branch; the outputs have at least two axes */
  forward(x: Tensor): Tensor {
    checkSameBackend('Parallel', x);
    const outputs: Tensor[] = [];
    try {
      for (const [name, branch] of this.branches) outputs.push(namingLayer(name, () => branch.forward(x)));
      return concat(outputs, 1);
    } finally {
      for (const output of outputs) if (output !== x) output.release('the next layer');
    }
  }

  override outputShape(input: Shape): Shape | null {
    const shapes = this.branches.map(([name, branch]) => namingLayer(name, () => branch.outputShape(input)));
    if (shapes.includes(null)) return null;
    const [first, ...rest] = shapes as Shape[];
    for (const shape of rest)
      if (shape.length !== first.length || first.length < 2 || shape.some((extent, axis) => axis !== 1 && extent !== first[axis]))
        throw new ShapeError(
          `Parallel: branches have the output shapes [${first}] and [${shape}], expected shapes that differ in axis 1 alone`,
        );
    return first.with(
      1,
      (shapes as Shape[]).reduce((sum, shape) => sum + shape[1], 0),
    );
  }

  override receptiveWindow(): ReceptiveWindow | null {
    return unionOfWindows(this.branches.map(([, branch]) => branch.receptiveWindow()));
  }

  override multiplyAdds(input: Shape): number | null {
    return total(this.branches.map(([, branch]) => branch.multiplyAdds(input)));
  }
}
