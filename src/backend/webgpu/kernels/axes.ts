/** Strided views as parameters of kernels: adjacent axes are merged, and the shader finds the offsets of a position on the rest. */
import type { ParamField } from '../kernel.js';

/** One axis of two views: size and strides in elements. */
export type Axis = readonly [size: number, strideA: number, strideB: number];

/** Returns the axes of two views of equal shape. */
export const axesOf = (shape: readonly number[], stridesA: readonly number[], stridesB: readonly number[]): Axis[] =>
  shape.map((size, axis) => [size, stridesA[axis], stridesB[axis]]);

/** Removes axes of size 1 and merges adjacent axes that are contiguous in both views. Returns at least one axis. */
export function mergeAxes(axes: readonly Axis[]): Axis[] {
  const merged: Axis[] = [];
  for (const axis of axes) {
    if (axis[0] === 1) continue;
    const outer = merged.at(-1);
    if (outer && outer[1] === axis[0] * axis[1] && outer[2] === axis[0] * axis[2])
      merged[merged.length - 1] = [outer[0] * axis[0], axis[1], axis[2]];
    else merged.push(axis);
  }
  return merged.length > 0 ? merged : [[1, 1, 1]];
}

/** Parameters of `indexCode`: size and strides of each axis. */
export const INDEX_PARAMS = (rank: number): ParamField[] =>
  Array.from({ length: rank }, (_, axis): ParamField[] => [
    [`size${axis}`, 'u32'],
    [`strideA${axis}`, 'i32'],
    [`strideB${axis}`, 'i32'],
  ]).flat();

/** Values of `INDEX_PARAMS`. */
export const indexValues = (axes: readonly Axis[]): number[] => axes.flat();

/** Statements that compute `offsetA` and `offsetB` (i32) of the row-major position `i`, from `startA` and `startB`. */
export function indexCode(rank: number, startA = '0', startB = '0'): string {
  const lines = ['var rest = i;', `var offsetA = ${startA};`, `var offsetB = ${startB};`];
  for (let axis = rank - 1; axis >= 0; axis--) {
    const position = axis === 0 ? 'rest' : `rest % p.size${axis}`;
    lines.push(`let at${axis} = i32(${position});`);
    lines.push(`offsetA = offsetA + at${axis} * p.strideA${axis};`, `offsetB = offsetB + at${axis} * p.strideB${axis};`);
    if (axis > 0) lines.push(`rest = rest / p.size${axis};`);
  }
  return lines.join('\n  ');
}
