/** Dropout. The mask is a function of the Philox word of each element, so that the backward step can compute it again. */
import type { Backend } from '../backend.js';
import { HEAVY_GRAIN, inputOf } from './elementwise.js';
import type { WasmEngine } from './runtime/engine.js';

export const dropout = (engine: WasmEngine): Pick<Backend, 'dropout'> => ({
  dropout(y, input, { probability, seed, counter }) {
    const x = inputOf(input, y);
    engine.expect('dropout', 'float32', y, x);
    const threshold = Math.floor(probability * 2 ** 32);
    if (threshold >= 2 ** 32) {
      engine.parallel('fill', Math.ceil(y.size / 4), HEAVY_GRAIN, engine.pointer(y), 0);
      return;
    }
    const scale = 1 / (1 - probability);
    engine.parallel('dropout', y.size, HEAVY_GRAIN, engine.pointer(y), engine.pointer(x), threshold, scale, seed, counter);
  },
});
