/**
 * Linear support vector machines with the squared hinge loss, one class against the rest, solved by dual coordinate descent. Table 7 of
 * the paper trains them on the features of each layer.
 *
 * The bias is the weight of a constant feature 1. The problem of one class, with labels y = ±1, is
 *
 *   min over w   ½ w·w + C Σ max(0, 1 − y w·x)²
 *
 * Its dual has one variable α ≥ 0 per example, with w = Σ α y x, and is solved for one α at a time (Hsieh et al. 2008, Algorithm 1; the
 * method of liblinear's `-s 1 -B 1`).
 */
import { arrayOf, checkArgument, checkOptions, integer, oneOf, positive, type RulesFor, rule } from '../backend/validate.js';
import { epochOrder } from '../data/loader.js';
import { ValueError } from '../tensor/index.js';
import { type Matrix, matrix } from './matrix.js';

/** Options of `solveSvm`. */
export interface SvmOptions {
  /** C, the weight of the hinge loss against the penalty ½ w·w; larger values fit the examples more closely. Default 1. */
  c?: number;
  /** Stops when the duality gap, divided by the primal value, is at most this. Default 10⁻³. */
  tolerance?: number;
  /** Upper bound on the passes through the examples. Default 1000. */
  maxPasses?: number;
  /** Seed of the random order of the examples in each pass. Default 0. */
  seed?: number;
}

/** Result of `solveSvm`. */
export interface SvmSolution {
  /** [columns] */
  weights: Float64Array;
  /** Constant term of the decision function: the weight of a constant feature 1, and so part of the regulariser. */
  bias: number;
  /** Dual variables, one per example: above 0 for support vectors, 0 for the others. */
  alpha: Float64Array;
  /** Values of the primal and of the dual problem. The optimum is between them. */
  primal: number;
  /** Value of the dual problem, a lower bound of the optimum. */
  dual: number;
  /** Number of passes through the examples. */
  passes: number;
  /** Duality gap: the difference of `primal` and `dual`, divided by `primal`. */
  residual: number;
  /** Whether `residual` is within the tolerance. */
  converged: boolean;
}

const OPTIONS: RulesFor<SvmOptions> = { c: positive, tolerance: positive, maxPasses: integer(1), seed: integer() };

/**
 * Weights of a support vector machine for two classes. It stores the inner products of all pairs of examples (rows² values), so that a
 * step updates the outputs of all examples without touching the weights.
 *
 * @param signs +1 or −1 per example
 * @param products result of `productsOf`; pass it if several machines are trained on the same examples
 * @throws ValueError unless there is one label per row
 */
export function solveSvm(
  features: Matrix,
  signs: ArrayLike<number>,
  options: SvmOptions = {},
  products = productsOf(features),
): SvmSolution {
  checkArgument('solveSvm', 'features', features, matrix);
  checkArgument('solveSvm', 'signs', signs, arrayOf(oneOf(1, -1)));
  checkOptions('solveSvm', options, OPTIONS);
  const { rows } = features;
  const expected = rule(`a Float64Array of ${rows} · ${rows} values, as productsOf() returns`, (value) => {
    return value instanceof Float64Array && value.length === rows * rows;
  });
  checkArgument('solveSvm', 'products', products, expected);
  const { c = 1, tolerance = 1e-3, maxPasses = 1000, seed = 0 } = options;
  if (signs.length !== rows) throw new ValueError(`svm: got ${signs.length} labels for ${rows} examples`);
  const alpha = new Float64Array(rows);
  /** w·x + b of each example. */
  const outputs = new Float64Array(rows);
  // The squared hinge adds this to the diagonal of the dual problem.
  const ridge = 1 / (2 * c);
  for (let passes = 1; ; passes++) {
    for (const i of epochOrder(rows, { seed, epoch: passes })) {
      const slope = signs[i] * outputs[i] - 1 + ridge * alpha[i];
      const next = Math.max(0, alpha[i] - slope / (products[i * rows + i] + ridge));
      const step = (next - alpha[i]) * signs[i];
      if (step === 0) continue;
      alpha[i] = next;
      for (let j = 0, from = i * rows; j < rows; j++) outputs[j] += step * products[from + j];
    }
    const values = problemAndDual(alpha, signs, outputs, c);
    const gap = values.primal - values.dual;
    const converged = gap <= tolerance * values.primal;
    if (converged || passes >= maxPasses) {
      const residual = values.primal > 0 ? Math.max(0, gap) / values.primal : 0;
      return { ...weightsOf(features, alpha, signs), alpha, ...values, passes, residual, converged };
    }
  }
}

/** Inner products x·x' + 1 of all pairs of examples, [rows, rows]. The 1 is the product of the constant features of the bias. */
export function productsOf(features: Matrix): Float64Array {
  checkArgument('productsOf', 'features', features, matrix);
  const { rows, columns, data } = features;
  const products = new Float64Array(rows * rows);
  for (let i = 0; i < rows; i++)
    for (let j = 0; j <= i; j++) {
      let sum = 1;
      for (let k = 0, a = i * columns, b = j * columns; k < columns; k++) sum += data[a + k] * data[b + k];
      products[i * rows + j] = sum;
      products[j * rows + i] = sum;
    }
  return products;
}

function problemAndDual(
  alpha: Float64Array,
  signs: ArrayLike<number>,
  outputs: Float64Array,
  c: number,
): Pick<SvmSolution, 'primal' | 'dual'> {
  let [squaredWeights, hinges, sum, squares] = [0, 0, 0, 0];
  for (let i = 0; i < alpha.length; i++) {
    squaredWeights += alpha[i] * signs[i] * outputs[i];
    hinges += Math.max(0, 1 - signs[i] * outputs[i]) ** 2;
    sum += alpha[i];
    squares += alpha[i] ** 2;
  }
  return { primal: squaredWeights / 2 + c * hinges, dual: sum - squaredWeights / 2 - squares / (4 * c) };
}

function weightsOf({ columns, data }: Matrix, alpha: Float64Array, signs: ArrayLike<number>): Pick<SvmSolution, 'weights' | 'bias'> {
  const weights = new Float64Array(columns);
  let bias = 0;
  for (let i = 0; i < alpha.length; i++) {
    if (alpha[i] === 0) continue;
    const factor = alpha[i] * signs[i];
    for (let j = 0, from = i * columns; j < columns; j++) weights[j] += factor * data[from + j];
    bias += factor;
  }
  return { weights, bias };
}
