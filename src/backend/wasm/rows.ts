/**
 * Strided views for kernels: axes merged where memory allows, the last one split off as the row that a kernel loops over,
 * the others as a table for assembly/odometer.ts.
 */

/** One axis of two views: size and strides in elements. */
export type Axis = readonly [size: number, strideA: number, strideB: number];

/** Leaves out axes of size 1 and merges neighbours that one step crosses in both views. At least one axis comes back. */
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

export const axesOf = (shape: readonly number[], stridesA: readonly number[], stridesB: readonly number[] = stridesA): Axis[] =>
  shape.map((size, axis) => [size, stridesA[axis], stridesB[axis]]);

export const countOf = (axes: readonly Axis[]): number => axes.reduce((count, [size]) => count * size, 1);

/** The words of assembly/odometer.ts: rank, then size and strides of each axis. */
export const tableOf = (axes: readonly Axis[]): number[] => [axes.length, ...axes.flat()];
