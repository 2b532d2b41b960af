/** Resizing of images by nearest-neighbour or bilinear interpolation. */
import { ShapeError, ValueError } from '../../backend/errors.js';
import { type Pair, pair, pairOf } from '../../backend/params.js';
import { arrayOf, boolean, checkOptions, either, oneOf, positive, type RulesFor } from '../../backend/validate.js';
import { defineOp } from '../graph/define_op.js';
import { checkFloat, type Tensor } from '../tensor.js';
import { type AxisMap, separable2d } from './separable2d.js';

/** Options of `interpolate`. */
export interface InterpolateOptions {
  /** Output size, as one number or [height, width]. Either `size` or `scaleFactor` is required. */
  size?: Pair;
  /** Factor on the input size, as one number or [vertical, horizontal]; the output size is rounded down. */
  scaleFactor?: number | readonly [number, number];
  /** Default `nearest`. */
  mode?: 'nearest' | 'bilinear';
  /**
   * Bilinear: whether the centres of the corner pixels of input and output coincide, instead of the outer edges of the images. Default
   * false.
   */
  alignCorners?: boolean;
}

/** @internal */
export const INTERPOLATE_RULES: RulesFor<InterpolateOptions> = {
  size: pairOf(1),
  scaleFactor: either(positive, arrayOf(positive, 2, 2)),
  mode: oneOf('nearest', 'bilinear'),
  alignCorners: boolean,
};

/** @internal @throws ValueError unless the options fit together */
export function checkInterpolation(op: string, options: InterpolateOptions): void {
  checkOptions(op, options ?? null, INTERPOLATE_RULES);
  const { size, scaleFactor, mode = 'nearest', alignCorners } = options;
  if ((size === undefined) === (scaleFactor === undefined))
    throw new ValueError(`${op}: got ${size === undefined ? 'neither' : 'both'} of size and scaleFactor, expected one of them`);
  if (alignCorners && mode === 'nearest')
    throw new ValueError(`${op}: alignCorners is true and mode is 'nearest', expected mode 'bilinear'; leave alignCorners out`);
}

/** @internal Size [height, width] of the output for an input [N, C, H, W]. */
export function interpolatedSize(op: string, shape: readonly number[], { size, scaleFactor }: InterpolateOptions): [number, number] {
  if (shape.length !== 4 || shape[2] * shape[3] === 0)
    throw new ShapeError(`${op}: input has shape [${shape}], expected [N, C, H, W] with at least one row and column`);
  if (size !== undefined) return [...pair(op, 'size', size, 1)] as [number, number];
  const factors = typeof scaleFactor === 'number' ? [scaleFactor, scaleFactor] : scaleFactor!;
  const target = [Math.floor(shape[2] * factors[0]), Math.floor(shape[3] * factors[1])] as [number, number];
  if (target.some((extent) => extent < 1 || !Number.isSafeInteger(extent)))
    throw new ShapeError(`${op}: scale factor [${factors}] of shape [${shape}] gives an output of [${target}], expected at least [1, 1]`);
  return target;
}

const resized = /* @__PURE__ */ defineOp({ name: 'interpolate', ...separable2d });

/**
 * Resizes images. PyTorch `interpolate`, ONNX `Resize` (nearest: asymmetric coordinates, rounded down; bilinear: `linear` with half-pixel
 * or aligned corners). With a scale factor, the coordinates follow from the factor itself, not from the rounded output size, as in
 * PyTorch.
 *
 * @example interpolate(x, { scaleFactor: 2, mode: 'bilinear' })
 * @param x [N, C, H, W]
 * @returns [N, C, OH, OW]
 * @throws ValueError for options that do not fit together; ShapeError for an input that is not [N, C, H, W], or an empty output
 */
export function interpolate(x: Tensor, options: InterpolateOptions): Tensor {
  checkFloat('interpolate', x);
  checkInterpolation('interpolate', options);
  const { scaleFactor, mode = 'nearest', alignCorners = false } = options;
  const [oh, ow] = interpolatedSize('interpolate', x.shape, options);
  const factors = typeof scaleFactor === 'number' ? [scaleFactor, scaleFactor] : scaleFactor;
  const map = (inputs: number, outputs: number, factor?: number) =>
    mode === 'nearest' ? nearestMap(inputs, outputs, factor) : linearMap(inputs, outputs, alignCorners, factor);
  return resized(x, { maps: { rows: map(x.shape[2], oh, factors?.[0]), columns: map(x.shape[3], ow, factors?.[1]) } });
}

const blank = (inputs: number, outputs: number): AxisMap => {
  checkMap(inputs, outputs);
  return { inputs, outputs, weights: new Float64Array(inputs * outputs) };
};

/** Maximum number of weights of one axis: an image of 8192 pixels resized to 8192. */
const MOST_WEIGHTS = 2 ** 26;

function checkMap(inputs: number, outputs: number): void {
  if (inputs * outputs > MOST_WEIGHTS)
    throw new ShapeError(
      `interpolate: an axis of ${inputs} elements cannot be resized to ${outputs}; the product is at most ${MOST_WEIGHTS}`,
    );
}

/** Output i takes input ⌊i · scale⌋, computed in float32 as PyTorch does. */
function nearestMap(inputs: number, outputs: number, factor?: number): AxisMap {
  const map = blank(inputs, outputs);
  const scale = Math.fround(factor === undefined ? inputs / outputs : 1 / factor);
  for (let i = 0; i < outputs; i++) {
    const source = outputs === inputs ? i : outputs === 2 * inputs ? i >> 1 : Math.floor(Math.fround(i * scale));
    map.weights[i * inputs + Math.min(source, inputs - 1)] = 1;
  }
  return map;
}

/** Output i lies between two inputs, which are weighted by their distance. */
function linearMap(inputs: number, outputs: number, alignCorners: boolean, factor?: number): AxisMap {
  const map = blank(inputs, outputs);
  const scale = alignCorners ? (outputs > 1 ? (inputs - 1) / (outputs - 1) : 0) : factor === undefined ? inputs / outputs : 1 / factor;
  for (let i = 0; i < outputs; i++) {
    const source = alignCorners ? i * scale : Math.max(0, (i + 0.5) * scale - 0.5);
    const low = Math.min(Math.floor(source), inputs - 1);
    const high = Math.min(low + 1, inputs - 1);
    const share = Math.min(source - low, 1);
    map.weights[i * inputs + low] += 1 - share;
    map.weights[i * inputs + high] += share;
  }
  return map;
}
