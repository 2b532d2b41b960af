/** Initial weights. */
import { type Generator, RangeOfValueError, randn, type Tensor, uniform } from '../tensor/index.js';
import { type Module, parameter } from './module.js';

/**
 * - `paper`: N(0, 10⁻²), the paper's "all weights 10⁻²" read as a deviation
 * - `he`: N(0, 2 / fan in) (He et al. 2015)
 * - `glorot`: N(0, 2 / (fan in + fan out)) (Glorot & Bengio 2010)
 */
export type InitScheme = 'paper' | 'he' | 'glorot';

/** Inputs and outputs of one unit: the first axis counts units, the second inputs, the rest the kernel's places. */
function fans(shape: readonly number[]): { fanIn: number; fanOut: number } {
  const places = shape.slice(2).reduce((product, extent) => product * extent, 1);
  return { fanIn: shape[1] * places, fanOut: shape[0] * places };
}

function deviation(scheme: InitScheme, shape: readonly number[]): number {
  const { fanIn, fanOut } = fans(shape);
  switch (scheme) {
    case 'paper':
      return 1e-2;
    case 'he':
      return Math.sqrt(2 / fanIn);
    case 'glorot':
      return Math.sqrt(2 / (fanIn + fanOut));
    default:
      throw new RangeOfValueError(`init: unknown scheme '${scheme}', expected paper, he or glorot`);
  }
}

/** Draws every weight of a module anew, sets every bias (parameters of one axis) to 0 and every scale (`weight` of one axis) to 1. */
export function initialize(module: Module, scheme: InitScheme, generator?: Generator): void {
  for (const [name, target] of module.namedParameters()) {
    const storage = target.writable;
    if (target.rank < 2) target.backend.fill(storage, /(^|\.)weight$/.test(name) ? 1 : 0);
    else {
      const values = randn(target.shape, { std: deviation(scheme, target.shape), generator, backend: target.backend, dtype: target.dtype });
      target.backend.affine(storage, values.storage, 1, 0);
      values.dispose();
    }
  }
}

/** What PyTorch's layers start from: uniform within ±1 / √(fan in). */
export function pytorchDefault(shape: readonly number[]): Tensor {
  const bound = 1 / Math.sqrt(fans(shape).fanIn);
  return parameter(uniform(shape, { low: -bound, high: bound }));
}
