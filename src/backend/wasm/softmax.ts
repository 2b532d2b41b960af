/** Softmax and log-softmax along the rows of [rows, columns], and their gradients. */
import type { Backend, Storage } from '../backend.js';
import type { RowParams } from '../params.js';
import { HEAVY_GRAIN } from './elementwise.js';
import type { WasmEngine } from './runtime/engine.js';

type SoftmaxKernels = Pick<Backend, 'softmax' | 'softmaxGrad' | 'logSoftmax' | 'logSoftmaxGrad'>;

export function softmax(engine: WasmEngine): SoftmaxKernels {
  function forward(name: 'softmax' | 'logSoftmax', y: Storage, x: Storage, { rows, columns }: RowParams): void {
    engine.expect(name, 'float32', y, x);
    engine.parallel(name, rows, HEAVY_GRAIN / columns, engine.pointer(y), engine.pointer(x), columns);
  }

  function backward(name: 'softmaxGrad' | 'logSoftmaxGrad', dx: Storage, dy: Storage, y: Storage, { rows, columns }: RowParams): void {
    engine.expect(name, 'float32', dx, dy, y);
    engine.parallel(name, rows, HEAVY_GRAIN / columns, engine.pointer(dx), engine.pointer(dy), engine.pointer(y), columns);
  }

  return {
    softmax: (y, x, p) => forward('softmax', y, x, p),
    softmaxGrad: (dx, dy, y, p) => backward('softmaxGrad', dx, dy, y, p),
    logSoftmax: (y, x, p) => forward('logSoftmax', y, x, p),
    logSoftmaxGrad: (dx, dy, y, p) => backward('logSoftmaxGrad', dx, dy, y, p),
  };
}
