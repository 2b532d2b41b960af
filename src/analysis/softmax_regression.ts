/**
 * Softmax regression: a linear classifier trained with the cross-entropy loss by L-BFGS.
 *
 * The bias of a class is the weight of a constant feature 1 (as in `linear_svm.ts`). The problem is
 *
 *   min over W   ½ Σ W² + C Σ cross-entropy of each example
 *
 * It is strictly convex, so the solution does not depend on the initial weights. The two matrix products per evaluation run on the
 * default backend in float32; everything else is computed in float64.
 */
import { arrayOf, checkArgument, checkOptions, integer, positive, type RulesFor, rule } from '../backend/validate.js';
import { fromHost, matmul, noGrad, type Tensor, ValueError } from '../tensor/index.js';
import { type Evaluation, minimize, norm } from './lbfgs.js';
import { type Matrix, matrix } from './matrix.js';

/** Options of `solveSoftmax`. */
export interface SoftmaxOptions {
  /** C, the weight of the loss against the penalty ½ Σ W²; larger values fit the examples more closely. Default 1. */
  c?: number;
  /** Stops when the L2 norm of the gradient, divided by the norm at W = 0, is at most this. Default 10⁻⁴. */
  tolerance?: number;
  /** Upper bound on the iterations of L-BFGS. Default 1000. */
  maxIterations?: number;
  /** Initial weights [classes, columns + 1], with the bias of each class in the last column. Default zeros. */
  start?: Float64Array;
}

/** Result of `solveSoftmax`. */
export interface SoftmaxSolution {
  /** [classes, columns] */
  weights: Float64Array;
  /** [classes] */
  biases: Float64Array;
  /** Value of the objective at the solution. */
  value: number;
  /** L2 norm of the gradient at the solution, divided by the norm at W = 0. */
  residual: number;
  /** Number of iterations of L-BFGS. */
  iterations: number;
  /** Whether `residual` is within the tolerance. */
  converged: boolean;
}

const OPTIONS: RulesFor<SoftmaxOptions> = {
  c: positive,
  tolerance: positive,
  maxIterations: integer(1),
  start: rule('a Float64Array', (value) => value instanceof Float64Array),
};

/**
 * Weights of a softmax regression on features.
 *
 * @param labels one per row, each below `classes`
 * @throws ValueError for a start of another length
 */
export async function solveSoftmax(
  features: Matrix,
  labels: ArrayLike<number>,
  classes: number,
  options: SoftmaxOptions = {},
): Promise<SoftmaxSolution> {
  checkArgument('solveSoftmax', 'features', features, matrix);
  checkArgument('solveSoftmax', 'classes', classes, integer(1));
  checkArgument('solveSoftmax', 'labels', labels, arrayOf(integer(0, classes - 1), features.rows, features.rows));
  checkOptions('solveSoftmax', options, OPTIONS);
  const { c = 1, tolerance = 1e-4, maxIterations = 1000, start } = options;
  const { rows, columns } = features;
  const size = classes * (columns + 1);
  if (start && start.length !== size) throw new ValueError(`solveSoftmax: got a start of ${start.length} values, expected ${size}`);
  const x = fromHost(withOnes(features), [rows, columns + 1]).keep();
  // The objective is divided by C · rows, so that values and gradients do not grow with the number of examples.
  const evaluate = (w: Float64Array) => meanProblem(x, labels, w, 1 / (c * rows));
  try {
    const atZero = norm((await evaluate(new Float64Array(size))).gradient);
    const found = await minimize({ start: start ?? new Float64Array(size), evaluate, gradientNorm: tolerance * atZero, maxIterations });
    return {
      ...split(found.x, classes, columns),
      value: found.value * c * rows,
      residual: atZero > 0 ? found.gradientNorm / atZero : 0,
      iterations: found.iterations,
      converged: found.converged,
    };
  } finally {
    x.dispose();
  }
}

/** The features with an additional last column of ones. */
function withOnes({ rows, columns, data }: Matrix): Float32Array {
  const out = new Float32Array(rows * (columns + 1)).fill(1);
  for (let i = 0; i < rows; i++) out.set(data.subarray(i * columns, (i + 1) * columns), i * (columns + 1));
  return out;
}

/** Mean cross-entropy plus `decay` / 2 · Σ w², and its gradient. */
async function meanProblem(x: Tensor, labels: ArrayLike<number>, w: Float64Array, decay: number): Promise<Evaluation> {
  const [rows, columns] = x.shape;
  const classes = w.length / columns;
  const weights = fromHost(Float32Array.from(w), [classes, columns]);
  const scores = noGrad(() => matmul(x, weights, { transposeB: true }));
  const { loss, residuals } = crossEntropies((await scores.data()) as Float32Array, labels, classes);
  const errors = fromHost(residuals, [rows, classes]);
  const product = noGrad(() => matmul(errors, x, { transposeA: true }));
  const data = await product.data();
  for (const tensor of [weights, scores, errors, product]) tensor.dispose();
  let squares = 0;
  const gradient = new Float64Array(w.length);
  for (let i = 0; i < w.length; i++) {
    squares += w[i] * w[i];
    gradient[i] = data[i] + decay * w[i];
  }
  return { value: loss + (decay / 2) * squares, gradient };
}

/** Mean cross-entropy, and its derivative with respect to each score: [rows, classes]. */
function crossEntropies(scores: Float32Array, labels: ArrayLike<number>, classes: number): { loss: number; residuals: Float32Array } {
  const rows = labels.length;
  const residuals = new Float32Array(scores.length);
  const powers = new Float64Array(classes);
  let loss = 0;
  for (let i = 0, at = 0; i < rows; i++, at += classes) {
    let top = scores[at];
    for (let k = 1; k < classes; k++) top = Math.max(top, scores[at + k]);
    let sum = 0;
    for (let k = 0; k < classes; k++) {
      powers[k] = Math.exp(scores[at + k] - top);
      sum += powers[k];
    }
    loss += (Math.log(sum) - (scores[at + labels[i]] - top)) / rows;
    for (let k = 0; k < classes; k++) residuals[at + k] = (powers[k] / sum - (k === labels[i] ? 1 : 0)) / rows;
  }
  return { loss, residuals };
}

function split(w: Float64Array, classes: number, columns: number): Pick<SoftmaxSolution, 'weights' | 'biases'> {
  const weights = new Float64Array(classes * columns);
  const biases = new Float64Array(classes);
  for (let k = 0; k < classes; k++) {
    const start = k * (columns + 1);
    weights.set(w.subarray(start, start + columns), k * columns);
    biases[k] = w[start + columns];
  }
  return { weights, biases };
}
