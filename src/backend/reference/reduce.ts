/** Reductions over axes of a strided view: sum, mean, maximum, minimum and argmax. */
import type { Backend } from '../backend.js';
import type { ReduceParams } from '../params.js';
import { values } from './storage.js';
import { rowLength, rowOffsets, rowStride } from './strided.js';

/** Returns the offset of each position of the kept axes, in row-major order. */
function keptOffsets(p: ReduceParams): number[] {
  const length = rowLength(p.keptShape);
  const step = rowStride(p.keptStrides);
  return rowOffsets(p.keptShape, p.keptStrides).flatMap((row) => Array.from({ length }, (_, i) => row + i * step));
}

export const reduce: Pick<Backend, 'reduce' | 'argmax' | 'topk'> = {
  /** The result is NaN if one of the elements is NaN. */
  reduce(y, x, op, p) {
    const out = values(y);
    const input = values(x);
    const kept = keptOffsets(p);
    const rows = rowOffsets(p.reducedShape, p.reducedStrides);
    const length = rowLength(p.reducedShape);
    const step = rowStride(p.reducedStrides);
    const count = rows.length * length;
    for (let o = 0; o < kept.length; o++) {
      let result = op === 'max' ? Number.NEGATIVE_INFINITY : op === 'min' ? Number.POSITIVE_INFINITY : 0;
      for (const row of rows) {
        const start = kept[o] + row;
        if (op === 'max') {
          for (let i = 0; i < length; i++) result = Math.max(result, input[start + i * step]);
        } else if (op === 'min') {
          for (let i = 0; i < length; i++) result = Math.min(result, input[start + i * step]);
        } else {
          for (let i = 0; i < length; i++) result += input[start + i * step];
        }
      }
      out[o] = op === 'mean' ? result / count : result;
    }
  },

  /** NaN counts as larger than all numbers, as in PyTorch: the result is the index of the first NaN. */
  argmax(y, x, p) {
    const out = values(y);
    const input = values(x);
    const kept = keptOffsets(p);
    const rows = rowOffsets(p.reducedShape, p.reducedStrides);
    const length = rowLength(p.reducedShape);
    const step = rowStride(p.reducedStrides);
    for (let o = 0; o < kept.length; o++) {
      let best = Number.NEGATIVE_INFINITY;
      let place = 0;
      for (let row = 0; row < rows.length; row++) {
        const start = kept[o] + rows[row];
        for (let i = 0; i < length; i++) {
          const value = input[start + i * step];
          if (value > best || (Number.isNaN(value) && !Number.isNaN(best))) {
            best = value;
            place = row * length + i;
          }
        }
      }
      out[o] = place;
    }
  },

  topk(indices, x, { rows, columns }, count, largest) {
    const out = values(indices);
    const input = values(x);
    // NaN is larger than every number.
    const rank = (value: number) => (Number.isNaN(value) ? 1 : 0);
    for (let row = 0; row < rows; row++) {
      const start = row * columns;
      const order = Array.from({ length: columns }, (_, i) => i).sort((i, j) => {
        const [a, b] = largest ? [input[start + j], input[start + i]] : [input[start + i], input[start + j]];
        return rank(a) - rank(b) || (a < b ? -1 : a > b ? 1 : i - j);
      });
      for (let i = 0; i < count; i++) out[row * count + i] = order[i];
    }
  },
};
