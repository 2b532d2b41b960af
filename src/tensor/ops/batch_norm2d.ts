/** Batch normalisation (Ioffe & Szegedy 2015), in training and in evaluation. */
import { ShapeError } from '../../backend/errors.js';
import type { BatchNormParams } from '../../backend/params.js';
import { boolean, checkArgument, checkOptions, finite, type RulesFor } from '../../backend/validate.js';
import { noGrad, record } from '../graph/autograd.js';
import { markReluOutput } from '../graph/relu_marks.js';
import { sizeOf } from '../shape.js';
import { checkFloat, empty, type Tensor } from '../tensor.js';
import { add, mul } from './arithmetic.js';
import { withReluBackward } from './relu.js';

/** Options of `batchNorm2d`. */
export interface BatchNorm2dOptions {
  /** Added to the variance. Default 1e-5. */
  epsilon?: number;
  /** Normalises by the statistics of the batch, and moves `mean` and `variance` towards them. Default false. */
  training?: boolean;
  /** Share of the batch's statistics in the moved ones, in training. Default 0.1. */
  momentum?: number;
  /** Applies ReLU in the same kernel, so that the normalised input is not kept beside the ReLU's output. Default false. */
  relu?: boolean;
}

const BATCH_NORM_RULES: RulesFor<BatchNorm2dOptions> = { epsilon: finite(0), training: boolean, momentum: finite(0, 1), relu: boolean };

/**
 * Batch normalisation: returns (x − mean) / √(variance + epsilon) · scale + shift, with one value of each parameter per channel. ONNX
 * `BatchNormalization`, PyTorch `batch_norm`. One kernel computes it, and one its backward step.
 *
 * In training, mean and (biased) variance are those of the batch, and the gradient passes through them. The running statistics `mean` and
 * `variance` are updated in place, the latter with the unbiased variance, as in PyTorch; either may be null. In evaluation, they are used
 * as they are; the operation is then an affine map per channel and, unlike local response normalisation, does not normalise contrast. Its
 * backward step is therefore the gradient under all rules.
 *
 * @example batchNorm2d(x, ones([8]), zeros([8]), zeros([8]), ones([8]), { training: true, relu: true })
 * @param x [N, C, …], of rank 2 or higher
 * @param scale factor per channel, [C]; null for 1
 * @param shift added per channel, [C]; null for 0
 * @param mean running mean, [C]; null in training for no running statistics
 * @param variance running variance, [C]; null as for `mean`
 * @param options options, or epsilon alone
 * @throws ShapeError for other shapes, for fewer than two values per channel in training, and for missing statistics in evaluation
 */
export function batchNorm2d(
  x: Tensor,
  scale: Tensor | null,
  shift: Tensor | null,
  mean: Tensor | null,
  variance: Tensor | null,
  options: BatchNorm2dOptions | number = {},
): Tensor {
  const settings = typeof options === 'number' ? { epsilon: options } : options;
  const vectors = { scale, shift, mean, variance };
  checkFloat('batchNorm2d', x, ...Object.values(vectors).filter((each) => each != null));
  if (typeof options === 'number') checkArgument('batchNorm2d', 'epsilon', options, finite(0));
  checkOptions('batchNorm2d', settings, BATCH_NORM_RULES);
  const p = geometry(x, vectors, settings);
  return p.training ? trained(x, vectors, p, settings.momentum ?? 0.1) : evaluated(x, vectors, p);
}

type Vectors = Record<'scale' | 'shift' | 'mean' | 'variance', Tensor | null>;

function geometry(x: Tensor, vectors: Vectors, options: BatchNorm2dOptions): BatchNormParams {
  const { epsilon = 1e-5, training = false, relu = false } = options;
  const wrong = Object.entries(vectors).find(([, t]) => t && (t.rank !== 1 || t.size !== x.shape[1]));
  if (x.rank < 2 || wrong) {
    const [name, t] = wrong ?? ['scale', null];
    throw new ShapeError(
      `batchNorm2d: input has shape [${x.shape}]${t ? ` and ${name} [${t.shape}]` : ''}, expected [N, C, …] and [C]: one element per channel`,
    );
  }
  if (!training && !(vectors.mean && vectors.variance))
    throw new ShapeError('batchNorm2d: mean or variance is null, expected [C] each in evaluation; pass { training: true } to compute them');
  const [n, channels] = x.shape;
  const inner = sizeOf(x.shape.slice(2));
  if (training && n * inner < 2)
    throw new ShapeError(
      `batchNorm2d: input has shape [${x.shape}], expected more than one value per channel in training; use a larger batch, or eval()`,
    );
  return { n, channels, inner, epsilon, training, relu };
}

/** The tensors that are not null. */
const present = (tensors: readonly (Tensor | null)[]): Tensor[] => tensors.filter((each) => each !== null && each !== undefined);

function trained(x: Tensor, { scale, shift, mean, variance }: Vectors, p: BatchNormParams, momentum: number): Tensor {
  const make = (shape: readonly number[]) => empty('batchNorm2d', shape, x.dtype, x.backend);
  const [y, average, spread] = [make(x.shape), make([p.channels]), make([p.channels])];
  const outputs = { y: y.storage, mean: average.storage, variance: spread.storage };
  x.backend.batchNorm(outputs, { x: x.storage, weight: scale?.storage ?? null, bias: shift?.storage ?? null }, p);
  if (p.relu) markReluOutput(y);
  const count = p.n * p.inner;
  if (mean) follow(mean, average, momentum, 1);
  if (variance) follow(variance, spread, momentum, count / (count - 1));
  const saved = [x, average, spread, ...present([scale]), ...(p.relu ? [y] : [])];
  const result = record('batchNorm2d', y, [x, ...present([scale, shift])], saved, (dy, [x, average, spread, ...rest], needs, rules) => {
    const weight = scale ? rest[0] : null;
    const back = (dy: Tensor) => parameterGradients(dy, x, average, spread, weight, p, needs);
    const { dx, dscale, dshift } = p.relu ? withReluBackward(dy, rest.at(-1)!, rules, back) : back(dy);
    return withoutAbsent([dx], [scale, dscale], [shift, dshift]);
  });
  for (const each of [average, spread]) each.release('batchNorm2d');
  return result;
}

function evaluated(x: Tensor, { scale, shift, mean, variance }: Vectors, p: BatchNormParams): Tensor {
  const [average, spread] = [mean!, variance!];
  const y = empty('batchNorm2d', x.shape, x.dtype, x.backend);
  const outputs = { y: y.storage, mean: average.storage, variance: spread.storage };
  x.backend.batchNorm(outputs, { x: x.storage, weight: scale?.storage ?? null, bias: shift?.storage ?? null }, p);
  if (p.relu) markReluOutput(y);
  const inputs = [x, average, spread, ...present([scale, shift])];
  const saved = [x, average, spread, ...present([scale]), ...(p.relu ? [y] : [])];
  return record('batchNorm2d', y, inputs, saved, (dy, [x, average, spread, ...rest], needs, rules) => {
    const weight = scale ? rest[0] : null;
    const back = (dy: Tensor) => {
      const { dx, dscale, dshift } = parameterGradients(dy, x, average, spread, weight, p, needs);
      const [daverage, dspread] = statisticsGradients(dscale, dshift, spread, weight, p, needs);
      return withoutAbsent([dx], [average, daverage], [spread, dspread], [scale, dscale], [shift, dshift]);
    };
    return p.relu ? withReluBackward(dy, rest.at(-1)!, rules, back) : back(dy);
  });
}

/** The gradients of the inputs that are there; the others are released. An entry of one element stands for x. */
function withoutAbsent(...entries: ([Tensor | null] | [Tensor | null, Tensor | null])[]): (Tensor | null)[] {
  return entries.flatMap((entry) => {
    if (entry.length === 1) return entry;
    const [input, gradient] = entry;
    if (!input) gradient?.release('backward()');
    return input ? [gradient] : [];
  });
}

function parameterGradients(
  dy: Tensor,
  x: Tensor,
  mean: Tensor,
  variance: Tensor,
  weight: Tensor | null,
  p: BatchNormParams,
  needs: readonly boolean[],
): { dx: Tensor | null; dscale: Tensor; dshift: Tensor } {
  const make = (shape: readonly number[]) => empty('batchNorm2d backward', shape, dy.dtype, dy.backend, false);
  const dx = needs[0] ? make(x.shape) : null;
  const [dscale, dshift] = [make([p.channels]), make([p.channels])];
  dy.backend.batchNormGrad(
    { dx: dx ? dx.storage : null, dweight: dscale.storage, dbias: dshift.storage },
    { dy: dy.storage, x: x.storage, mean: mean.storage, variance: variance.storage, weight: weight ? weight.storage : null },
    p,
  );
  return { dx, dscale, dshift };
}

/** With r = 1 / √(variance + epsilon): dmean = −scale · r · dshift, dvariance = −scale · r² · dscale / 2. */
function statisticsGradients(
  dscale: Tensor,
  dshift: Tensor,
  variance: Tensor,
  scale: Tensor | null,
  p: BatchNormParams,
  needs: readonly boolean[],
): (Tensor | null)[] {
  if (!needs[1] && !needs[2]) return [null, null];
  const { backend } = dscale;
  const flat = { shape: [p.channels], stridesA: [1], stridesB: [1] };
  const make = () => empty('batchNorm2d backward', [p.channels], dscale.dtype, backend, false);
  const [inverse, squared, dmean, dvariance] = [make(), make(), make(), make()];
  const temporary = make();
  backend.affine(temporary.storage, variance.storage, 1, p.epsilon);
  backend.unary(squared.storage, temporary.storage, 'reciprocal');
  backend.unary(inverse.storage, squared.storage, 'sqrt');
  const scaled = (to: Tensor, gradient: Tensor, power: Tensor, factor: number) => {
    backend.binary(to.storage, gradient.storage, power.storage, 'mul', flat);
    backend.affine(temporary.storage, to.storage, factor, 0);
    if (scale) backend.binary(to.storage, temporary.storage, scale.storage, 'mul', flat);
    else backend.affine(to.storage, temporary.storage, 1, 0);
  };
  scaled(dmean, dshift, inverse, -1);
  scaled(dvariance, dscale, squared, -0.5);
  for (const made of [inverse, squared, temporary]) made.release('backward()');
  return [dmean, dvariance];
}

/** Updates a running statistic in place: running = (1 − momentum) · running + momentum · factor · now. */
function follow(running: Tensor, now: Tensor, momentum: number, factor: number): void {
  const next = noGrad(() => add(mul(running, 1 - momentum), mul(now, momentum * factor)));
  running.backend.affine(running.writable, next.storage, 1, 0);
  next.dispose();
}
