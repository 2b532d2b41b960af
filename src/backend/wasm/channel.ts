/** A bias per channel and its gradient, over [n, channels, inner]. */
import type { Backend } from '../backend.js';
import { GRAIN } from './elementwise.js';
import { reduce } from './reduce.js';
import type { WasmEngine } from './runtime/engine.js';

export function channel(engine: WasmEngine): Pick<Backend, 'channelSum' | 'channelAdd'> {
  const { reduce: reduceView } = reduce(engine);
  return {
    channelSum(db, dy, n, channels, inner) {
      reduceView(db, dy, 'sum', {
        keptShape: [channels],
        keptStrides: [inner],
        reducedShape: [n, inner],
        reducedStrides: [channels * inner, 1],
      });
    },

    channelAdd(y, b, n, channels, inner) {
      engine.expect('channelAdd', 'float32', y, b);
      const pointers = [engine.pointer(y), engine.pointer(b)] as const;
      if (inner === 1) engine.parallel('rowAdd', n, GRAIN / channels, ...pointers, channels);
      else engine.parallel('channelAdd', n * channels, GRAIN / inner, ...pointers, channels, inner);
    },
  };
}
