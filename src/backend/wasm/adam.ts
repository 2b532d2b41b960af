/** Optimisers with an estimate of each gradient's square: a step of Adam, AdamW or RMSprop. */
import type { Backend, Storage } from '../backend.js';
import { GRAIN } from './elementwise.js';
import type { WasmEngine } from './runtime/engine.js';

export function adam(engine: WasmEngine): Pick<Backend, 'adam' | 'rmsprop'> {
  /** The address of a storage that may be absent; 0 is no address of a storage. */
  const optional = (storage: Storage | null) => (storage === null ? 0 : engine.pointer(storage));
  const present = (...storages: (Storage | null)[]) => storages.filter((storage) => storage !== null);

  return {
    adam({ w, mean, square, maxSquare }, { grad }, p) {
      engine.expect('adam', 'float32', ...present(w, mean, square, maxSquare, grad));
      const state = [engine.pointer(mean), engine.pointer(square), optional(maxSquare)] as const;
      const rates = [p.rate, p.beta1, 1 - p.beta1, p.beta2, 1 - p.beta2, p.eps, p.correction, p.weightDecay, p.shrink] as const;
      engine.parallel('adam', w.size, GRAIN, engine.pointer(w), ...state, engine.pointer(grad), ...rates);
    },

    rmsprop({ w, square, mean, buffer }, { grad }, p) {
      engine.expect('rmsprop', 'float32', ...present(w, square, mean, buffer, grad));
      const state = [engine.pointer(square), optional(mean), optional(buffer)] as const;
      const rates = [p.lr, p.alpha, 1 - p.alpha, p.eps, p.weightDecay, p.momentum] as const;
      engine.parallel('rmsprop', w.size, GRAIN, engine.pointer(w), ...state, engine.pointer(grad), ...rates);
    },
  };
}
