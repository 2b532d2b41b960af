/** Branches whose layers have no prefix in the state, as in torchvision's Inception v3. */
import { concat, type Shape, type Tensor } from '../../tensor/index.js';
import { Parallel } from '../containers/parallel.js';
import { Module, type ReceptiveWindow, type Structure } from '../module.js';

/** As `Parallel`, but in the state each layer of a branch has its own name, such as `branch5x5_1`, without the name of the branch. */
export class Branches extends Module {
  private readonly inner: Parallel;

  constructor(private readonly branches: readonly Module[]) {
    super();
    this.inner = new Parallel(branches);
  }

  override children(): [string, Module][] {
    return this.branches.flatMap((branch) =>
      branch.children().flatMap(([name, child]): [string, Module][] => (name === '' ? child.children() : [[name, child]])),
    );
  }

  override train(on = true): this {
    for (const branch of this.branches) {
      branch.train(on);
      for (const [name, child] of branch.children()) if (name === '') child.train(on);
    }
    return super.train(on);
  }

  override structure(): Structure {
    return { kind: 'branches', branches: this.branches.map((branch) => ['', branch] as const), join: 'concat', activation: null };
  }

  /** @param x the input of every branch */
  forward(x: Tensor): Tensor {
    const outputs = this.branches.map((branch) => branch.forward(x));
    const y = concat(outputs, 1);
    for (const output of outputs) output.release('the next layer');
    return y;
  }

  override outputShape(input: Shape): Shape | null {
    return this.inner.outputShape(input);
  }

  override receptiveWindow(): ReceptiveWindow | null {
    return this.inner.receptiveWindow();
  }

  override multiplyAdds(input: Shape): number | null {
    return this.inner.multiplyAdds(input);
  }
}
