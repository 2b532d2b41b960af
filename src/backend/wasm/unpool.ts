/** Unpooling by switches (the gradient of max pooling) and its gradient. */
import type { Backend } from '../backend.js';
import { GRAIN } from './elementwise.js';
import type { WasmEngine } from './runtime/engine.js';

export const unpool = (engine: WasmEngine): Pick<Backend, 'maxUnpool2d' | 'maxUnpool2dGrad'> => ({
  maxUnpool2d(x, y, switches, { planes, inner, outer, overlap }) {
    engine.expect('maxUnpool2d', 'float32', x, y);
    engine.expect('maxUnpool2d', 'int32', switches);
    const pointers = [engine.pointer(x), engine.pointer(y), engine.pointer(switches)] as const;
    engine.parallel('maxUnpool2d', planes, GRAIN / (inner + outer), ...pointers, inner, outer, overlap === 'sum' ? 1 : 0);
  },

  maxUnpool2dGrad(dy, dx, switches, { planes, inner, outer }) {
    engine.expect('maxUnpool2dGrad', 'float32', dy, dx);
    engine.expect('maxUnpool2dGrad', 'int32', switches);
    const pointers = [engine.pointer(dy), engine.pointer(dx), engine.pointer(switches)] as const;
    engine.parallel('maxUnpool2dGrad', planes, GRAIN / inner, ...pointers, inner, outer);
  },
});
