/** Linear classifiers on features: support vector machines and softmax regression, with the strength C chosen on held-out examples. */
import { arrayOf, checkArgument, checkFields, integer, objectWith, oneOf, positive, type RulesFor, rule } from '../backend/validate.js';
import { shuffledPlaces } from '../data/subset.js';
import { countErrors } from '../nn/index.js';
import { ShapeError, ValueError } from '../tensor/index.js';
import { productsOf, solveSvm } from './linear_svm.js';
import { type Matrix, matrix, selectRows } from './matrix.js';
import { solveSoftmax } from './softmax_regression.js';

/**
 * - `svm`: support vector machines with the squared hinge loss, one class against the rest
 * - `softmax`: softmax regression with the cross-entropy loss
 *
 * For both, the strength is C, the factor of the summed loss; the penalty is ½ Σ W².
 */
export const CLASSIFIERS = ['svm', 'softmax'] as const;
/** Kind of a linear classifier on features. */
export type ClassifierKind = (typeof CLASSIFIERS)[number];

/** Strengths that are tried, from the strongest penalty on. If several have equally few errors, the first is chosen. */
export const STRENGTHS = [0.1, 1, 10] as const;

/** A trained linear classifier, as `fitLinear` returns. */
export interface LinearClassifier {
  /** The kind that was fitted. Scores of `svm` are margins, those of `softmax` log-probabilities up to a constant. */
  kind: ClassifierKind;
  /** C, the weight of the loss against the regulariser: as given, or chosen on held-out examples. */
  strength: number;
  /** [classes, columns], for standardised features. */
  weights: Float64Array;
  /** [classes] */
  biases: Float64Array;
  /** Mean and deviation per column, by which features are standardised before the weights apply. */
  standard: Standard;
  /** Accuracy that the solver has reached, and its iterations. */
  fit: FitReport;
}

/** Accuracy that the solver of a classifier has reached. */
export interface FitReport {
  /** Whether the classifier, and all classifiers trained to choose its strength, are within the tolerance. */
  converged: boolean;
  /**
   * `softmax`: L2 norm of the gradient at the solution, divided by its norm at zero weights. `svm`: duality gap divided by the primal
   * value, the largest over the classes.
   */
  residual: number;
  /** Limit on `residual`. */
  tolerance: number;
  /** Iterations of L-BFGS, or passes through the examples (the most of any class). */
  iterations: number;
}

/**
 * Standardisation of features, x ↦ (x − mean) · factor. The training features get mean 0 and standard deviation 1 / √columns, so that rows
 * have a length of about 1.
 */
interface Standard {
  mean: Float64Array;
  factor: Float64Array;
}

/** Options of `fitLinear`. */
export interface FitOptions {
  /** `svm`: one-against-rest linear SVM, as in the paper. `softmax`: multinomial logistic regression. */
  kind: ClassifierKind;
  /** C. Default: the value of `STRENGTHS` with the fewest errors on a held-out fifth of the examples. */
  strength?: number;
  /** Limit on `FitReport.residual`. Default 10⁻³ for `svm`, 10⁻⁴ for `softmax`. */
  tolerance?: number;
  /** Upper bound on the iterations of L-BFGS, or on the passes through the examples. Default 1000. */
  maxIterations?: number;
}

/** Errors as fractions. */
export interface ClassifierErrors {
  top1Error: number;
  top5Error: number;
}

/** One in five examples of a class, sampled at random, is held out to choose the strength. */
const HOLD_OUT = 5;

const FIT_OPTIONS: RulesFor<FitOptions> = {
  kind: oneOf(...CLASSIFIERS),
  strength: positive,
  tolerance: positive,
  maxIterations: integer(1),
};

const floats = rule('a Float64Array', (value) => value instanceof Float64Array);
const linearClassifier = objectWith('a classifier, as fitLinear() returns', {
  weights: floats,
  biases: floats,
  standard: objectWith('{ mean, factor }', { mean: floats, factor: floats }),
});

function checkClassifier(op: string, classifier: LinearClassifier, features: Matrix): void {
  checkArgument(op, 'the classifier', classifier, linearClassifier);
  checkArgument(op, 'features', features, matrix);
  const { biases, weights, standard } = classifier;
  const { columns } = features;
  if (weights.length !== biases.length * columns || standard.mean.length !== columns || standard.factor.length !== columns)
    throw new ShapeError(`${op}: features have ${columns} columns, the classifier was trained on ${standard.mean.length}`);
}

const TOLERANCES: Readonly<Record<ClassifierKind, number>> = { svm: 1e-3, softmax: 1e-4 };

/** Settings that all fits of one classifier share. */
interface FitJob {
  kind: ClassifierKind;
  classes: number;
  tolerance: number;
  maxIterations: number;
}

const present = ({ kind, tolerance, maxIterations }: FitOptions) => ({
  kind,
  ...(tolerance !== undefined && { tolerance }),
  ...(maxIterations !== undefined && { maxIterations }),
});

/**
 * Trains a linear classifier on features. The field `fit` of the result tells whether the solver has reached the tolerance.
 *
 * @example
 * const features = { rows: 4, columns: 1, data: Float32Array.of(-2, -1, 1, 2) };
 * const classifier = await fitLinear(features, [0, 0, 1, 1], 2, { kind: 'svm', strength: 1 });
 * @param labels one per row, each below `classes`
 * @throws ValueError unless there is one label per row, and at least one row
 */
export async function fitLinear(
  features: Matrix,
  labels: ArrayLike<number>,
  classes: number,
  options: FitOptions,
): Promise<LinearClassifier> {
  checkArgument('fitLinear', 'features', features, matrix);
  checkArgument('fitLinear', 'classes', classes, integer(1));
  checkArgument('fitLinear', 'labels', labels, arrayOf(integer(0, classes - 1)));
  checkFields('fitLinear', options, FIT_OPTIONS, ['kind']);
  if (labels.length !== features.rows) throw new ValueError(`fitLinear: got ${labels.length} labels for ${features.rows} rows`);
  if (features.rows === 0) throw new ValueError('fitLinear: there are no examples to learn from');
  const job: FitJob = { tolerance: TOLERANCES[options.kind], maxIterations: 1000, ...present(options), classes };
  if (options.strength !== undefined) return await learn(features, labels, job, options.strength);
  const { strength, converged } = await chooseStrength(features, labels, job);
  const chosen = await learn(features, labels, job, strength);
  return { ...chosen, fit: { ...chosen.fit, converged: converged && chosen.fit.converged } };
}

/**
 * Top-1 and top-5 errors of a linear classifier, as fractions.
 *
 * @example
 * const features = { rows: 4, columns: 1, data: Float32Array.of(-2, -1, 1, 2) };
 * const classifier = await fitLinear(features, [0, 0, 1, 1], 2, { kind: 'softmax', strength: 1 });
 * const { top1Error } = linearErrors(classifier, features, [0, 0, 1, 1]);
 */
export function linearErrors(classifier: LinearClassifier, features: Matrix, labels: ArrayLike<number>): ClassifierErrors {
  checkClassifier('linearErrors', classifier, features);
  checkArgument('linearErrors', 'labels', labels, arrayOf(integer(0, classifier.biases.length - 1), features.rows, features.rows));
  const classes = classifier.biases.length;
  const scores = linearScores(classifier, features);
  const share = (k: number) => countErrors(scores, labels, classes, k) / Math.max(1, labels.length);
  return { top1Error: share(1), top5Error: share(5) };
}

/** Class scores of each row, [rows, classes]. */
export function linearScores(classifier: LinearClassifier, features: Matrix): Float64Array {
  checkClassifier('linearScores', classifier, features);
  const { weights, biases, standard } = classifier;
  const { rows, columns, data } = standardised(features, standard);
  const classes = biases.length;
  const scores = new Float64Array(rows * classes);
  for (let i = 0; i < rows; i++)
    for (let k = 0; k < classes; k++) {
      let sum = biases[k];
      for (let j = 0, w = k * columns, x = i * columns; j < columns; j++) sum += weights[w + j] * data[x + j];
      scores[i * classes + k] = sum;
    }
  return scores;
}

/** The strength with the fewest errors on held-out examples, and whether all classifiers compared for it have converged. */
async function chooseStrength(features: Matrix, labels: ArrayLike<number>, job: FitJob): Promise<{ strength: number; converged: boolean }> {
  const [kept, held]: [number[], number[]] = [[], []];
  const seen = new Int32Array(job.classes);
  // Random order, so that a periodic list of examples does not bias the choice.
  for (const i of shuffledPlaces(labels.length)) (++seen[labels[i]] % HOLD_OUT === 0 ? held : kept).push(i);
  if (held.length === 0) return { strength: 1, converged: true };
  const part = (places: readonly number[]) => ({ rows: selectRows(features, places), labels: places.map((place) => labels[place]) });
  const [learning, judging] = [part(kept), part(held)];
  let best = { strength: 1, error: Number.POSITIVE_INFINITY };
  let converged = true;
  for (const strength of STRENGTHS) {
    const classifier = await learn(learning.rows, learning.labels, job, strength);
    converged &&= classifier.fit.converged;
    const { top1Error } = linearErrors(classifier, judging.rows, judging.labels);
    if (top1Error < best.error) best = { strength, error: top1Error };
  }
  return { strength: best.strength, converged };
}

async function learn(features: Matrix, labels: ArrayLike<number>, job: FitJob, strength: number): Promise<LinearClassifier> {
  const standard = standardOf(features);
  const rows = standardised(features, standard);
  const solve = job.kind === 'svm' ? fitSvm : fitSoftmax;
  return { kind: job.kind, strength, ...(await solve(rows, labels, job, strength)), standard };
}

type Fitted = Pick<LinearClassifier, 'weights' | 'biases' | 'fit'>;

async function fitSvm(features: Matrix, labels: ArrayLike<number>, job: FitJob, c: number): Promise<Fitted> {
  const { classes, tolerance, maxIterations } = job;
  const weights = new Float64Array(classes * features.columns);
  const biases = new Float64Array(classes);
  const products = productsOf(features);
  const fit: FitReport = { converged: true, residual: 0, tolerance, iterations: 0 };
  for (let k = 0; k < classes; k++) {
    const signs = Int8Array.from(labels, (label) => (label === k ? 1 : -1));
    const machine = solveSvm(features, signs, { c, tolerance, maxPasses: maxIterations }, products);
    weights.set(machine.weights, k * features.columns);
    biases[k] = machine.bias;
    fit.converged &&= machine.converged;
    fit.residual = Math.max(fit.residual, machine.residual);
    fit.iterations = Math.max(fit.iterations, machine.passes);
  }
  return { weights, biases, fit };
}

async function fitSoftmax(features: Matrix, labels: ArrayLike<number>, job: FitJob, c: number): Promise<Fitted> {
  const { classes, tolerance, maxIterations } = job;
  const found = await solveSoftmax(features, labels, classes, { c, tolerance, maxIterations });
  const { weights, biases, converged, residual, iterations } = found;
  return { weights, biases, fit: { converged, residual, tolerance, iterations } };
}

function standardOf({ rows, columns, data }: Matrix): Standard {
  const mean = new Float64Array(columns);
  const squares = new Float64Array(columns);
  for (let i = 0, at = 0; i < rows; i++) for (let j = 0; j < columns; j++) mean[j] += data[at++] / rows;
  for (let i = 0, at = 0; i < rows; i++) for (let j = 0; j < columns; j++) squares[j] += (data[at++] - mean[j]) ** 2 / rows;
  // A constant feature carries no information, and its deviation may be a mere rounding error, so its factor is 0.
  const factor = squares.map((square, j) => (square > 1e-12 * (mean[j] ** 2 + 1e-12) ? 1 / Math.sqrt(square * columns) : 0));
  return { mean, factor };
}

function standardised({ rows, columns, data }: Matrix, { mean, factor }: Standard): Matrix {
  const out = new Float32Array(data.length);
  for (let i = 0, at = 0; i < rows; i++) for (let j = 0; j < columns; j++, at++) out[at] = (data[at] - mean[j]) * factor[j];
  return { rows, columns, data: out };
}
