/** Shapes as plain arrays: sizes, strides, broadcasting, reduced and permuted views. Nothing here touches numbers. */
import { ShapeError } from '../backend/errors.js';
import type { BroadcastParams, ReduceParams } from '../backend/params.js';
import { show } from '../backend/validate.js';

export type Shape = readonly number[];

/** Number of elements of a tensor of this shape. @throws ShapeError for what is no shape */
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

export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((extent, i) => extent === b[i]);
}

/** As in PyTorch. Kernels are handed tables of axes, which must fit their buffer. */
const MOST_AXES = 64;

/** @throws ShapeError unless it is an array of at most 64 extents, whole numbers of at least 0, whose product is exact */
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

/** Strides, in elements, of a contiguous row-major tensor. */
export function stridesOf(shape: Shape): number[] {
  const strides = new Array<number>(shape.length);
  let stride = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    strides[i] = stride;
    stride *= shape[i];
  }
  return strides;
}

/** The axis as a number from 0; negative axes count from the end. */
export function normalizeAxis(op: string, axis: number, rank: number): number {
  const normal = Number.isInteger(axis) && axis < 0 ? axis + rank : axis;
  if (!Number.isInteger(axis) || normal < 0 || normal >= Math.max(rank, 1)) {
    throw new ShapeError(`${op}: axis ${show(axis)} does not exist in a tensor of rank ${rank}`);
  }
  return normal;
}

/** The shape that `a` and `b` broadcast to, by NumPy's rule. */
export function broadcastShape(op: string, a: Shape, b: Shape): number[] {
  const rank = Math.max(a.length, b.length);
  const shape = new Array<number>(rank);
  for (let i = 1; i <= rank; i++) {
    const ea = a[a.length - i] ?? 1;
    const eb = b[b.length - i] ?? 1;
    if (ea !== eb && ea !== 1 && eb !== 1)
      throw new ShapeError(`${op}: shapes [${a}] and [${b}] do not broadcast: ${ea} against ${eb} on axis -${i}`);
    shape[rank - i] = ea === 1 ? eb : ea;
  }
  return shape;
}

/** Strides of an operand of shape `from` seen as `to`: 0 along the axes that repeat. */
export function broadcastStrides(from: Shape, to: Shape): number[] {
  const own = stridesOf(from);
  const lead = to.length - from.length;
  return to.map((extent, i) => (i < lead || (from[i - lead] === 1 && extent !== 1) ? 0 : own[i - lead]));
}

/** Output shape and operand strides, with axes of extent 1 dropped and neighbours merged where both operands allow it. */
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

/** One axis or several as an array. @throws ShapeError for anything else */
export function axesList(op: string, axes: number | readonly number[]): readonly number[] {
  if (typeof axes === 'number') return [axes];
  if (!Array.isArray(axes)) throw new ShapeError(`${op}: axes are ${show(axes)}, expected a whole number or an array of them`);
  return Array.from(axes);
}

/** The axes to reduce, sorted; all of them by default. */
export function reducedAxes(op: string, shape: Shape, axes?: number | readonly number[]): number[] {
  if (axes === undefined) return shape.map((_, i) => i);
  const list = axesList(op, axes);
  const normal = list.map((axis) => normalizeAxis(op, axis, shape.length)).sort((x, y) => x - y);
  if (new Set(normal).size !== normal.length) throw new ShapeError(`${op}: axes [${list}] name an axis twice`);
  return normal;
}

/** A reduction of `shape` over `axes`: kept and reduced axes with their strides, neighbours merged. */
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
