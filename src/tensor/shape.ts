/** Arithmetic on shapes: sizes, strides, broadcasting and the geometry of reductions. */
import { ShapeError } from '../backend/errors.js';
import type { BroadcastParams, ReduceParams } from '../backend/params.js';
import { show } from '../backend/validate.js';

/** Extent of each axis, the outermost first. */
export type Shape = readonly number[];

/**
 * Returns the number of elements of a tensor of this shape.
 *
 * @example sizeOf([2, 3, 4]) // 24
 * @throws ShapeError if the argument is not a shape
 */
export function sizeOf(shape: Shape): number {
  if (!Array.isArray(shape)) throw notAShape('sizeOf', shape);
  let size = 1;
  for (let i = 0; i < shape.length; i++) {
    if (!(Number.isInteger(shape[i]) && shape[i] >= 0)) throw notAShape('sizeOf', shape);
    size *= shape[i];
  }
  return size;
}

const notAShape = (op: string, shape: unknown): ShapeError =>
  new ShapeError(`${op}: the shape is ${show(shape)}, expected an array of whole numbers of at least 0`);

/** Returns whether two shapes are equal. */
export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((extent, i) => extent === b[i]);
}

/** Maximum rank, as in PyTorch. It bounds the tables of axes that kernels receive. */
const MOST_AXES = 64;

/** @throws ShapeError unless the argument is an array of at most 64 integers of at least 0, whose product is exact in float64 */
export function checkShape(op: string, shape: Shape): void {
  let count = 1;
  let valid = Array.isArray(shape);
  for (let i = 0; valid && i < shape.length; i++) {
    valid = Number.isInteger(shape[i]) && shape[i] >= 0;
    if (valid) count *= shape[i] || 1;
  }
  if (!valid) throw notAShape(op, shape);
  if (count > Number.MAX_SAFE_INTEGER || shape.length > MOST_AXES)
    throw new ShapeError(
      `${op}: the shape ${show(shape)} has ${count} elements on ${shape.length} axes, expected at most 2^53 - 1 on ${MOST_AXES} axes`,
    );
}

/** Returns the strides, in elements, of a contiguous row-major tensor. */
export function stridesOf(shape: Shape): number[] {
  const strides = new Array<number>(shape.length);
  let stride = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    strides[i] = stride;
    stride *= shape[i];
  }
  return strides;
}

/** Returns the axis as a number from 0; negative axes count from the end. @throws ShapeError if there is no such axis */
export function normalizeAxis(op: string, axis: number, rank: number): number {
  const normal = Number.isInteger(axis) && axis < 0 ? axis + rank : axis;
  if (!Number.isInteger(axis) || normal < 0 || normal >= Math.max(rank, 1)) {
    throw new ShapeError(`${op}: axis ${show(axis)} does not exist in a tensor of rank ${rank}`);
  }
  return normal;
}

/** Returns the shape that `a` and `b` broadcast to, by NumPy's rule. @throws ShapeError if they cannot be broadcast */
export function broadcastShape(op: string, a: Shape, b: Shape): number[] {
  const rank = Math.max(a.length, b.length);
  const shape = new Array<number>(rank);
  for (let i = 1; i <= rank; i++) {
    const ea = a[a.length - i] ?? 1;
    const eb = b[b.length - i] ?? 1;
    if (ea !== eb && ea !== 1 && eb !== 1)
      throw new ShapeError(`${op}: shapes [${a}] and [${b}] cannot be broadcast: ${ea} and ${eb} on axis -${i}`);
    shape[rank - i] = ea === 1 ? eb : ea;
  }
  return shape;
}

/** Returns the strides of an operand of shape `from` broadcast to `to`: 0 along the repeated axes. */
export function broadcastStrides(from: Shape, to: Shape): number[] {
  const own = stridesOf(from);
  const lead = to.length - from.length;
  return to.map((extent, i) => (i < lead || (from[i - lead] === 1 && extent !== 1) ? 0 : own[i - lead]));
}

/** Returns output shape and operand strides; drops axes of extent 1 and merges adjacent axes that are contiguous in both operands. */
export function broadcastParams(shape: Shape, a: Shape, b: Shape): BroadcastParams {
  const sa = broadcastStrides(a, shape);
  const sb = broadcastStrides(b, shape);
  const merged = { shape: [] as number[], stridesA: [] as number[], stridesB: [] as number[] };
  for (let i = 0; i < shape.length; i++) {
    if (shape[i] === 1) continue;
    const last = merged.shape.length - 1;
    if (last >= 0 && merged.stridesA[last] === sa[i] * shape[i] && merged.stridesB[last] === sb[i] * shape[i]) {
      merged.shape[last] *= shape[i];
      merged.stridesA[last] = sa[i];
      merged.stridesB[last] = sb[i];
    } else {
      merged.shape.push(shape[i]);
      merged.stridesA.push(sa[i]);
      merged.stridesB.push(sb[i]);
    }
  }
  return merged;
}

/** Returns one axis or an array of axes as an array. @throws ShapeError for anything else */
export function axesList(op: string, axes: number | readonly number[]): readonly number[] {
  if (typeof axes === 'number') return [axes];
  if (!Array.isArray(axes)) throw new ShapeError(`${op}: axes are ${show(axes)}, expected a whole number or an array of them`);
  return Array.from(axes);
}

/** Returns the axes to reduce in ascending order; all axes by default. @throws ShapeError for missing or repeated axes */
export function reducedAxes(op: string, shape: Shape, axes?: number | readonly number[]): number[] {
  if (axes === undefined) return shape.map((_, i) => i);
  const list = axesList(op, axes);
  const normal = list.map((axis) => normalizeAxis(op, axis, shape.length)).sort((x, y) => x - y);
  if (new Set(normal).size !== normal.length) throw new ShapeError(`${op}: axes are [${list}], expected each axis at most once`);
  return normal;
}

/** Returns the geometry of a reduction of `shape` over `axes`: kept and reduced axes with their strides; merges adjacent axes. */
export function reduceParams(shape: Shape, axes: readonly number[]): ReduceParams {
  const strides = stridesOf(shape);
  const p = { keptShape: [] as number[], keptStrides: [] as number[], reducedShape: [] as number[], reducedStrides: [] as number[] };
  let previous: 'kept' | 'reduced' | undefined;
  for (let i = 0; i < shape.length; i++) {
    if (shape[i] === 1) continue;
    const kind = axes.includes(i) ? 'reduced' : 'kept';
    const [extents, steps] = kind === 'kept' ? [p.keptShape, p.keptStrides] : [p.reducedShape, p.reducedStrides];
    if (previous === kind) {
      extents[extents.length - 1] *= shape[i];
      steps[steps.length - 1] = strides[i];
    } else {
      extents.push(shape[i]);
      steps.push(strides[i]);
    }
    previous = kind;
  }
  return p;
}
