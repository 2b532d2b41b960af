/** Cross-entropy loss of logits [rows, columns] with one label per row, averaged over the rows, and its gradient. */
import type { Backend, Storage } from '../backend.js';
import { ValueError } from '../errors.js';
import { HEAVY_GRAIN } from './elementwise.js';
import type { WasmEngine } from './runtime/engine.js';

export function crossEntropy(engine: WasmEngine): Pick<Backend, 'crossEntropy' | 'crossEntropyGrad'> {
  /** Checks the labels, since the kernels use them as indices without a check. */
  function checkLabels(labels: Storage, rows: number, columns: number): void {
    const classes = engine.int32(engine.pointer(labels), rows);
    for (let row = 0; row < rows; row++) {
      if (classes[row] >= 0 && classes[row] < columns) continue;
      throw new ValueError(`crossEntropy: label of row ${row} is ${classes[row]}, expected a class from 0 to ${columns - 1}`);
    }
  }

  return {
    crossEntropy(loss, x, labels, { rows, columns }) {
      engine.expect('crossEntropy', 'float32', loss, x);
      engine.expect('crossEntropy', 'int32', labels);
      checkLabels(labels, rows, columns);
      engine.temporary(rows * 8, (losses) => {
        const grain = HEAVY_GRAIN / columns;
        engine.parallel('crossEntropyRows', rows, grain, losses, engine.pointer(x), engine.pointer(labels), columns);
        engine.kernels.crossEntropyMean(engine.pointer(loss), losses, rows);
      });
    },

    crossEntropyGrad(dx, dloss, x, labels, { rows, columns }) {
      engine.expect('crossEntropyGrad', 'float32', dx, dloss, x);
      engine.expect('crossEntropyGrad', 'int32', labels);
      checkLabels(labels, rows, columns);
      const pointers = [engine.pointer(dx), engine.pointer(dloss), engine.pointer(x), engine.pointer(labels)] as const;
      engine.parallel('crossEntropyGrad', rows, HEAVY_GRAIN / columns, ...pointers, rows, columns);
    },
  };
}
