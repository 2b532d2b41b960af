/** RMSprop (Tieleman & Hinton 2012), with the centred variant of Graves (2013). */
import { boolean, checkOptions, finite, rule } from '../../backend/validate.js';
import type { Tensor } from '../../tensor/index.js';
import { BaseOptimizer } from './base.js';
import type { ParameterGroup, Parameters } from './optimizer.js';

/** Options of `RMSprop`. */
export interface RMSpropOptions {
  /** Learning rate. Default 0.01. */
  lr?: number;
  /** Decay rate of the mean of the squared gradient. Default 0.99. */
  alpha?: number;
  /** Added to the root of the mean square, so that it is not 0. Default 10⁻⁸. */
  eps?: number;
  /** L2 penalty: weightDecay · w is added to the gradient. Default 0. */
  weightDecay?: number;
  /** Default 0. */
  momentum?: number;
  /** Whether gradients are divided by the root of their variance instead of their mean square. Default false. */
  centered?: boolean;
}

const rateRule = rule('a number from 0 to below 1', (value) => typeof value === 'number' && value >= 0 && value < 1);
const RMSPROP_RULES = { lr: finite(0), alpha: rateRule, eps: finite(0), weightDecay: finite(0), momentum: rateRule, centered: boolean };

const SQUARE = 'square';
const MEAN = 'mean';
const BUFFER = 'momentum';

/**
 * RMSprop: divides each gradient by the root of the running mean s of its square: s = alpha · s + (1 − alpha) · g², then
 * w −= lr · g / (√s + eps), with momentum and the centred variant as options. PyTorch `RMSprop`.
 *
 * @example const optimizer = new RMSprop(model.parameters(), { lr: 0.001, momentum: 0.9 });
 * @throws ValueError for invalid parameters or options
 */
export class RMSprop extends BaseOptimizer {
  private readonly alpha: number;
  private readonly eps: number;
  private readonly centered: boolean;

  constructor(params: Parameters, options: RMSpropOptions = {}) {
    checkOptions('RMSprop', options, RMSPROP_RULES);
    const { lr = 0.01, alpha = 0.99, eps = 1e-8, weightDecay = 0, momentum = 0, centered = false } = options;
    super('RMSprop', params, { lr, weightDecay, momentum }, [SQUARE, ...(centered ? [MEAN] : []), BUFFER]);
    this.alpha = alpha;
    this.eps = eps;
    this.centered = centered;
  }

  protected override update(w: Tensor, gradient: Tensor, { lr, weightDecay, momentum = 0 }: ParameterGroup): void {
    const { alpha, eps } = this;
    const mean = this.centered ? this.slot(MEAN, w).writable : null;
    const buffer = momentum > 0 ? this.slot(BUFFER, w).writable : null;
    const p = { lr, alpha, eps, weightDecay, momentum };
    const state = { w: w.writable, square: this.slot(SQUARE, w).writable, mean, buffer };
    w.backend.rmsprop(state, { grad: gradient.storage }, p);
  }
}
