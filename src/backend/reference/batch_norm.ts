/** Batch normalisation over [n, channels, inner], and normalisation of rows (group and layer normalisation), with their gradients. */
import type { Backend, Storage, TypedArray } from '../backend.js';
import type { BatchNormParams, GroupNormParams } from '../params.js';
import { values } from './storage.js';

type NormKernels = Pick<Backend, 'batchNorm' | 'batchNormGrad' | 'groupNorm' | 'groupNormGrad' | 'groupNormParamGrad'>;

const optional = (storage: Storage | null): TypedArray | null => (storage === null ? null : values(storage));

/** Indices of the elements of one channel. */
function* channelOf(c: number, { n, channels, inner }: BatchNormParams): Generator<number> {
  for (let item = 0; item < n; item++) {
    const start = (item * channels + c) * inner;
    for (let i = 0; i < inner; i++) yield start + i;
  }
}

/** Mean and biased variance of some elements, in two passes. */
function statistics(input: TypedArray, indices: () => Iterable<number>, count: number): [mean: number, variance: number] {
  let sum = 0;
  for (const i of indices()) sum += input[i];
  const mean = sum / count;
  let squares = 0;
  for (const i of indices()) squares += (input[i] - mean) ** 2;
  return [mean, squares / count];
}

export const batchNorm: NormKernels = {
  batchNorm({ y, mean, variance }, { x, weight, bias }, p) {
    const [out, means, variances, input] = [values(y), values(mean), values(variance), values(x)];
    const [scales, shifts] = [optional(weight), optional(bias)];
    for (let c = 0; c < p.channels; c++) {
      if (p.training) [means[c], variances[c]] = statistics(input, () => channelOf(c, p), p.n * p.inner);
      const factor = (scales?.[c] ?? 1) / Math.sqrt(variances[c] + p.epsilon);
      for (const i of channelOf(c, p)) {
        const value = (input[i] - means[c]) * factor + (shifts?.[c] ?? 0);
        out[i] = p.relu ? Math.max(value, 0) : value;
      }
    }
  },

  /** In training, dx = weight / √(variance + epsilon) · (dy − mean of dy − x̂ · mean of dy · x̂). */
  batchNormGrad({ dx, dweight, dbias }, { dy, x, mean, variance, weight }, p) {
    const [gradient, input, means, variances] = [values(dy), values(x), values(mean), values(variance)];
    const [out, scales] = [optional(dx), optional(weight)];
    const count = p.n * p.inner;
    for (let c = 0; c < p.channels; c++) {
      const inverse = 1 / Math.sqrt(variances[c] + p.epsilon);
      let sum = 0;
      let products = 0;
      for (const i of channelOf(c, p)) {
        sum += gradient[i];
        products += gradient[i] * (input[i] - means[c]) * inverse;
      }
      values(dbias)[c] = sum;
      values(dweight)[c] = products;
      if (out === null) continue;
      const factor = (scales?.[c] ?? 1) * inverse;
      for (const i of channelOf(c, p)) {
        const through = p.training ? (sum + (input[i] - means[c]) * inverse * products) / count : 0;
        out[i] = factor * (gradient[i] - through);
      }
    }
  },

  groupNorm({ y, mean, variance }, { x, weight, bias }, p) {
    const [out, means, variances, input] = [values(y), values(mean), values(variance), values(x)];
    const [scales, shifts] = [optional(weight), optional(bias)];
    for (let row = 0; row < p.rows; row++) {
      [means[row], variances[row]] = statistics(input, () => rowOf(row, p), p.channels * p.inner);
      const inverse = 1 / Math.sqrt(variances[row] + p.epsilon);
      for (const i of rowOf(row, p)) {
        const channel = channelIn(i, row, p);
        out[i] = (input[i] - means[row]) * inverse * (scales?.[channel] ?? 1) + (shifts?.[channel] ?? 0);
      }
    }
  },

  /** As for batch normalisation in training, with dy · weight in the place of dy. */
  groupNormGrad({ dx }, { dy, x, mean, variance, weight }, p) {
    const [out, gradient, input, means, variances] = [values(dx), values(dy), values(x), values(mean), values(variance)];
    const scales = optional(weight);
    const count = p.channels * p.inner;
    for (let row = 0; row < p.rows; row++) {
      const inverse = 1 / Math.sqrt(variances[row] + p.epsilon);
      const scaled = (i: number) => gradient[i] * (scales?.[channelIn(i, row, p)] ?? 1);
      let sum = 0;
      let products = 0;
      for (const i of rowOf(row, p)) {
        sum += scaled(i);
        products += scaled(i) * (input[i] - means[row]) * inverse;
      }
      for (const i of rowOf(row, p)) out[i] = inverse * (scaled(i) - (sum + (input[i] - means[row]) * inverse * products) / count);
    }
  },

  groupNormParamGrad({ dweight, dbias }, { dy, x, mean, variance }, p) {
    const [products, sums, gradient, input] = [values(dweight), values(dbias), values(dy), values(x)];
    const [means, variances] = [values(mean), values(variance)];
    const totals = new Float64Array(2 * p.groups * p.channels); // summed in float64 independent of the type of the outputs
    for (let row = 0; row < p.rows; row++) {
      const inverse = 1 / Math.sqrt(variances[row] + p.epsilon);
      for (const i of rowOf(row, p)) {
        const channel = channelIn(i, row, p);
        totals[2 * channel] += gradient[i];
        totals[2 * channel + 1] += gradient[i] * (input[i] - means[row]) * inverse;
      }
    }
    for (let channel = 0; channel < p.groups * p.channels; channel++) [sums[channel], products[channel]] = totals.subarray(2 * channel);
  },
};

/** Indices of the elements of one row. */
function* rowOf(row: number, { channels, inner }: GroupNormParams): Generator<number> {
  const columns = channels * inner;
  for (let i = row * columns; i < (row + 1) * columns; i++) yield i;
}

/** The channel of element i of a row. */
const channelIn = (i: number, row: number, { groups, channels, inner }: GroupNormParams): number =>
  (row % groups) * channels + (Math.floor(i / inner) % channels);
