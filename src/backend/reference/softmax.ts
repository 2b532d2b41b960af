/** Softmax and log-softmax along the rows of [rows, columns], and their gradients. */
import type { Backend } from '../backend.js';
import { logSumExp } from './row.js';
import { values } from './storage.js';

export const softmax: Pick<Backend, 'softmax' | 'softmaxGrad' | 'logSoftmax' | 'logSoftmaxGrad'> = {
  softmax(y, x, { rows, columns }) {
    const out = values(y);
    const input = values(x);
    for (let row = 0; row < rows; row++) {
      const start = row * columns;
      const total = logSumExp(input, start, columns);
      for (let i = 0; i < columns; i++) out[start + i] = Math.exp(input[start + i] - total);
    }
  },

  softmaxGrad(dx, dy, y, { rows, columns }) {
    const out = values(dx);
    const gradient = values(dy);
    const output = values(y);
    for (let row = 0; row < rows; row++) {
      const start = row * columns;
      let dot = 0;
      for (let i = 0; i < columns; i++) dot += gradient[start + i] * output[start + i];
      for (let i = 0; i < columns; i++) out[start + i] = output[start + i] * (gradient[start + i] - dot);
    }
  },

  logSoftmax(y, x, { rows, columns }) {
    const out = values(y);
    const input = values(x);
    for (let row = 0; row < rows; row++) {
      const start = row * columns;
      const total = logSumExp(input, start, columns);
      for (let i = 0; i < columns; i++) out[start + i] = input[start + i] - total;
    }
  },

  logSoftmaxGrad(dx, dy, y, { rows, columns }) {
    const out = values(dx);
    const gradient = values(dy);
    const output = values(y);
    for (let row = 0; row < rows; row++) {
      const start = row * columns;
      let sum = 0;
      for (let i = 0; i < columns; i++) sum += gradient[start + i];
      for (let i = 0; i < columns; i++) out[start + i] = gradient[start + i] - Math.exp(output[start + i]) * sum;
    }
  },
};
