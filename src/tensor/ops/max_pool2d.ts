/** Max pooling with switches, and unpooling: the gradient of each is the other. */

import { IN_PLACE, type OverlapRule } from '../../backend/backend.js';
import { DTypeError, ShapeError } from '../../backend/errors.js';
import {
  MAX_POOL_RULES,
  type OldPoolOptions,
  type PoolOptions,
  type PoolParams,
  poolParams,
  type UnpoolParams,
} from '../../backend/params.js';
import { arrayOf, checkArgument, checkOptions, integer, isPlainObject, oneOf, rule } from '../../backend/validate.js';
import { record, willRecord } from '../graph/autograd.js';
import { isReluOutput, markMasked } from '../graph/relu_marks.js';
import { type Shape, sameShape } from '../shape.js';
import { checkFloat, checkSameBackend, empty, type Tensor, toTypedArray } from '../tensor.js';

/** Options of max pooling: see `PoolOptions`. */
export type MaxPool2dOptions = Omit<PoolOptions, 'countIncludePad'>;

/**
 * Max pooling: returns the maximum of each window. ONNX `MaxPool`, PyTorch `max_pool2d`.
 *
 * @example maxPool2d(x, { kernelSize: 3, stride: 2, ceilMode: true })
 * @param x [N, C, H, W]
 * @returns [N, C, OH, OW]
 * @throws ShapeError if the window does not fit into the padded input
 */
export function maxPool2d(x: Tensor, options: MaxPool2dOptions | Omit<OldPoolOptions, 'countIncludePad'>): Tensor {
  checkFloat('maxPool2d', x);
  if (willRecord(x)) {
    const { output, switches } = maxPool2dWithSwitches(x, options);
    switches.release('maxPool2d');
    return output;
  }
  const p = poolParams('maxPool2d', x.shape, options, MAX_POOL_RULES);
  const y = empty('maxPool2d', [x.shape[0], x.shape[1], p.oh, p.ow], x.dtype, x.backend);
  x.backend.maxPool2d(y.storage, null, x.storage, p);
  return record('maxPool2d', y, [x], [], () => [null]);
}

/**
 * Max pooling that also returns the position of each maximum (the *switch*). If several elements are equal, the first in row-major
 * order is the maximum; a window of zeros has a switch too. ONNX `MaxPool` with indices per plane, PyTorch
 * `max_pool2d(return_indices=True)`.
 *
 * @example const { output, switches } = maxPool2dWithSwitches(x, { kernelSize: 2 });
 * @param x [N, C, H, W]
 * @returns output [N, C, OH, OW]; switches of the same shape, int32: y · W + x within the input plane
 */
export function maxPool2dWithSwitches(
  x: Tensor,
  options: MaxPool2dOptions | Omit<OldPoolOptions, 'countIncludePad'>,
): { output: Tensor; switches: Tensor } {
  checkFloat('maxPool2d', x);
  const p = poolParams('maxPool2d', x.shape, options, MAX_POOL_RULES);
  const shape = [x.shape[0], x.shape[1], p.oh, p.ow];
  const y = empty('maxPool2d', shape, x.dtype, x.backend);
  const switches = empty('maxPool2d', shape, 'int32', x.backend);
  x.backend.maxPool2d(y.storage, switches.storage, x.storage, p);
  const canMask = isReluOutput(x) && x.backend.maxPool2dReluGrad !== undefined;
  const output = record('maxPool2d', y, [x], canMask ? [switches, y] : [switches], (dy, [switches, y], _needs, rules, [asked]) => {
    const dx = empty('maxPool2d backward', [shape[0], shape[1], p.h, p.w], dy.dtype, dy.backend, false);
    if (canMask && !asked && rules.relu === 'mask' && rules.overlap === 'sum') {
      dy.backend.maxPool2dReluGrad!({ dx: dx.storage }, { dy: dy.storage, y: y.storage, switches: switches.storage }, p);
      markMasked(dx);
      return [dx];
    }
    const sizes = { planes: p.planes, inner: p.oh * p.ow, outer: p.h * p.w };
    dy.backend.maxUnpool2d(dx.storage, dy.storage, switches.storage, { ...sizes, overlap: rules.overlap, window: p });
    return [dx];
  });
  return { output, switches };
}

/** Options of `maxUnpool2d`. */
export interface MaxUnpool2dOptions {
  /** Height and width of the output, that is, of the input of the pooling. */
  outputSize: readonly [number, number];
  /** Where windows share a switch: add the values (`sum`, default, the gradient of pooling) or keep the `last` one, as PyTorch does. */
  overlap?: OverlapRule;
  /**
   * Options of the pooling that gave the switches, if every switch lies inside its window. The result is the same; a GPU can then gather
   * the values of each output element instead of scattering them. Default: unknown.
   */
  pooling?: MaxPool2dOptions;
}

const UNPOOL_RULES = {
  outputSize: arrayOf(integer(), 2, 2),
  overlap: oneOf('sum', 'last'),
  pooling: rule('an object of options of maxPool2d', isPlainObject),
};

/**
 * Unpooling: writes each value to the position of its switch, and zeros elsewhere. ONNX `MaxUnpool`, PyTorch `max_unpool2d`; the
 * *unpool* step of the deconvnet.
 *
 * @example
 * const { output, switches } = maxPool2dWithSwitches(x, { kernelSize: 2 });
 * maxUnpool2d(output, switches, { outputSize: [16, 16], pooling: { kernelSize: 2 } });
 * @param y [N, C, OH, OW]
 * @param switches int32 of the same shape, from `maxPool2dWithSwitches`
 * @returns [N, C, outputSize[0], outputSize[1]]
 * @throws ShapeError if the shapes differ, or if `pooling` gives another shape; ValueError for unknown or invalid options. A switch outside the output plane, such as the
 *   −1 of a window without any input element, is ignored
 */
export function maxUnpool2d(y: Tensor, switches: Tensor, options: MaxUnpool2dOptions): Tensor {
  checkFloat('maxUnpool2d', y);
  checkSameBackend('maxUnpool2d', y, switches);
  if (switches.dtype !== 'int32') throw new DTypeError(`maxUnpool2d: switches are ${switches.dtype}, expected int32`);
  checkOptions('maxUnpool2d', options ?? null, UNPOOL_RULES);
  checkArgument('maxUnpool2d', 'outputSize', options.outputSize, UNPOOL_RULES.outputSize);
  if (y.rank !== 4 || !sameShape(y.shape, switches.shape)) {
    throw new ShapeError(`maxUnpool2d: values have shape [${y.shape}], switches [${switches.shape}]; both must be [N, C, H, W] and equal`);
  }
  const { overlap = 'sum' } = options;
  const [n, c, oh, ow] = y.shape;
  const [h, w] = options.outputSize;
  const window = options.pooling === undefined ? null : windowOf(y.shape, [h, w], options.pooling);
  const x = empty('maxUnpool2d', [n, c, h, w], y.dtype, y.backend);
  const p = { planes: n * c, inner: oh * ow, outer: h * w };
  y.backend.maxUnpool2d(x.storage, y.storage, switches.storage, { ...p, overlap, window });
  return record('maxUnpool2d', x, [y], [switches], (dx, [switches]) => {
    const dy = empty('maxUnpool2d backward', y.shape, dx.dtype, dx.backend, false);
    dx.backend.maxUnpool2dGrad(dy.storage, dx.storage, switches.storage, p);
    if (overlap === 'last') zeroOverwritten(dy, switches, { ...p, overlap, window });
    return [dy];
  });
}

/** The geometry of the pooling from images of `outputSize` to `shape`. @throws ShapeError if it gives another shape */
function windowOf([n, c, oh, ow]: Shape, outputSize: readonly [number, number], pooling: MaxPool2dOptions): PoolParams {
  const window = poolParams('maxUnpool2d', [n, c, ...outputSize], pooling, MAX_POOL_RULES);
  if (window.oh !== oh || window.ow !== ow)
    throw new ShapeError(`maxUnpool2d: pooling [${outputSize}] gives [${window.oh},${window.ow}], but the values have [${oh},${ow}]`);
  return window;
}

/**
 * Sets the gradient of overwritten values to zero. To find them, it unpools the index of each value and reads it back at its switch: the
 * index differs where a later value overwrote it.
 */
function zeroOverwritten(dy: Tensor, switches: Tensor, p: UnpoolParams): void {
  const { backend, dtype } = dy;
  const make = (size: number) => empty('maxUnpool2d backward', [size], dtype, backend, false);
  const flat = { shape: [dy.size], stridesA: [1], stridesB: [1] };
  const [own, last, found] = [make(dy.size), make(p.planes * p.outer), make(dy.size)];
  const indices = Float32Array.from({ length: dy.size }, (_, i) => (i % p.inner) + 1);
  backend.write(own.storage, toTypedArray(indices, dtype));
  backend.maxUnpool2d(last.storage, own.storage, switches.storage, p);
  backend.maxUnpool2dGrad(found.storage, last.storage, switches.storage, p);
  backend.binary(found.storage, IN_PLACE, own.storage, 'equal', flat);
  backend.binary(dy.storage, IN_PLACE, found.storage, 'mul', flat);
  for (const made of [own, last, found]) made.release('backward()');
}
