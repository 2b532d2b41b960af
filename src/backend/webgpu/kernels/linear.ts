/** Fully connected layer: a matrix product with the rows of the weights, with bias and ReLU in the same kernel. */
import type { Backend } from '../../backend.js';
import type { GpuQueue } from '../kernel.js';
import { productPlanner } from './gemm.js';
import { launchMatmul } from './matmul.js';
import { rowProducts, suitsRowProducts } from './row_products.js';
import type { PlanProduct } from './tiles.js';

/** Creates the kernel. Tests pass their own `plan`. */
export const linear = (queue: GpuQueue, plan?: PlanProduct): Pick<Backend, 'linear'> => {
  const planned = productPlanner(queue, plan);
  return {
    linear(y, x, w, b, { n, inFeatures, outFeatures, relu }) {
      if (n * outFeatures === 0) return;
      // y [n, out]; x [n, in]; w [out, in]; b [out]
      const storages = { c: queue.own(y), a: queue.own(x), b: queue.own(w) };
      const epilogue = { bias: b === null ? null : queue.own(b), relu };
      const p = { batch: 1, m: n, n: outFeatures, k: inFeatures, transposeA: false, transposeB: true, strideA: 0, strideB: 0 };
      if (plan === undefined && suitsRowProducts(p)) rowProducts(queue, storages, p, epilogue);
      else launchMatmul(queue, storages, p, epilogue, planned);
    },
  };
};
