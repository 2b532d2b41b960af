/** Checks of elements: that all are finite, or that all are indices. */
import type { Backend } from '../backend.js';
import { NonFiniteError, ValueError } from '../errors.js';
import { GRAIN } from './elementwise.js';
import type { WasmEngine } from './runtime/engine.js';

export const checks = (engine: WasmEngine): Pick<Backend, 'checkFinite' | 'checkIndices'> => ({
  checkFinite(x, op) {
    if (x.dtype !== 'float32') return; // whole numbers are finite
    const found = engine.temporary(4, (count) => {
      engine.int32(count, 1)[0] = 0;
      engine.parallel('countNonFinite', x.size, GRAIN, count, engine.readingPointer(x));
      return engine.int32(count, 1)[0];
    });
    if (found > 0) throw new NonFiniteError(op, found, x.size);
  },

  checkIndices(indices, size, describe) {
    engine.expect('checkIndices', 'int32', indices);
    const values = engine.int32(engine.readingPointer(indices), indices.size);
    for (let i = 0; i < values.length; i++) {
      if (values[i] < 0 || values[i] >= size) throw new ValueError(describe(values[i], i));
    }
  },
});
