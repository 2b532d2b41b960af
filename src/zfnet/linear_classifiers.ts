/** Linear classifiers on features: support vector machines and softmax, their strength chosen on examples held out. */
import { arrayOf, checkArgument, checkFields, integer, objectWith, oneOf, positive, type RulesFor, rule } from '../backend/validate.js';
import { countErrors, SGD } from '../nn/index.js';
import { crossEntropy, fromHost, linear, ShapeError, scope, ValueError, zeros } from '../tensor/index.js';
import { type Matrix, matrix, selectRows } from './features.js';
import { productsOf, solveSvm } from './linear_svm.js';

/**
 * - `svm`: squared hinge, one class against the rest; the strength is C
 * - `softmax`: cross-entropy; the strength is C too: cross-entropies are summed and multiplied by it, and half the squared weights added
 */
export const CLASSIFIERS = ['svm', 'softmax'] as const;
export type ClassifierKind = (typeof CLASSIFIERS)[number];

/** Strengths that are tried, from the strictest on; of equals the strictest is taken. */
export const STRENGTHS = [0.1, 1, 10] as const;

export interface LinearClassifier {
  kind: ClassifierKind;
  strength: number;
  /** [classes, columns], on standardised features. */
  weights: Float64Array;
  /** [classes] */
  biases: Float64Array;
  standard: Standard;
}

/** What features are shifted by and multiplied with: mean 0 and deviation 1 in training, over √columns, so that rows have length about 1. */
interface Standard {
  mean: Float64Array;
  factor: Float64Array;
}

export interface FitOptions {
  kind: ClassifierKind;
  /** Default: the one of `STRENGTHS` with the fewest errors on a fifth of the examples, trained on the others. */
  strength?: number;
}

/** Fractions. */
export interface ClassifierErrors {
  top1Error: number;
  top5Error: number;
}

/** Every fifth example of a class is held out to choose the strength. */
const HOLD_OUT = 5;

const FIT_OPTIONS: RulesFor<FitOptions> = { kind: oneOf(...CLASSIFIERS), strength: positive };

const floats = rule('a Float64Array', (value) => value instanceof Float64Array);
const linearClassifier = objectWith('a classifier that fitLinear() gave', {
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

/**
 * Trains a linear classifier on features.
 *
 * @param labels one a row, each below `classes`
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
  const strength = options.strength ?? (await chooseStrength(features, labels, classes, options.kind));
  return await learn(features, labels, classes, options.kind, strength);
}

/** Errors on rows with known labels. */
export function linearErrors(classifier: LinearClassifier, features: Matrix, labels: ArrayLike<number>): ClassifierErrors {
  checkClassifier('linearErrors', classifier, features);
  checkArgument('linearErrors', 'labels', labels, arrayOf(integer(0, classifier.biases.length - 1), features.rows, features.rows));
  const classes = classifier.biases.length;
  const scores = linearScores(classifier, features);
  const share = (k: number) => countErrors(scores, labels, classes, k) / Math.max(1, labels.length);
  return { top1Error: share(1), top5Error: share(5) };
}

/** The classes' scores, [rows, classes]. */
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

async function chooseStrength(features: Matrix, labels: ArrayLike<number>, classes: number, kind: ClassifierKind): Promise<number> {
  const [kept, held]: [number[], number[]] = [[], []];
  const seen = new Int32Array(classes);
  for (let i = 0; i < labels.length; i++) (++seen[labels[i]] % HOLD_OUT === 0 ? held : kept).push(i);
  if (held.length === 0) return 1;
  const part = (places: readonly number[]) => ({ rows: selectRows(features, places), labels: places.map((place) => labels[place]) });
  const [learning, judging] = [part(kept), part(held)];
  let best = { strength: 1, error: Number.POSITIVE_INFINITY };
  for (const strength of STRENGTHS) {
    const classifier = await learn(learning.rows, learning.labels, classes, kind, strength);
    const { top1Error } = linearErrors(classifier, judging.rows, judging.labels);
    if (top1Error < best.error) best = { strength, error: top1Error };
  }
  return best.strength;
}

async function learn(
  features: Matrix,
  labels: ArrayLike<number>,
  classes: number,
  kind: ClassifierKind,
  strength: number,
): Promise<LinearClassifier> {
  const standard = standardOf(features);
  const rows = standardised(features, standard);
  const found = kind === 'svm' ? fitSvm(rows, labels, classes, strength) : await fitSoftmax(rows, labels, classes, strength);
  return { kind, strength, ...found, standard };
}

type Weights = Pick<LinearClassifier, 'weights' | 'biases'>;

function fitSvm(features: Matrix, labels: ArrayLike<number>, classes: number, c: number): Weights {
  const weights = new Float64Array(classes * features.columns);
  const biases = new Float64Array(classes);
  const products = productsOf(features);
  for (let k = 0; k < classes; k++) {
    const signs = Int8Array.from(labels, (label) => (label === k ? 1 : -1));
    const machine = solveSvm(features, signs, { c }, products);
    weights.set(machine.weights, k * features.columns);
    biases[k] = machine.bias;
  }
  return { weights, biases };
}

const SOFTMAX_STEPS = 300;

/** Full-batch descent with Nesterov's momentum: the problem is convex, and rows of length 1 bound its curvature. */
async function fitSoftmax({ rows, columns, data }: Matrix, labels: ArrayLike<number>, classes: number, c: number): Promise<Weights> {
  const x = fromHost(data, [rows, columns]).keep();
  const targets = fromHost(Int32Array.from(labels), [rows]).keep();
  const [w, b] = [zeros([classes, columns]), zeros([classes])].map((tensor) => tensor.keep());
  for (const each of [w, b]) each.requiresGrad = true;
  // Mean cross-entropy plus w·w / (2 C rows) is the problem divided by C · rows; its curvature is at most 1 plus the decay.
  const weightDecay = 1 / (c * rows);
  const optimizer = new SGD([w, b], { lr: 1 / (1 + weightDecay), momentum: 0.9, nesterov: true, weightDecay });
  try {
    for (let step = 0; step < SOFTMAX_STEPS; step++) {
      scope(() => crossEntropy(linear(x, w, b), targets).backward());
      optimizer.step();
      optimizer.zeroGrad();
    }
    return { weights: Float64Array.from(await w.data()), biases: Float64Array.from(await b.data()) };
  } finally {
    optimizer.dispose();
    for (const each of [x, targets, w, b]) each.dispose();
  }
}

function standardOf({ rows, columns, data }: Matrix): Standard {
  const mean = new Float64Array(columns);
  const squares = new Float64Array(columns);
  for (let i = 0, at = 0; i < rows; i++) for (let j = 0; j < columns; j++) mean[j] += data[at++] / rows;
  for (let i = 0, at = 0; i < rows; i++) for (let j = 0; j < columns; j++) squares[j] += (data[at++] - mean[j]) ** 2 / rows;
  // A feature that never varies tells nothing, and its deviation may be rounding alone.
  const factor = squares.map((square, j) => (square > 1e-12 * (mean[j] ** 2 + 1e-12) ? 1 / Math.sqrt(square * columns) : 0));
  return { mean, factor };
}

function standardised({ rows, columns, data }: Matrix, { mean, factor }: Standard): Matrix {
  const out = new Float32Array(data.length);
  for (let i = 0, at = 0; i < rows; i++) for (let j = 0; j < columns; j++, at++) out[at] = (data[at] - mean[j]) * factor[j];
  return { rows, columns, data: out };
}
