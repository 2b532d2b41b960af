/** The normalisation operators LRN and BatchNormalization. */
import { add, batchNorm2d, localResponseNorm, mean, mul, reshape, square, sub, type Tensor } from '../../../tensor/index.js';
import type { Call, Operator } from '../operator.js';

/** LRN, across channels, with alpha divided by size. x is [N, C, …] of any rank. Opsets 1, 13. */
function lrn(call: Call): readonly Tensor[] {
  const x = call.tensor(0);
  if (x.rank < 2) throw call.error(`its input has ${x.rank} axes, expected [N, C, …]`);
  const { attributes } = call;
  const options = {
    size: attributes.int('size', 5),
    alpha: attributes.float('alpha', 1e-4),
    beta: attributes.float('beta', 0.75),
    k: attributes.float('bias', 1),
  };
  if (x.rank === 4) return [localResponseNorm(x, options)];
  const [n, c] = x.shape;
  return [reshape(localResponseNorm(reshape(x, [n, c, 1, -1]), options), x.shape)];
}

/**
 * BatchNormalization. It uses the running mean and variance, and is then an affine map per channel, whose gradient is used under all
 * backward rules. With `training_mode` 1 (from opset 14 on), it uses the statistics of the batch and returns the updated running
 * statistics as two further outputs. The training mode of the model does not change the running statistics. Opsets 6, 7, 9, 14, 15.
 */
function batchNormalization(call: Call): readonly Tensor[] {
  const { attributes } = call;
  const [x, scale, bias, average, variance] = [0, 1, 2, 3, 4].map((slot) => call.tensor(slot));
  const epsilon = attributes.float('epsilon', 1e-5);
  if (attributes.int('spatial', 1) === 0)
    throw call.unsupported('spatial 0, statistics for each activation, is not supported; supported is spatial 1');
  if (attributes.int('training_mode', 0) === 0) return [batchNorm2d(x, scale, bias, average, variance, epsilon)];
  const axes = x.shape.map((_, axis) => axis).filter((axis) => axis !== 1);
  const batchMean = mean(x, { axes });
  const centred = sub(x, mean(x, { axes, keepDims: true }));
  const batchVariance = mean(square(centred), { axes });
  const momentum = attributes.float('momentum', 0.9);
  const moved = (before: Tensor, now: Tensor) => add(mul(before, momentum), mul(now, 1 - momentum));
  return [batchNorm2d(x, scale, bias, batchMean, batchVariance, epsilon), moved(average, batchMean), moved(variance, batchVariance)];
}

export const normalization = {
  LRN: { run: lrn, receptiveWindow: 'point' },
  BatchNormalization: { run: batchNormalization, weights: [1, 2], receptiveWindow: 'point' },
} satisfies Record<string, Operator>;
