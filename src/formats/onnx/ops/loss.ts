/**
 * The operators SoftmaxCrossEntropyLoss and NegativeLogLikelihoodLoss, for scores [N, C, d1, …] and labels [N, d1, …].
 * Opsets 12, 13, 22.
 */
import { div, fromHost, logSoftmax, mul, neg, permute, reshape, sum, type Tensor, take } from '../../../tensor/index.js';
import type { Value } from '../decoding/host_value.js';
import type { Call, Operator } from '../operator.js';

const REDUCTIONS = ['mean', 'sum', 'none'] as const;

/** Log-softmax along axis 1. */
function logProbabilities(x: Tensor): Tensor {
  if (x.rank === 2) return logSoftmax(x);
  const axes = x.shape.map((_, axis) => axis);
  const classesLast = [0, ...axes.slice(2), 1];
  const back = [0, x.rank - 1, ...axes.slice(1, -1)];
  return permute(logSoftmax(permute(x, classesLast)), back);
}

/** The sum of −w[label] · logP[label], divided by Σ w[label] for the mean. Labels equal to `ignore_index` have the weight 0. */
function likelihoodLoss(call: Call, logP: Tensor): Tensor {
  const { attributes, backend } = call;
  const labels = call.host(1);
  const [n, classes] = logP.shape;
  const places = logP.shape.slice(2).reduce((product, extent) => product * extent, 1);
  if (logP.rank < 2 || labels.shape.join() !== [n, ...logP.shape.slice(2)].join())
    throw call.error(`labels have shape [${labels.shape}], expected [${[n, ...logP.shape.slice(2)]}]`);
  const ignored = attributes.int('ignore_index');
  const weights = call.has(2) ? call.host(2).data : null;
  if (weights && weights.length !== classes)
    throw call.error(`it has ${weights.length} weights, expected one for each of the ${classes} classes`);
  const targets = labels.data;
  const picked = new Int32Array(targets.length);
  const scales = new Float64Array(targets.length);
  let total = 0;
  for (let i = 0; i < targets.length; i++) {
    const label = targets[i];
    const skip = label === ignored;
    if (!skip && !(label >= 0 && label < classes)) throw call.error(`label ${label} at index ${i} is outside the ${classes} classes`);
    picked[i] = (Math.floor(i / places) * classes + (skip ? 0 : label)) * places + (i % places);
    scales[i] = skip ? 0 : (weights?.[label] ?? 1);
    total += scales[i];
  }
  const host = logP.dtype === 'float64' ? scales : Float32Array.from(scales);
  const factor = fromHost(host, labels.shape, { backend });
  const losses = neg(mul(take(logP, fromHost(picked, labels.shape, { backend })), factor));
  const reduction = attributes.word('reduction', REDUCTIONS, 'mean');
  if (reduction === 'none') return losses;
  return reduction === 'sum' ? sum(losses) : div(sum(losses), total);
}

/** SoftmaxCrossEntropyLoss. Returns the loss and, if the graph uses it, the log-probabilities. */
function softmaxCrossEntropy(call: Call): readonly (Value | null)[] {
  const logP = logProbabilities(call.tensor(0));
  return [likelihoodLoss(call, logP), call.wants(1) ? reshape(logP, logP.shape) : null];
}

export const losses = {
  SoftmaxCrossEntropyLoss: { run: softmaxCrossEntropy, host: [1, 2] },
  NegativeLogLikelihoodLoss: { run: (call) => [likelihoodLoss(call, call.tensor(0))], host: [1, 2] },
} satisfies Record<string, Operator>;
