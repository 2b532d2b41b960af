/** Stochastic gradient descent with momentum, and the paper's rule for filters that grow too large. */
import {
  arrayOf,
  boolean,
  checkArgument,
  checkOptions,
  finite,
  isTypedArray,
  positive,
  type Rule,
  rule,
  show,
} from '../../backend/validate.js';
import { span, Tensor, type TypedArray, ValueError, zeros } from '../../tensor/index.js';

export interface SgdOptions {
  /** Learning rate. The paper starts at 10⁻². */
  lr: number;
  /** Default 0; the paper's is 0.9. */
  momentum?: number;
  dampening?: number;
  /** Added to the gradient as weightDecay · w. Default 0. */
  weightDecay?: number;
  nesterov?: boolean;
  /**
   * After each update every convolution filter whose root mean square exceeds this is scaled back to it (paper, section 3:
   * 0.1). Default: no limit.
   */
  maxFilterRms?: number;
}

const SGD_RULES = {
  lr: positive,
  momentum: rule('a number from 0 to below 1', (value) => typeof value === 'number' && value >= 0 && value < 1),
  dampening: finite(),
  weightDecay: finite(0),
  nesterov: boolean,
  maxFilterRms: positive,
};
const rateRule: Rule = finite(0);
const velocitiesRule = arrayOf(rule('null or a typed array', (value) => value == null || isTypedArray(value)));

/** PyTorch's `SGD`: v = momentum · v + (1 − dampening) · g, w −= lr · v; the first step sets v = g. */
export class SGD {
  /** May be changed at any time; schedulers do. */
  lr: number;
  private readonly velocities = new Map<Tensor, Tensor>();

  constructor(
    readonly parameters: readonly Tensor[],
    private readonly options: SgdOptions,
  ) {
    if (!Array.isArray(parameters) || !parameters.every((each) => each instanceof Tensor))
      throw new ValueError(`SGD: parameters are ${show(parameters)}, expected an array of tensors; pass model.parameters()`);
    checkOptions('SGD', options ?? null, SGD_RULES);
    checkArgument('SGD', 'lr', options.lr, SGD_RULES.lr);
    this.lr = options.lr;
    if (options.nesterov && (!options.momentum || options.dampening))
      throw new ValueError('SGD: nesterov needs a momentum and no dampening');
  }

  /** Changes every parameter that has a gradient. */
  step(): void {
    checkArgument('SGD', 'lr', this.lr, rateRule);
    span('SGD', () => this.update());
  }

  private update(): void {
    const { momentum = 0, dampening = 0, weightDecay = 0, nesterov = false, maxFilterRms } = this.options;
    for (const w of this.parameters) {
      if (!w.grad) continue;
      const first = !this.velocities.has(w);
      const v = momentum > 0 ? this.velocity(w) : null;
      w.backend.sgd(w.writable, v ? v.writable : null, w.grad.storage, { lr: this.lr, momentum, dampening, weightDecay, nesterov, first });
      if (maxFilterRms !== undefined && w.rank === 4) w.backend.clipRms(w.writable, w.shape[0], w.size / w.shape[0], maxFilterRms);
    }
  }

  /** Drops all gradients. */
  zeroGrad(): void {
    for (const w of this.parameters) {
      w.grad?.dispose();
      w.grad = null;
    }
  }

  /** Velocities in the order of the parameters; null where none has formed yet. */
  stateDict(): { lr: number; velocities: (TypedArray | null)[] } {
    return { lr: this.lr, velocities: this.parameters.map((w) => this.velocities.get(w)?.dataSync() ?? null) };
  }

  loadStateDict(state: { lr: number; velocities: readonly (TypedArray | null)[] }): void {
    checkArgument('SGD.loadStateDict', 'lr', state?.lr, rateRule);
    checkArgument('SGD.loadStateDict', 'velocities', state.velocities, velocitiesRule);
    if (state.velocities.length !== this.parameters.length) {
      throw new ValueError(`SGD: the state has ${state.velocities.length} velocities, expected ${this.parameters.length}`);
    }
    state.velocities.forEach((saved, i) => {
      const { size } = this.parameters[i];
      if (saved && saved.length !== size) throw new ValueError(`SGD: velocity ${i} has ${saved.length} numbers, expected ${size}`);
    });
    this.lr = state.lr;
    this.parameters.forEach((w, i) => {
      const saved = state.velocities[i];
      if (saved) this.velocity(w).set(saved);
    });
  }

  /** Gives the velocities' memory back. */
  dispose(): void {
    for (const v of this.velocities.values()) v.dispose();
    this.velocities.clear();
  }

  private velocity(w: Tensor): Tensor {
    let v = this.velocities.get(w);
    if (!v) {
      v = zeros(w.shape, { dtype: w.dtype, backend: w.backend }).keep();
      this.velocities.set(w, v);
    }
    return v;
  }
}
