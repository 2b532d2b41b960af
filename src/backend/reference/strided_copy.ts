/** Copy of a strided block to a strided block. */
import type { Backend } from '../backend.js';
import { values } from './storage.js';
import { rowLength, rowOffsets, rowStride } from './strided.js';

export const stridedCopy: Pick<Backend, 'stridedCopy'> = {
  stridedCopy(y, x, p) {
    const out = values(y);
    const input = values(x);
    const length = rowLength(p.shape);
    const stepY = rowStride(p.yStrides);
    const stepX = rowStride(p.xStrides);
    const rowsY = rowOffsets(p.shape, p.yStrides, p.yOffset);
    const rowsX = rowOffsets(p.shape, p.xStrides, p.xOffset);
    for (let row = 0; row < rowsY.length; row++) {
      for (let i = 0; i < length; i++) out[rowsY[row] + i * stepY] = input[rowsX[row] + i * stepX];
    }
  },
};
