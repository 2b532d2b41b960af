/**
 * The reference backend: plain loops over typed arrays that follow each kernel's definition, computed in float64 and
 * rounded only when stored. It is what every other backend is proved equal to, and the fallback where there is no WASM SIMD.
 */
import type { Backend } from '../backend.js';
import { channel } from './channel.js';
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

export interface ReferenceOptions {
  /** Why this backend stands in for the one asked for; shown by `info()`. */
  fallbackBecause?: string;
  /** The most bytes that tensors may hold at once; none by default. */
  limitBytes?: number;
}

export function createReferenceBackend(options: ReferenceOptions = {}): Backend {
  return {
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
    ...reduce,
    ...softmax,
    ...crossEntropy,
    ...sgd,
  };
}
