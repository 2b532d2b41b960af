/** The normalisation operators LRN, BatchNormalization, LayerNormalization, InstanceNormalization and GroupNormalization. */
import {
  add,
  batchNorm2d,
  groupNorm,
  layerNorm,
  localResponseNorm,
  mean,
  mul,
  reciprocal,
  reshape,
  sqrt,
  square,
  sub,
  type Tensor,
} from '../../../tensor/index.js';
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

/** Returns (x − mean) / √(variance + epsilon) over some axes, with the mean and the reciprocal deviation. The axes are kept. */
function standardized(x: Tensor, axes: readonly number[], epsilon: number): { output: Tensor; average: Tensor; inverse: Tensor } {
  const average = mean(x, { axes, keepDims: true });
  const centred = sub(x, average);
  const inverse = reciprocal(sqrt(add(mean(square(centred), { axes, keepDims: true }), epsilon)));
  return { output: mul(centred, inverse), average, inverse };
}

/** Multiplies by a scale and adds a bias, if present. */
const scaled = (x: Tensor, scale: Tensor, bias: Tensor | null): Tensor => (bias ? add(mul(x, scale), bias) : mul(x, scale));

/**
 * LayerNormalization over the axes from `axis` (default −1) on. Returns Y and, if the graph uses them, the mean and the reciprocal
 * standard deviation. Opset 17.
 */
function layerNormalization(call: Call): readonly Tensor[] {
  const x = call.tensor(0);
  const first = call.axis(call.attributes.int('axis', -1), x.rank);
  const axes = x.shape.map((_, axis) => axis).slice(first);
  const epsilon = call.attributes.float('epsilon', 1e-5);
  const [scale, bias] = [call.tensor(1), call.optionalTensor(2)];
  const shape = x.shape.slice(first);
  if (!call.wants(1) && !call.wants(2) && [scale, bias].every((each) => !each || each.shape.join() === shape.join()))
    return [layerNorm(x, shape, scale, bias, { epsilon })];
  const { output, average, inverse } = standardized(x, axes, epsilon);
  return [scaled(output, scale, bias), average, inverse];
}

/** Reshapes one value per channel to [C, 1, …], so that it is broadcast over x, [N, C, …]. */
const perChannel = (value: Tensor, x: Tensor): Tensor => reshape(value, [value.size, ...new Array<number>(x.rank - 2).fill(1)]);

/** InstanceNormalization of x [N, C, …], over the axes after the channels. Opsets 6, 22. */
function instanceNormalization(call: Call): readonly Tensor[] {
  const [x, scale, bias] = [0, 1, 2].map((slot) => call.tensor(slot));
  if (x.rank < 3) throw call.error(`its input has shape [${x.shape}], expected [N, C, D1, …]`);
  return [groupNorm(x, x.shape[1], scale, bias, { epsilon: call.attributes.float('epsilon', 1e-5) })];
}

/** GroupNormalization of x [N, C, …]. Scale and bias have one element per group in opset 18, and one per channel from opset 21 on. */
function groupNormalization(call: Call): readonly Tensor[] {
  const [x, scale, bias] = [0, 1, 2].map((slot) => call.tensor(slot));
  const groups = call.attributes.int('num_groups', 0);
  const [n, c] = x.shape;
  if (x.rank < 3 || groups < 1 || c % groups !== 0)
    throw call.error(
      `its input has shape [${x.shape}] and num_groups is ${groups}, expected [N, C, D1, …] with C a multiple of num_groups`,
    );
  const epsilon = call.attributes.float('epsilon', 1e-5);
  if (call.opset >= 21) return [groupNorm(x, groups, scale, bias, { epsilon })];
  const { output } = standardized(reshape(x, [n, groups, -1]), [2], epsilon);
  return [reshape(scaled(output, perChannel(scale, output), perChannel(bias, output)), x.shape)];
}

export const normalization = {
  LRN: { run: lrn, receptiveWindow: 'point' },
  LayerNormalization: {
    run: layerNormalization,
    weights: [1, 2],
    // Over channels only, as in [N, H, W, C], the window would be a point; the axes of the image are not known here.
    receptiveWindow: 'global',
    since: 17,
    attributes: ['axis', 'epsilon', 'stash_type'],
  },
  InstanceNormalization: { run: instanceNormalization, weights: [1, 2], attributes: ['epsilon'] },
  GroupNormalization: { run: groupNormalization, weights: [1, 2], since: 18, attributes: ['epsilon', 'num_groups', 'stash_type'] },
  BatchNormalization: { run: batchNormalization, weights: [1, 2], receptiveWindow: 'point' },
} satisfies Record<string, Operator>;
