/** Sum of squares, for the norm of gradients. */
import type { Backend } from '../backend.js';
import type { WasmEngine } from './runtime/engine.js';

/** Elements per partial sum; the same in assembly/sum_squares.ts. */
const BLOCK = 16384;

export const sumSquares = (engine: WasmEngine): Pick<Backend, 'sumSquares'> => ({
  sumSquares(y, x) {
    engine.expect('sumSquares', 'float32', y, x);
    const blocks = Math.ceil(x.size / BLOCK);
    engine.temporary(blocks * 8, (sums) => {
      engine.parallel('sumSquaresBlocks', blocks, 2, sums, engine.pointer(x), x.size);
      engine.kernels.sumSquaresTotal(engine.pointer(y), sums, blocks);
    });
  },
});
