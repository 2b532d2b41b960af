/** Cross-entropy loss for classification. */
import { DTypeError, ShapeError, ValueError } from '../../backend/errors.js';
import { checkOptions, finite } from '../../backend/validate.js';
import { record } from '../graph/autograd.js';
import { checkFloat, checkSameBackend, empty, fromHost, scope, type Tensor } from '../tensor.js';
import { add, div, equal, mul } from './arithmetic.js';
import { cast } from './cast.js';
import { type LossOptions, reduced, reductionRule, weightRule, weightTensor } from './losses.js';
import { reshape } from './movement.js';
import { sum } from './reduce.js';
import { clamp } from './relu.js';
import { logSoftmax } from './softmax.js';
import { neg } from './unary.js';

/** Options of `crossEntropy`. */
export interface CrossEntropyOptions extends LossOptions {
  /** Share of the target distribution that is spread evenly over all classes, from 0 (default) to 1. */
  labelSmoothing?: number;
  /** One factor per class, for classes of unequal frequency. Default 1. The mean is divided by the sum of the labels' factors. */
  weight?: Tensor | readonly number[];
}

const CROSS_ENTROPY_RULES = { reduction: reductionRule, labelSmoothing: finite(0, 1), weight: weightRule };

/**
 * Cross-entropy loss: returns the mean over the batch of −log softmax(logits)[label]. With label smoothing ε the target is 1 − ε for the
 * label plus ε / classes for every class. ONNX `SoftmaxCrossEntropyLoss`, PyTorch `cross_entropy`.
 *
 * @example const loss = crossEntropy(model.forward(images), labels, { labelSmoothing: 0.1 });
 * @param logits [N, classes]
 * @param labels [N] int32, each from 0 to classes − 1
 * @returns a scalar, shape [], or the losses [N] with reduction `none`; the mean of an empty batch is NaN
 * @throws ShapeError or DTypeError for labels or weights that do not match; ValueError for invalid options, and for a label outside the
 *   classes. For labels that only the backend has (results of operations), a backend that queues its work reports it at the next read of
 *   a tensor
 */
export function crossEntropy(logits: Tensor, labels: Tensor, options: CrossEntropyOptions = {}): Tensor {
  checkOptions('crossEntropy', options, CROSS_ENTROPY_RULES);
  checkFloat('crossEntropy', logits);
  checkSameBackend('crossEntropy', logits, labels);
  if (logits.rank !== 2) throw new ShapeError(`crossEntropy: logits have shape [${logits.shape}], expected [N, classes]`);
  if (labels.dtype !== 'int32') throw new DTypeError(`crossEntropy: labels are ${labels.dtype}, expected int32; pass an Int32Array`);
  const [rows, columns] = logits.shape;
  if (labels.rank !== 1 || labels.shape[0] !== rows)
    throw new ShapeError(`crossEntropy: labels have shape [${labels.shape}], expected [${rows}]`);
  checkLabels(labels, columns);
  const { labelSmoothing = 0, weight, reduction = 'mean' } = options;
  return labelSmoothing === 0 && !weight && reduction === 'mean'
    ? meanCrossEntropy(logits, labels)
    : scope(() => generalCrossEntropy(logits, labels, { labelSmoothing, weight, reduction }));
}

/** The mean without options, in one kernel. */
function meanCrossEntropy(logits: Tensor, labels: Tensor): Tensor {
  const [rows, columns] = logits.shape;
  const p = { rows, columns };
  const loss = empty('crossEntropy', [], logits.dtype, logits.backend);
  logits.backend.crossEntropy(loss.storage, logits.storage, labels.storage, p);
  return record('crossEntropy', loss, [logits], [logits, labels], (dloss, [logits, labels]) => {
    const dx = empty('crossEntropy backward', logits.shape, dloss.dtype, dloss.backend, false);
    dloss.backend.crossEntropyGrad(dx.storage, dloss.storage, logits.storage, labels.storage, p);
    return [dx];
  });
}

/** Lowest logarithm of a probability, so that a target of 0 times the logarithm of 0 is 0. */
const LOWEST_LOG = -3.4e38;

/** −Σ target · log softmax(logits) for each row, where the target [N, classes] is built on the backend from the labels. */
function generalCrossEntropy(logits: Tensor, labels: Tensor, options: CrossEntropyOptions): Tensor {
  const { labelSmoothing = 0, weight, reduction } = options;
  const [rows, columns] = logits.shape;
  const { backend, dtype } = logits;
  const classes = fromHost(
    Int32Array.from({ length: columns }, (_, i) => i),
    [1, columns],
    { backend },
  );
  const isLabel = cast(equal(reshape(labels, [rows, 1]), classes), dtype);
  const factors = weight && weightTensor('crossEntropy', weight, logits);
  if (factors && (factors.rank !== 1 || factors.size !== columns))
    throw new ShapeError(`crossEntropy: weight has shape [${factors.shape}], expected [${columns}], one factor per class`);
  const weighted = (target: Tensor) => (factors ? mul(target, factors) : target);
  const target = weighted(labelSmoothing === 0 ? isLabel : add(mul(isLabel, 1 - labelSmoothing), labelSmoothing / columns));
  const logs = clamp(logSoftmax(logits), LOWEST_LOG, 0);
  const losses = neg(sum(mul(logs, target), { axes: 1 }));
  return reduction === 'mean' && factors ? div(sum(losses), sum(weighted(isLabel))) : reduced(losses, reduction);
}

const outside = (label: number, index: number, classes: number) =>
  `crossEntropy: label ${label} at index ${index} is outside the ${classes} classes, expected 0 to ${classes - 1}`;

/** Checks the labels: on the host if they are there (the usual case, without cost), otherwise on the backend. */
function checkLabels(labels: Tensor, classes: number): void {
  const values = labels.buffer.onHost();
  if (!values) {
    labels.backend.checkIndices(labels.storage, classes, (label, index) => outside(label, index, classes));
    return;
  }
  const bad = values.findIndex((label) => label < 0 || label >= classes);
  if (bad >= 0) throw new ValueError(outside(values[bad], bad, classes));
}
