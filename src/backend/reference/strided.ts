/** Iteration over strided views: the offsets of the rows. Kernels loop over the rows and over the last axis. */

/** Returns the length of the last axis; 1 for a scalar. */
export const rowLength = (shape: readonly number[]): number => shape.at(-1) ?? 1;

/** Returns the stride of the last axis; 0 for a scalar. */
export const rowStride = (strides: readonly number[]): number => strides.at(-1) ?? 0;

/** Returns the offset of each row, that is, of each position of all axes except the last, in row-major order. */
export function rowOffsets(shape: readonly number[], strides: readonly number[], start = 0): number[] {
  let offsets = [start];
  for (let axis = 0; axis < shape.length - 1; axis++) {
    const next: number[] = [];
    for (const offset of offsets) {
      for (let i = 0; i < shape[axis]; i++) next.push(offset + i * strides[axis]);
    }
    offsets = next;
  }
  return offsets;
}
