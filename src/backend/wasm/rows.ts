/**
 * Strided views as arguments of kernels. Adjacent axes are merged where possible; the last axis is the row over which a kernel loops, and
 * the others become a table for assembly/odometer.ts.
 */

/** One axis of two views: size and strides in elements. */
export type Axis = readonly [size: number, strideA: number, strideB: number];

/** Removes axes of size 1 and merges adjacent axes that are contiguous in both views. Returns at least one axis. */
export function mergeAxes(axes: readonly Axis[]): Axis[] {
  const merged: Axis[] = [];
  for (const axis of axes) {
    if (axis[0] === 1) continue;
    const outer = merged.at(-1);
    if (outer && outer[1] === axis[0] * axis[1] && outer[2] === axis[0] * axis[2]) {
      merged[merged.length - 1] = [outer[0] * axis[0], axis[1], axis[2]];
    } else {
      merged.push(axis);
    }
  }
  return merged.length > 0 ? merged : [[1, 1, 1]];
}

/** Returns the axes of one or two views of equal shape. */
export const axesOf = (shape: readonly number[], stridesA: readonly number[], stridesB: readonly number[] = stridesA): Axis[] =>
  shape.map((size, axis) => [size, stridesA[axis], stridesB[axis]]);

/** Returns the number of positions of the axes. */
export const countOf = (axes: readonly Axis[]): number => axes.reduce((count, [size]) => count * size, 1);

/** Returns the table for assembly/odometer.ts: rank, then size and strides of each axis. */
export const tableOf = (axes: readonly Axis[]): number[] => [axes.length, ...axes.flat()];
