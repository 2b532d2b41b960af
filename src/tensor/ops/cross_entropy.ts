/** Cross-entropy loss for classification. */
import { DTypeError, ShapeError, ValueError } from '../../backend/errors.js';
import { record } from '../graph/autograd.js';
import { checkFloat, checkSameBackend, empty, type Tensor } from '../tensor.js';

/**
 * Cross-entropy loss: returns the mean over the batch of −log softmax(logits)[label]. ONNX `SoftmaxCrossEntropyLoss`, PyTorch
 * `cross_entropy`.
 *
 * @param logits [N, classes]
 * @param labels [N] int32, each from 0 to classes − 1
 * @returns a scalar, shape []; NaN for an empty batch
 * @throws ValueError for a label outside the classes. For labels that only the backend has (results of operations), a backend that
 *   queues its work reports it at the next read of a tensor
 */
export function crossEntropy(logits: Tensor, labels: Tensor): Tensor {
  checkFloat('crossEntropy', logits);
  checkSameBackend('crossEntropy', logits, labels);
  if (logits.rank !== 2) throw new ShapeError(`crossEntropy: logits have shape [${logits.shape}], expected [N, classes]`);
  if (labels.dtype !== 'int32') throw new DTypeError(`crossEntropy: labels are ${labels.dtype}, expected int32; pass an Int32Array`);
  const [rows, columns] = logits.shape;
  if (labels.rank !== 1 || labels.shape[0] !== rows)
    throw new ShapeError(`crossEntropy: labels have shape [${labels.shape}], expected [${rows}]`);
  checkLabels(labels, columns);
  const p = { rows, columns };
  const loss = empty('crossEntropy', [], logits.dtype, logits.backend);
  logits.backend.crossEntropy(loss.storage, logits.storage, labels.storage, p);
  return record('crossEntropy', loss, [logits], [logits, labels], (dloss, [logits, labels]) => {
    const dx = empty('crossEntropy backward', logits.shape, dloss.dtype, dloss.backend, false);
    dloss.backend.crossEntropyGrad(dx.storage, dloss.storage, logits.storage, labels.storage, p);
    return [dx];
  });
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
