/** Operations on host values for shape arithmetic: elementwise functions, strided copies, reductions and concatenation. */
import { ShapeError, sizeOf } from '../../../tensor/index.js';
import { broadcastShape, broadcastStrides, type Shape, stridesOf } from '../../../tensor/shape.js';
import type { ElementType } from '../decoding/element_types.js';
import { type HostValue, makeHost } from '../decoding/host_value.js';

/** Applies a function to each element. */
export const hostMap = (x: HostValue, fn: (value: number) => number, type: ElementType = x.type): HostValue =>
  makeHost(type, x.shape, (i) => fn(x.data[i]));

/** Applies a function to pairs of elements with NumPy's broadcasting. The result has the type of `a` unless `type` is given. */
export function hostBinary(op: string, a: HostValue, b: HostValue, fn: (a: number, b: number) => number, type = a.type): HostValue {
  const shape = broadcastShape(op, a.shape, b.shape);
  const [atA, atB] = [places(shape, broadcastStrides(a.shape, shape)), places(shape, broadcastStrides(b.shape, shape))];
  return makeHost(type, shape, (i) => fn(a.data[atA(i)], b.data[atB(i)]));
}

/** Copies a strided view to a new value. */
export function hostView(x: HostValue, shape: Shape, offset: number, strides: readonly number[]): HostValue {
  const at = places(shape, strides, offset);
  return makeHost(x.type, shape, (i) => x.data[at(i)]);
}

/** Returns a function from the row-major index in `shape` to the index in a view with these strides. */
export function places(shape: Shape, strides: readonly number[], offset = 0): (i: number) => number {
  const own = stridesOf(shape);
  return (i) => {
    let place = offset;
    for (let axis = 0; axis < shape.length; axis++) place += (Math.floor(i / own[axis]) % shape[axis]) * strides[axis];
    return place;
  };
}

/** Reduces `axes`: starts with `start`, combines each element by `step`, and converts the result by `end`. */
export function hostReduce(
  x: HostValue,
  axes: readonly number[],
  keepDims: boolean,
  start: number,
  step: (sum: number, value: number) => number,
  end: (sum: number, count: number) => number = (sum) => sum,
): HostValue {
  const strides = stridesOf(x.shape);
  const kept = x.shape.map((_, axis) => axis).filter((axis) => !axes.includes(axis));
  const shapeOf = (list: readonly number[]) => list.map((axis) => x.shape[axis]);
  const stridesFor = (list: readonly number[]) => list.map((axis) => strides[axis]);
  const inner = places(shapeOf(axes), stridesFor(axes));
  const outer = places(shapeOf(kept), stridesFor(kept));
  const count = sizeOf(shapeOf(axes));
  const shape = keepDims ? x.shape.map((extent, axis) => (axes.includes(axis) ? 1 : extent)) : shapeOf(kept);
  return makeHost(x.type, shape, (i) => {
    const from = outer(i);
    let sum = start;
    for (let j = 0; j < count; j++) sum = step(sum, x.data[from + inner(j)]);
    return end(sum, count);
  });
}

/** Concatenates values along an axis. */
export function hostConcat(values: readonly HostValue[], axis: number): HostValue {
  const [first] = values;
  for (const value of values) {
    if (value.rank !== first.rank || value.shape.some((extent, i) => i !== axis && extent !== first.shape[i]))
      throw new ShapeError(`concat: [${first.shape}] and [${value.shape}] differ on an axis other than ${axis}`);
  }
  const shape = first.shape.map((extent, i) => (i === axis ? values.reduce((sum, value) => sum + value.shape[axis], 0) : extent));
  const result = makeHost(first.type, shape);
  const outer = sizeOf(shape.slice(0, axis));
  let at = 0;
  for (let o = 0; o < outer; o++) {
    for (const value of values) {
      const run = sizeOf(value.shape.slice(axis));
      result.data.set(value.data.subarray(o * run, (o + 1) * run), at);
      at += run;
    }
  }
  return result;
}
