/** Cross-entropy loss of logits [rows, columns] with one label per row, averaged over the rows, and its gradient. */
import type { Backend } from '../backend.js';
import { ValueError } from '../errors.js';
import { logSumExp } from './row.js';
import { values } from './storage.js';

function checkLabel(label: number, row: number, columns: number): void {
  if (label < 0 || label >= columns) {
    throw new ValueError(`crossEntropy: label of row ${row} is ${label}, expected a class from 0 to ${columns - 1}`);
  }
}

export const crossEntropy: Pick<Backend, 'crossEntropy' | 'crossEntropyGrad'> = {
  crossEntropy(loss, x, labels, { rows, columns }) {
    const logits = values(x);
    const classes = values(labels);
    let sum = 0;
    for (let row = 0; row < rows; row++) {
      checkLabel(classes[row], row, columns);
      sum += logSumExp(logits, row * columns, columns) - logits[row * columns + classes[row]];
    }
    values(loss)[0] = sum / rows;
  },

  crossEntropyGrad(dx, dloss, x, labels, { rows, columns }) {
    const out = values(dx);
    const scale = values(dloss)[0] / rows;
    const logits = values(x);
    const classes = values(labels);
    for (let row = 0; row < rows; row++) {
      checkLabel(classes[row], row, columns);
      const start = row * columns;
      const total = logSumExp(logits, start, columns);
      for (let i = 0; i < columns; i++) {
        const probability = Math.exp(logits[start + i] - total);
        out[start + i] = scale * (i === classes[row] ? probability - 1 : probability);
      }
    }
  },
};
