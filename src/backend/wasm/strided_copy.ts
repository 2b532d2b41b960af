/** Copy of a strided block to a strided block. */
import type { Backend } from '../backend.js';
import { GRAIN } from './elementwise.js';
import { type Axis, axesOf, countOf, mergeAxes, tableOf } from './rows.js';
import type { WasmEngine } from './runtime/engine.js';

/** Minimum size of both axes for the blocked transposition. */
const BLOCK = 8;

/** Yields the offsets of every position of the axes in both views. */
function* positions(axes: readonly Axis[], offsetA = 0, offsetB = 0): Generator<readonly [number, number]> {
  if (axes.length === 0) {
    yield [offsetA, offsetB];
    return;
  }
  const [[size, strideA, strideB], ...rest] = axes;
  for (let i = 0; i < size; i++) yield* positions(rest, offsetA + i * strideA, offsetB + i * strideB);
}

export const stridedCopy = (engine: WasmEngine): Pick<Backend, 'stridedCopy'> => ({
  stridedCopy(y, x, { shape, yOffset, yStrides, xOffset, xStrides }) {
    engine.expect('stridedCopy', x.dtype, y);
    if (y.size === 0 || shape.includes(0)) return;
    // Iterates in the order of y's memory, so that the rows written are as long as possible.
    const order = axesOf(shape, yStrides, xStrides).sort((a, b) => Math.abs(b[1]) - Math.abs(a[1]));
    const axes = mergeAxes(order);
    const [length, strideY, strideX] = axes.pop()!;
    const bytes = y.dtype === 'uint8' ? 1 : 4;
    const to = engine.pointer(y) + yOffset * bytes;
    const from = engine.pointer(x) + xOffset * bytes;

    const adjacent = axes.findIndex(([size, , stride]) => stride === 1 && size >= BLOCK);
    if (bytes === 4 && strideY === 1 && strideX !== 1 && length >= BLOCK && adjacent >= 0) {
      // Adjacent elements of x are in one column of y: a transposition.
      const [[columns, columnStep]] = axes.splice(adjacent, 1);
      for (const [a, b] of positions(axes)) {
        const grain = GRAIN / 4 / length;
        engine.parallel('transpose', Math.ceil(columns / 4), grain, to + a * 4, columnStep, from + b * 4, strideX, length, columns);
      }
      return;
    }
    const table = engine.parameters(tableOf(axes));
    const name = bytes === 1 ? 'stridedCopy1' : 'stridedCopy4';
    engine.parallel(name, countOf(axes), GRAIN / length, to, from, table, length, strideY, strideX);
  },
});
