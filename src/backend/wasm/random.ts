/** Random numbers from Philox: element i uses word i mod 4 at (seed, counter + ⌊i / 4⌋). */
import type { Backend } from '../backend.js';
import { HEAVY_GRAIN } from './elementwise.js';
import type { WasmEngine } from './runtime/engine.js';

export const random = (engine: WasmEngine): Pick<Backend, 'uniform' | 'normal'> => ({
  uniform(y, seed, counter, low, high) {
    engine.expect('uniform', 'float32', y);
    engine.parallel('uniform', y.size, HEAVY_GRAIN, engine.pointer(y), seed, counter, low, high - low);
  },

  normal(y, seed, counter, mean, std) {
    engine.expect('normal', 'float32', y);
    engine.parallel('normal', y.size, HEAVY_GRAIN, engine.pointer(y), seed, counter, mean, std);
  },
});
