/** Batched matrix product of row-major matrices, each of which may be stored transposed. */
import type { Backend } from '../backend.js';
import { values } from './storage.js';

export const matmul: Pick<Backend, 'matmul'> = {
  matmul(c, a, b, p) {
    // c [batch, m, n]; a [m, k] or [k, m]; b [k, n] or [n, k]
    const { batch, m, n, k } = p;
    const out = values(c);
    const left = values(a);
    const right = values(b);
    const rowStepA = p.transposeA ? 1 : k;
    const innerStepA = p.transposeA ? m : 1;
    const innerStepB = p.transposeB ? 1 : n;
    const columnStepB = p.transposeB ? k : 1;
    for (let item = 0; item < batch; item++) {
      for (let i = 0; i < m; i++) {
        const rowA = item * p.strideA + i * rowStepA;
        for (let j = 0; j < n; j++) {
          const columnB = item * p.strideB + j * columnStepB;
          let sum = 0;
          for (let q = 0; q < k; q++) sum += left[rowA + q * innerStepA] * right[columnB + q * innerStepB];
          out[(item * m + i) * n + j] = sum;
        }
      }
    }
  },
};
