/** Copying a strided block into a strided block. */
import type { Backend } from '../backend.js';
import { GRAIN } from './elementwise.js';
import type { WasmEngine } from './engine.js';
import { axesOf, countOf, mergeAxes, tableOf } from './rows.js';

export const stridedCopy = (engine: WasmEngine): Pick<Backend, 'stridedCopy'> => ({
  stridedCopy(y, x, { shape, yOffset, yStrides, xOffset, xStrides }) {
    engine.expect('stridedCopy', x.dtype, y);
    if (shape.includes(0)) return;
    // Written in the order of y's memory, so that its rows are as long as can be.
    const order = axesOf(shape, yStrides, xStrides).sort((a, b) => Math.abs(b[1]) - Math.abs(a[1]));
    const axes = mergeAxes(order);
    const [length, strideY, strideX] = axes.pop()!;
    const bytes = y.dtype === 'uint8' ? 1 : 4;
    const to = engine.pointer(y) + yOffset * bytes;
    const from = engine.pointer(x) + xOffset * bytes;
    const table = engine.parameters(tableOf(axes));
    const name = bytes === 1 ? 'stridedCopy1' : 'stridedCopy4';
    engine.parallel(name, countOf(axes), GRAIN / length, to, from, table, length, strideY, strideX);
  },
});
