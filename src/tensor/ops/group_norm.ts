/** Group normalisation (Wu & He 2018) and layer normalisation (Ba et al. 2016): each row is normalised by its own statistics. */
import { ShapeError } from '../../backend/errors.js';
import type { GroupNormParams } from '../../backend/params.js';
import { arrayOf, checkArgument, checkOptions, either, finite, integer } from '../../backend/validate.js';
import { record } from '../graph/autograd.js';
import { sameShape, sizeOf } from '../shape.js';
import { checkFloat, empty, type Tensor } from '../tensor.js';

/** Options of the normalisations over groups of channels and over rows. */
export interface NormalizationOptions {
  /** Added to the variance. Default 1e-5. */
  epsilon?: number;
}

const OPTION_RULES = { epsilon: finite(0) };

/**
 * Group normalisation: divides the channels into groups, and normalises each group of each image by its mean and (biased) variance. Then
 * multiplies by `weight` and adds `bias`, per channel. PyTorch `group_norm`, ONNX `GroupNormalization`. With one group per channel it is
 * instance normalisation.
 *
 * The backward step is the gradient under all rules.
 *
 * @example groupNorm(x, 4)
 * @param x [N, C, …]
 * @param groups a divisor of C
 * @param weight factor per channel, [C]; null for 1
 * @param bias added per channel, [C]; null for 0
 * @throws ShapeError if the channels do not divide into the groups
 */
export function groupNorm(
  x: Tensor,
  groups: number,
  weight: Tensor | null = null,
  bias: Tensor | null = null,
  options: NormalizationOptions = {},
): Tensor {
  checkFloat('groupNorm', x, ...present(weight, bias));
  checkArgument('groupNorm', 'groups', groups, integer(1));
  checkOptions('groupNorm', options, OPTION_RULES);
  const [n, channels] = x.shape;
  if (x.rank < 2 || channels % groups !== 0)
    throw new ShapeError(
      `groupNorm: input has shape [${x.shape}], expected [N, C, …] with C a multiple of ${groups}, the number of groups`,
    );
  checkVector('groupNorm', 'weight', weight, [channels]);
  checkVector('groupNorm', 'bias', bias, [channels]);
  const { epsilon = 1e-5 } = options;
  const p = { rows: n * groups, groups, channels: channels / groups, inner: sizeOf(x.shape.slice(2)), epsilon };
  return normalized('groupNorm', x, weight, bias, p);
}

const SHAPE = either(integer(1), arrayOf(integer(1), 1));

/**
 * Layer normalisation: normalises over the last axes by their mean and (biased) variance, then multiplies by `weight` and adds `bias`,
 * element by element. PyTorch `layer_norm`, ONNX `LayerNormalization`.
 *
 * The backward step is the gradient under all rules.
 *
 * @example layerNorm(x, [16, 16])
 * @param normalizedShape the last extents of x, as one number or an array
 * @param weight factors of the normalised shape; null for 1
 * @param bias added values of the normalised shape; null for 0
 * @throws ShapeError if x does not end in the normalised shape
 */
export function layerNorm(
  x: Tensor,
  normalizedShape: number | readonly number[],
  weight: Tensor | null = null,
  bias: Tensor | null = null,
  options: NormalizationOptions = {},
): Tensor {
  checkFloat('layerNorm', x, ...present(weight, bias));
  checkArgument('layerNorm', 'normalizedShape', normalizedShape, SHAPE);
  checkOptions('layerNorm', options, OPTION_RULES);
  const shape = typeof normalizedShape === 'number' ? [normalizedShape] : Array.from(normalizedShape);
  if (x.rank < shape.length || !sameShape(x.shape.slice(-shape.length), shape))
    throw new ShapeError(`layerNorm: input has shape [${x.shape}], expected it to end in [${shape}], the normalised shape`);
  checkVector('layerNorm', 'weight', weight, shape);
  checkVector('layerNorm', 'bias', bias, shape);
  const channels = sizeOf(shape);
  return normalized('layerNorm', x, weight, bias, {
    rows: x.size / channels,
    groups: 1,
    channels,
    inner: 1,
    epsilon: options.epsilon ?? 1e-5,
  });
}

const present = (...tensors: (Tensor | null | undefined)[]): Tensor[] => tensors.filter((each) => each !== null && each !== undefined);

function checkVector(op: string, name: string, vector: Tensor | null, shape: readonly number[]): void {
  if (vector && !sameShape(vector.shape, shape)) throw new ShapeError(`${op}: ${name} has shape [${vector.shape}], expected [${shape}]`);
}

function normalized(op: string, x: Tensor, weight: Tensor | null, bias: Tensor | null, p: GroupNormParams): Tensor {
  const make = (shape: readonly number[]) => empty(op, shape, x.dtype, x.backend);
  const [y, mean, variance] = [make(x.shape), make([p.rows]), make([p.rows])];
  if (x.size > 0)
    x.backend.groupNorm(
      { y: y.storage, mean: mean.storage, variance: variance.storage },
      { x: x.storage, weight: weight?.storage ?? null, bias: bias?.storage ?? null },
      p,
    );
  const saved = [x, mean, variance, ...present(weight)];
  const result = record(op, y, [x, ...present(weight, bias)], saved, (dy, [x, mean, variance, w], needs) =>
    normalizedBackward(op, dy, x, mean, variance, w ?? null, bias !== null, p, needs),
  );
  for (const each of [mean, variance]) each.release(op);
  return result;
}

function normalizedBackward(
  op: string,
  dy: Tensor,
  x: Tensor,
  mean: Tensor,
  variance: Tensor,
  weight: Tensor | null,
  hasBias: boolean,
  p: GroupNormParams,
  needs: readonly boolean[],
): (Tensor | null)[] {
  const { backend, dtype } = dy;
  const make = (shape: readonly number[]) => empty(`${op} backward`, shape, dtype, backend, false);
  const dx = needs[0] ? make(x.shape) : null;
  const inputs = { dy: dy.storage, x: x.storage, mean: mean.storage, variance: variance.storage };
  if (dx && dx.size > 0) backend.groupNormGrad({ dx: dx.storage }, { ...inputs, weight: weight ? weight.storage : null }, p);
  if (!needs.slice(1).includes(true)) return [dx, ...needs.slice(1).map(() => null)];
  // Weight and bias of layer normalisation have the normalised shape, which is that of the weight or the last axes of x.
  const shape = weight?.shape ?? (op === 'layerNorm' ? lastAxes(x.shape, p.channels) : [p.groups * p.channels]);
  const [dweight, dbias] = [make(shape), make(shape)];
  backend.groupNormParamGrad({ dweight: dweight.storage, dbias: dbias.storage }, inputs, p);
  if (!weight) dweight.release('backward()');
  if (!hasBias) dbias.release('backward()');
  return [dx, ...(weight ? [dweight] : []), ...(hasBias ? [dbias] : [])];
}

/** The last extents of a shape that have `size` elements. */
function lastAxes(shape: readonly number[], size: number): readonly number[] {
  let first = shape.length;
  for (let product = 1; first > 0 && product < size; ) product *= shape[--first];
  return shape.slice(first);
}
