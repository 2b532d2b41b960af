/** Compares a computed tensor with the expected one by the rules of ONNX's own test runner. */

import type { HostValue } from '../src/formats/onnx/decoding/host_value.js';
import type { Tensor } from '../src/index.js';

/** |got − expected| ≤ ABSOLUTE + RELATIVE · |expected|: the tolerances of onnx.backend.test. */
const RELATIVE = 1e-3;
const ABSOLUTE = 1e-7;

/** Describes the difference; null where there is none. */
export function difference(got: Tensor, values: ArrayLike<number>, expected: HostValue): string | null {
  if (got.shape.join() !== expected.shape.join()) return `shape [${got.shape}], expected [${expected.shape}]`;
  const float = expected.type.includes('float');
  if (float !== got.dtype.startsWith('float')) return `type ${got.dtype}, expected ${expected.type}`;
  for (let i = 0; i < values.length; i++) {
    const [a, b] = [values[i], expected.data[i]];
    if (Object.is(a, b) || a === b) continue;
    const close = float && Math.abs(a - b) <= ABSOLUTE + RELATIVE * Math.abs(b);
    if (!close) return `${a} at place ${i}, expected ${b}`;
  }
  return null;
}

/** The largest difference, relative to the largest value. */
export function relativeError(got: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (got.length !== expected.length) return Number.POSITIVE_INFINITY;
  let worst = 0;
  let scale = 0;
  for (let i = 0; i < expected.length; i++) {
    worst = Math.max(worst, Math.abs(got[i] - expected[i]));
    scale = Math.max(scale, Math.abs(expected[i]));
  }
  return worst / scale;
}
