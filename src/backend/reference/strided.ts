/** Walking over strided views: kernels loop over the rows found here and, inside, along the last axis themselves. */

/** Length of the last axis; a scalar has one row of one element. */
export const rowLength = (shape: readonly number[]): number => shape.at(-1) ?? 1;

/** Elements from one to the next along the last axis. */
export const rowStride = (strides: readonly number[]): number => strides.at(-1) ?? 0;

/** Where each row begins: the offset of every position of all axes but the last, in row-major order. */
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
