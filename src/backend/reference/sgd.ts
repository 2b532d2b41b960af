/** Kernels that update weights in place: a step of SGD, and the limit on the root mean square of filters (paper, section 3). */
import type { Backend } from '../backend.js';
import { values } from './storage.js';

export const sgd: Pick<Backend, 'sgd' | 'clipRms'> = {
  sgd(w, velocity, grad, p) {
    const weight = values(w);
    const g = values(grad);
    const v = velocity === null || p.momentum === 0 ? null : values(velocity);
    for (let i = 0; i < weight.length; i++) {
      let step = g[i] + p.weightDecay * weight[i];
      if (v !== null) {
        const speed = p.first ? step : p.momentum * v[i] + (1 - p.dampening) * step;
        v[i] = speed;
        step = p.nesterov ? step + p.momentum * speed : speed;
      }
      weight[i] -= p.lr * step;
    }
  },

  clipRms(w, rows, columns, max) {
    const weight = values(w);
    for (let row = 0; row < rows; row++) {
      const start = row * columns;
      let squares = 0;
      for (let i = 0; i < columns; i++) squares += weight[start + i] ** 2;
      const rms = Math.sqrt(squares / columns);
      if (!(rms > max)) continue;
      for (let i = 0; i < columns; i++) weight[start + i] *= max / rms;
    }
  },
};
