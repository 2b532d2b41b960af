/** Adam (Kingma & Ba 2015) and AdamW (Loshchilov & Hutter 2019), with AMSGrad (Reddi et al. 2018) as an option. */
import { boolean, checkOptions, finite, rule } from '../../backend/validate.js';
import type { Tensor } from '../../tensor/index.js';
import { BaseOptimizer } from './base.js';
import type { ParameterGroup, Parameters } from './optimizer.js';

/** Options of `Adam`. */
export interface AdamOptions {
  /** Learning rate. Default 10⁻³. */
  lr?: number;
  /** Decay rates of the means of the gradient and of its square. Default [0.9, 0.999]. */
  betas?: readonly [number, number];
  /** Added to the root of the mean square, so that it is not 0. Default 10⁻⁸. */
  eps?: number;
  /** L2 penalty: weightDecay · w is added to the gradient. Default 0. */
  weightDecay?: number;
  /** Whether the mean square is replaced by its running maximum. Default false. */
  amsgrad?: boolean;
}

/** Options of `AdamW`. */
export interface AdamWOptions extends Omit<AdamOptions, 'weightDecay'> {
  /** Weight decay: w is multiplied by 1 − lr · weightDecay before the update. Default 0.01. */
  weightDecay?: number;
}

const isRate = (value: unknown) => typeof value === 'number' && value >= 0 && value < 1;
const ADAM_RULES = {
  lr: finite(0),
  betas: rule('two numbers from 0 to below 1', (value) => Array.isArray(value) && value.length === 2 && value.every(isRate)),
  eps: finite(0),
  weightDecay: finite(0),
  amsgrad: boolean,
};

const MEAN = 'mean';
const SQUARE = 'square';
const MAX_SQUARE = 'maxSquare';

/** What `Adam` and `AdamW` share; they differ in the use of the weight decay. */
abstract class AdamBase extends BaseOptimizer {
  private readonly beta2: number;
  private readonly eps: number;
  private readonly amsgrad: boolean;

  protected constructor(
    kind: string,
    params: Parameters,
    options: AdamOptions,
    defaultDecay: number,
    /** Whether the weight decay shrinks the weights instead of being added to the gradient. */
    private readonly decoupled: boolean,
  ) {
    checkOptions(kind, options, ADAM_RULES);
    const { lr = 1e-3, betas = [0.9, 0.999], eps = 1e-8, weightDecay = defaultDecay, amsgrad = false } = options;
    super(kind, params, { lr, weightDecay, momentum: betas[0] }, [MEAN, SQUARE, ...(amsgrad ? [MAX_SQUARE] : [])]);
    this.beta2 = betas[1];
    this.eps = eps;
    this.amsgrad = amsgrad;
  }

  protected override update(w: Tensor, gradient: Tensor, group: ParameterGroup, count: number): void {
    const { lr, weightDecay, momentum: beta1 = 0.9 } = group;
    const { beta2, eps, decoupled } = this;
    const maxSquare = this.amsgrad ? this.slot(MAX_SQUARE, w).writable : null;
    const state = { w: w.writable, mean: this.slot(MEAN, w).writable, square: this.slot(SQUARE, w).writable, maxSquare };
    w.backend.adam(
      state,
      { grad: gradient.storage },
      {
        rate: lr / (1 - beta1 ** count),
        beta1,
        beta2,
        eps,
        correction: Math.sqrt(1 - beta2 ** count),
        weightDecay: decoupled ? 0 : weightDecay,
        shrink: decoupled ? 1 - lr * weightDecay : 1,
      },
    );
  }
}

/**
 * Adam: with the running means m of the gradient and s of its square, corrected for their start at 0, each step is
 * w −= lr · m / (√s + eps). PyTorch `Adam`.
 *
 * ```ts
 * const optimizer = new Adam(model.parameters(), { lr: 0.001 });
 * crossEntropy(model.forward(images), labels).backward();
 * optimizer.step();
 * optimizer.zeroGrad();
 * ```
 *
 * @throws ValueError for invalid parameters or options
 */
export class Adam extends AdamBase {
  constructor(params: Parameters, options: AdamOptions = {}) {
    super('Adam', params, options, 0, false);
  }
}

/**
 * Adam with decoupled weight decay: the weights are multiplied by 1 − lr · weightDecay, and the decay is no part of the gradient.
 * PyTorch `AdamW`.
 *
 * @example const optimizer = new AdamW(model.parameters(), { lr: 0.001, weightDecay: 0.05 });
 * @throws ValueError for invalid parameters or options
 */
export class AdamW extends AdamBase {
  constructor(params: Parameters, options: AdamWOptions = {}) {
    super('AdamW', params, options, 0.01, true);
  }
}
