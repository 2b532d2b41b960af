/** Stochastic gradient descent with momentum, and the paper's limit on the root mean square of convolution filters. */
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

/** Options of `SGD`. */
export interface SgdOptions {
  /** Learning rate. The paper starts at 10⁻². */
  lr: number;
  /** Default 0; 0.9 in the paper. */
  momentum?: number;
  /** Default 0. */
  dampening?: number;
  /** L2 penalty: weightDecay · w is added to the gradient. Default 0. */
  weightDecay?: number;
  /** Nesterov momentum. Default false. */
  nesterov?: boolean;
  /**
   * Limit on the root mean square of each convolution filter: after an update, filters above the limit are scaled down to it (0.1 in
   * section 3 of the paper). Default: no limit.
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

/**
 * Stochastic gradient descent, as PyTorch `SGD`: v = momentum · v + (1 − dampening) · g, then w −= lr · v. The first step sets v = g.
 *
 * ```ts
 * const optimizer = new SGD(model.parameters(), { lr: 0.01, momentum: 0.9 });
 * crossEntropy(model.forward(images), labels).backward();
 * optimizer.step();
 * optimizer.zeroGrad();
 * ```
 */
export class SGD {
  /** Current learning rate. It may be changed between steps; schedulers do so. */
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

  /** Updates every parameter that has a gradient. */
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

  /** Disposes of all gradients. */
  zeroGrad(): void {
    for (const w of this.parameters) {
      w.grad?.dispose();
      w.grad = null;
    }
  }

  /** The learning rate, and the velocities in the order of the parameters; null for a parameter that was never updated with momentum. */
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
      if (saved && saved.length !== size) throw new ValueError(`SGD: velocity ${i} has ${saved.length} values, expected ${size}`);
    });
    this.lr = state.lr;
    this.parameters.forEach((w, i) => {
      const saved = state.velocities[i];
      if (saved) this.velocity(w).set(saved);
    });
  }

  /** Frees the memory of the velocities. */
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
