/**
 * The reference backend: each kernel as plain loops that follow its definition, computed in float64 and rounded only when stored. All
 * other backends are tested against it. It is also the fallback for runtimes without WebAssembly SIMD.
 */
import type { Backend } from '../backend.js';
import { profileKernels } from '../profiling.js';
import { adam } from './adam.js';
import { batchNorm } from './batch_norm.js';
import { channel } from './channel.js';
import { checks } from './checks.js';
import { conv2d } from './conv2d.js';
import { crossEntropy } from './cross_entropy.js';
import { dropout } from './dropout.js';
import { elementwise } from './elementwise.js';
import { linear } from './linear.js';
import { matmul } from './matmul.js';
import { normalize } from './normalize.js';
import { pool2d } from './pool2d.js';
import { random } from './random.js';
import { reduce } from './reduce.js';
import { sgd } from './sgd.js';
import { softmax } from './softmax.js';
import { createStoragePart } from './storage.js';
import { stridedCopy } from './strided_copy.js';
import { sumSquares } from './sum_squares.js';

/** Options of the reference backend. */
export interface ReferenceOptions {
  /** The reason why this backend replaces the requested one; part of `info()`. */
  fallbackBecause?: string;
  /** Maximum number of bytes allocated for tensors. Default: 4 GiB, the limit of a WebAssembly memory. */
  limitBytes?: number;
}

/** Creates a reference backend with its own memory statistics. */
export function createReferenceBackend(options: ReferenceOptions = {}): Backend {
  const backend: Backend = {
    name: 'reference',
    info: () => ({
      backend: 'reference',
      variant: 'typescript float64',
      threads: 1,
      threadsOffBecause: 'the reference backend is single-threaded',
      ...(options.fallbackBecause === undefined ? {} : { fallbackBecause: options.fallbackBecause }),
      mode: 'strict',
    }),
    ...createStoragePart(options.limitBytes),
    profileKernels: (listener) => {
      const end = profileKernels(backend, listener);
      return async () => [{ name: 'main thread', busyMs: end() }];
    },
    ...checks,
    ...elementwise,
    ...dropout,
    ...stridedCopy,
    ...random,
    ...matmul,
    ...linear,
    ...conv2d,
    ...channel,
    ...pool2d,
    ...normalize,
    ...batchNorm,
    ...reduce,
    ...softmax,
    ...crossEntropy,
    ...sgd,
    ...adam,
    ...sumSquares,
  };
  return backend;
}
