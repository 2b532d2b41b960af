/** Stochastic gradient descent with momentum, and the paper's limit on the root mean square of convolution filters. */
import {
  arrayOf,
  boolean,
  checkArgument,
  checkOptions,
  finite,
  isPlainObject,
  isTypedArray,
  positive,
  rule,
} from '../../backend/validate.js';
import { type Tensor, type TypedArray, ValueError } from '../../tensor/index.js';
import { BaseOptimizer } from './base.js';
import type { OptimizerState, ParameterGroup, Parameters } from './optimizer.js';

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
const velocitiesRule = arrayOf(rule('null or a typed array', (value) => value == null || isTypedArray(value)));
const VELOCITY = 'velocity';

/** State of `SGD`. */
export interface SgdState extends OptimizerState {
  /** The same arrays as `slots.velocity`. */
  velocities: (TypedArray | null)[];
}

/** State of `SGD` as version 0.1 saved it, for a single group. */
export interface SgdStateV1 {
  lr: number;
  /** One array per parameter; null for a parameter that was never updated with momentum. */
  velocities: readonly (TypedArray | null)[];
}

/**
 * Stochastic gradient descent, as PyTorch `SGD`: v = momentum · v + (1 − dampening) · g, then w −= lr · v. The first step sets v = g.
 *
 * ```ts
 * const optimizer = new SGD(model.parameters(), { lr: 0.01, momentum: 0.9 });
 * crossEntropy(model.forward(images), labels).backward();
 * optimizer.step();
 * optimizer.zeroGrad();
 * ```
 *
 * @throws ValueError for invalid parameters or options
 */
export class SGD extends BaseOptimizer {
  private readonly options: SgdOptions;

  constructor(params: Parameters, options: SgdOptions) {
    checkOptions('SGD', options ?? null, SGD_RULES);
    checkArgument('SGD', 'lr', options.lr, SGD_RULES.lr);
    const { lr, momentum = 0, weightDecay = 0 } = options;
    super('SGD', params, { lr, weightDecay, momentum }, [VELOCITY]);
    if (options.nesterov && (!momentum || options.dampening)) throw new ValueError('SGD: nesterov needs a momentum and no dampening');
    this.options = options;
  }

  override stateDict(): SgdState {
    const state = super.stateDict();
    return { ...state, velocities: state.slots[VELOCITY] };
  }

  override async stateDictData(): Promise<SgdState> {
    const state = await super.stateDictData();
    return { ...state, velocities: state.slots[VELOCITY] };
  }

  /** Restores a saved state; accepts the form `{ lr, velocities }` of version 0.1 too. */
  override loadStateDict(state: OptimizerState | SgdStateV1): void {
    super.loadStateDict(
      isPlainObject(state) && !('slots' in state) ? this.fromV1(state as unknown as SgdStateV1) : (state as OptimizerState),
    );
  }

  protected override update(w: Tensor, gradient: Tensor, { lr, weightDecay, momentum = 0 }: ParameterGroup): void {
    const { dampening = 0, nesterov = false, maxFilterRms } = this.options;
    const first = !this.hasSlot(VELOCITY, w);
    const velocity = momentum > 0 ? this.slot(VELOCITY, w).writable : null;
    const p = { lr, momentum, dampening, weightDecay, nesterov, first };
    const { backend } = w;
    if (maxFilterRms === undefined || w.rank !== 4) backend.sgd(w.writable, velocity, gradient.storage, p);
    else if (backend.sgdClipRms)
      backend.sgdClipRms(w.writable, velocity, gradient.storage, { ...p, rows: w.shape[0], maxRms: maxFilterRms });
    else {
      backend.sgd(w.writable, velocity, gradient.storage, p);
      backend.clipRms(w.writable, w.shape[0], w.size / w.shape[0], maxFilterRms);
    }
  }

  private fromV1({ lr, velocities }: SgdStateV1): OptimizerState {
    checkArgument('SGD.loadStateDict', 'lr', lr, finite(0));
    checkArgument('SGD.loadStateDict', 'velocities', velocities, velocitiesRule);
    const count = this.parameters.length;
    if (velocities.length !== count) throw new ValueError(`SGD: the state has ${velocities.length} velocities, expected ${count}`);
    const groups = this.groups.map(({ params, ...numbers }) => ({ ...numbers, lr, size: params.length }));
    return { kind: 'SGD', lr, groups, steps: this.parameters.map(() => 0), slots: { [VELOCITY]: [...velocities] } };
  }
}
