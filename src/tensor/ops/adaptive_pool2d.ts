/** Pooling to a given output size: window i of an axis covers the elements from ⌊i · in / out⌋ to ⌈(i + 1) · in / out⌉. */
import { ShapeError } from '../../backend/errors.js';
import { type Pair, pair } from '../../backend/params.js';
import { defineOp } from '../graph/define_op.js';
import { checkFloat, fromHost, type Tensor } from '../tensor.js';
import { avgPool2d } from './avg_pool2d.js';
import { indexSelect } from './index_select.js';
import { maxPool2d } from './max_pool2d.js';
import { type AxisMap, separable2d } from './separable2d.js';

/** @internal Checks the arguments and returns the output size [height, width]. */
export function adaptiveSize(op: string, shape: readonly number[], outputSize: Pair): readonly [number, number] {
  const size = pair(op, 'outputSize', outputSize, 1);
  if (shape.length !== 4 || shape[2] * shape[3] === 0)
    throw new ShapeError(`${op}: input has shape [${shape}], expected [N, C, H, W] with at least one row and column`);
  // Output elements beyond the input size repeat inputs; an axis of 65536 of them is a mistake.
  if (size.some((extent) => extent > MOST)) throw new ShapeError(`${op}: output size is [${size}], expected at most ${MOST} on an axis`);
  return size;
}

const MOST = 65536;

/** First element and end of each window of an axis. */
const windows = (inputs: number, outputs: number): (readonly [start: number, end: number])[] =>
  Array.from({ length: outputs }, (_, i) => [Math.floor((i * inputs) / outputs), Math.ceil(((i + 1) * inputs) / outputs)]);

/** The window size if all windows have the same size and do not overlap, so that a plain pooling computes the same. */
const evenWindow = ([, , h, w]: readonly number[], [oh, ow]: readonly [number, number]) =>
  h % oh === 0 && w % ow === 0 ? { kernelSize: [h / oh, w / ow] as const } : null;

const averaged = /* @__PURE__ */ defineOp({ name: 'adaptiveAvgPool2d', ...separable2d });

function averages(inputs: number, outputs: number): AxisMap {
  const weights = new Float64Array(inputs * outputs);
  windows(inputs, outputs).forEach(([start, end], i) => {
    weights.fill(1 / (end - start), i * inputs + start, i * inputs + end);
  });
  return { inputs, outputs, weights };
}

/**
 * Average pooling to a given output size. PyTorch `adaptive_avg_pool2d`, ONNX `AveragePool` where the windows are equal, and
 * `GlobalAveragePool` for output size 1.
 *
 * @example adaptiveAvgPool2d(x, 1) // the mean of each map
 * @param x [N, C, H, W]
 * @param outputSize one number or [height, width]
 * @returns [N, C, OH, OW]
 */
export function adaptiveAvgPool2d(x: Tensor, outputSize: Pair): Tensor {
  checkFloat('adaptiveAvgPool2d', x);
  const [oh, ow] = adaptiveSize('adaptiveAvgPool2d', x.shape, outputSize);
  const even = evenWindow(x.shape, [oh, ow]);
  return even ? avgPool2d(x, even) : averaged(x, { maps: { rows: averages(x.shape[2], oh), columns: averages(x.shape[3], ow) } });
}

/** The elements of each window, the shorter ones filled up by their last element, which leaves the maximum and its place as they are. */
function filledWindows(inputs: number, outputs: number): { size: number; places: number[] } {
  const all = windows(inputs, outputs);
  const size = Math.max(...all.map(([start, end]) => end - start));
  return { size, places: all.flatMap(([start, end]) => Array.from({ length: size }, (_, i) => Math.min(start + i, end - 1))) };
}

/**
 * Max pooling to a given output size. PyTorch `adaptive_max_pool2d`, ONNX `MaxPool` where the windows are equal, and `GlobalMaxPool` for
 * output size 1. Of equal elements the first in row-major order is the maximum.
 *
 * @example adaptiveMaxPool2d(x, [2, 2])
 * @param x [N, C, H, W]
 * @param outputSize one number or [height, width]
 * @returns [N, C, OH, OW]
 */
export function adaptiveMaxPool2d(x: Tensor, outputSize: Pair): Tensor {
  checkFloat('adaptiveMaxPool2d', x);
  const [oh, ow] = adaptiveSize('adaptiveMaxPool2d', x.shape, outputSize);
  const even = evenWindow(x.shape, [oh, ow]);
  if (even) return maxPool2d(x, even);
  const [rows, columns] = [filledWindows(x.shape[2], oh), filledWindows(x.shape[3], ow)];
  const at = (places: number[]) => fromHost(Int32Array.from(places), [places.length], { backend: x.backend });
  const steps = [at(rows.places), at(columns.places)];
  const tall = indexSelect(x, steps[0], { axis: 2 });
  const wide = indexSelect(tall, steps[1], { axis: 3 });
  const y = maxPool2d(wide, { kernelSize: [rows.size, columns.size] });
  for (const made of [...steps, tall, wide]) made.release('adaptiveMaxPool2d');
  return y;
}
