/** The options of the optimiser, and their checks. */
import { boolean, checkArgument, checkFields, finite, oneOf, type Rules, rule } from '../../../backend/validate.js';

/**
 * Optimiser and its options. `lr` and `weightDecay` are training options of their own.
 * - `sgd`: with the training option `momentum`
 * - `adam`, `adamw`: `betas` are the decay rates of the means of the gradient and of its square
 * - `rmsprop`: `alpha` is the decay rate of the mean of the squared gradient
 */
export type OptimizerOptions =
  | { kind: 'sgd' }
  | { kind: 'adam' | 'adamw'; betas: readonly [number, number]; eps: number }
  | { kind: 'rmsprop'; alpha: number; eps: number; momentum: number; centered: boolean };

/** Kinds of optimisers. */
export const OPTIMIZERS = ['sgd', 'adam', 'adamw', 'rmsprop'] as const satisfies readonly OptimizerOptions['kind'][];

/** Optimiser with those of its options that differ from the defaults. */
export interface PartialOptimizerOptions {
  /** Algorithm of the updates. The other options belong to some kinds only; an option of another kind is refused. */
  kind: OptimizerOptions['kind'];
  /** `adam`, `adamw`: decay of the mean of the gradient and of its square, from 0 to below 1. Default [0.9, 0.999]. */
  betas?: readonly [number, number];
  /** `adam`, `adamw`, `rmsprop`: value added to the denominator. Default 1e-8. */
  eps?: number;
  /** `rmsprop`: decay of the mean square, from 0 to below 1. Default 0.99. */
  alpha?: number;
  /** `rmsprop`: momentum from 0 to below 1. Default 0. SGD's momentum is an option of the training itself. */
  momentum?: number;
  /** `rmsprop`: whether to divide by the estimated deviation instead of the root mean square. Default false. */
  centered?: boolean;
}

const ADAM = { betas: [0.9, 0.999] as const, eps: 1e-8 };

/** Defaults of the options of each optimiser; those of PyTorch. */
const DEFAULTS: Readonly<Record<OptimizerOptions['kind'], Omit<PartialOptimizerOptions, 'kind'>>> = {
  sgd: {},
  adam: ADAM,
  adamw: ADAM,
  rmsprop: { alpha: 0.99, eps: 1e-8, momentum: 0, centered: false },
};

/** Learning rate and weight decay of each optimiser, where the training options leave them out. */
export const OPTIMIZER_DEFAULTS: Readonly<Record<OptimizerOptions['kind'], { lr: number; weightDecay: number }>> = {
  sgd: { lr: 0.01, weightDecay: 0 },
  adam: { lr: 0.001, weightDecay: 0 },
  adamw: { lr: 0.001, weightDecay: 0.01 },
  rmsprop: { lr: 0.01, weightDecay: 0 },
};

const isRate = (value: unknown): boolean => typeof value === 'number' && value >= 0 && value < 1;
const rate = rule('a number from 0 to below 1', isRate);
const kind = oneOf(...OPTIMIZERS);
const ADAM_RULES: Rules = {
  kind,
  betas: rule('two numbers from 0 to below 1', (value) => Array.isArray(value) && value.length === 2 && value.every(isRate)),
  eps: finite(0),
};

const RULES: Readonly<Record<OptimizerOptions['kind'], Rules>> = {
  sgd: { kind },
  adam: ADAM_RULES,
  adamw: ADAM_RULES,
  rmsprop: { kind, alpha: rate, eps: finite(0), momentum: rate, centered: boolean },
};

/**
 * Options of an optimiser with the defaults filled in.
 *
 * @throws ValueError naming the option that is unknown or out of range
 */
export function optimizerOptions(given: PartialOptimizerOptions): OptimizerOptions {
  checkArgument('train', 'optimizer.kind', given.kind, kind);
  checkFields(`train: optimizer ${given.kind}`, given, RULES[given.kind], ['kind']);
  const defined = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  return { kind: given.kind, ...DEFAULTS[given.kind], ...defined } as OptimizerOptions;
}
