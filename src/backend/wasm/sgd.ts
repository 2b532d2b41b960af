/** Kernels that update weights in place: a step of SGD, and the limit on the root mean square of filters (paper, section 3). */
import type { Backend } from '../backend.js';
import { GRAIN } from './elementwise.js';
import type { WasmEngine } from './runtime/engine.js';

export const sgd = (engine: WasmEngine): Pick<Backend, 'sgd' | 'clipRms'> => ({
  sgd(w, velocity, grad, p) {
    engine.expect('sgd', 'float32', w, grad);
    const [weights, gradient] = [engine.pointer(w), engine.pointer(grad)];
    if (velocity === null || p.momentum === 0) {
      engine.parallel('sgd', w.size, GRAIN, weights, gradient, p.lr, p.weightDecay);
      return;
    }
    engine.expect('sgd', 'float32', velocity);
    const rates = [p.lr, p.weightDecay, p.momentum, 1 - p.dampening] as const;
    const flags = [p.first ? 1 : 0, p.nesterov ? 1 : 0] as const;
    engine.parallel('sgdMomentum', w.size, GRAIN, weights, engine.pointer(velocity), gradient, ...rates, ...flags);
  },

  clipRms(w, rows, columns, max) {
    engine.expect('clipRms', 'float32', w);
    engine.parallel('clipRms', rows, GRAIN / columns, engine.pointer(w), columns, max);
  },
});
