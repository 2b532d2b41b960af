/** Softmax regression: solutions that fulfil the optimality condition from any start, and a report if they do not. */
import { beforeAll, describe, expect, it } from 'vitest';
import { minimize } from '../../src/analysis/lbfgs.js';
import type { Matrix } from '../../src/analysis/matrix.js';
import { philox } from '../../src/backend/philox.js';
import { init } from '../../src/index.js';
import { ValueError } from '../../src/tensor/index.js';
import { fitLinear, solveSoftmax } from '../../src/zfnet/index.js';

beforeAll(() => init({ threads: 1 }));

function noise(count: number, seed: number): number[] {
  const words = new Uint32Array(4);
  return Array.from({ length: count }, (_, i) => {
    philox(seed, i, words);
    return words[0] / 2 ** 31 - 1;
  });
}

/** Overlapping classes: every feature leans towards one class. */
function problem(rows: number, columns: number, classes: number, seed = 1): { features: Matrix; labels: number[] } {
  const labels = Array.from({ length: rows }, (_, i) => i % classes);
  const values = noise(rows * columns, seed);
  const data = Float32Array.from(values, (value, at) => {
    const leans = (at % columns) % classes === labels[Math.floor(at / columns)];
    return (value + (leans ? 0.4 : 0)) / Math.sqrt(columns);
  });
  return { features: { rows, columns, data }, labels };
}

/** The gradient of ½ Σ W² + C Σ cross-entropy in float64, [classes, columns + 1]. */
function gradientOf(
  { rows, columns, data }: Matrix,
  labels: readonly number[],
  classes: number,
  c: number,
  w: ArrayLike<number>,
): number[] {
  const gradient = Array.from(w);
  const width = columns + 1;
  for (let i = 0; i < rows; i++) {
    const feature = (j: number) => (j < columns ? data[i * columns + j] : 1);
    const scores = Array.from({ length: classes }, (_, k) => {
      let sum = 0;
      for (let j = 0; j < width; j++) sum += w[k * width + j] * feature(j);
      return sum;
    });
    const powers = scores.map((score) => Math.exp(score - Math.max(...scores)));
    const sum = powers.reduce((a, b) => a + b);
    for (let k = 0; k < classes; k++) {
      const factor = c * (powers[k] / sum - (labels[i] === k ? 1 : 0));
      for (let j = 0; j < width; j++) gradient[k * width + j] += factor * feature(j);
    }
  }
  return gradient;
}

const length = (values: readonly number[]) => Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
const joined = ({ weights, biases }: { weights: Float64Array; biases: Float64Array }) => {
  const columns = weights.length / biases.length;
  return Array.from(biases).flatMap((bias, k) => [...weights.subarray(k * columns, (k + 1) * columns), bias]);
};

describe('softmax regression', () => {
  it.each([0.1, 1, 10, 1000])('ends at a vanishing gradient, for C = %f', async (c) => {
    const { features, labels } = problem(60, 40, 4);
    const found = await solveSoftmax(features, labels, 4, { c });
    const start = length(gradientOf(features, labels, 4, c, new Float64Array(4 * 41)));
    const end = length(gradientOf(features, labels, 4, c, joined(found)));
    expect(found.converged).toBe(true);
    expect(found.residual).toBeLessThanOrEqual(1e-4);
    expect(end / start).toBeLessThan(1.1e-4);
    expect(end / start).toBeCloseTo(found.residual, 5);
  });

  it('finds the same solution from different starts', async () => {
    const { features, labels } = problem(60, 40, 4, 2);
    const options = { c: 10, tolerance: 1e-5 };
    const a = joined(await solveSoftmax(features, labels, 4, options));
    const start = Float64Array.from(noise(4 * 41, 9), (value) => 10 * value);
    const b = joined(await solveSoftmax(features, labels, 4, { ...options, start }));
    expect(length(a.map((value, i) => value - b[i]))).toBeLessThan(2e-3 * length(a));
  });

  it('has the analytic solution for two examples of two classes', async () => {
    // x = ±1, weights ±w, no bias by symmetry: w = C · 2 / (1 + exp(2 w)).
    const features = { rows: 2, columns: 1, data: Float32Array.from([1, -1]) };
    for (const c of [0.1, 1, 10]) {
      let [low, high] = [0, 2 * c];
      for (let i = 0; i < 60; i++) {
        const w = (low + high) / 2;
        if (w < (2 * c) / (1 + Math.exp(2 * w))) low = w;
        else high = w;
      }
      const { weights, biases } = await solveSoftmax(features, [0, 1], 2, { c, tolerance: 1e-6 });
      expect(weights[0]).toBeCloseTo(low, 4);
      expect(weights[1]).toBeCloseTo(-low, 4);
      expect(Math.abs(biases[0])).toBeLessThan(1e-4);
    }
  });

  it('converges where a fixed number of gradient steps would not: features with one strong direction, C = 10', async () => {
    // Like the features of a low layer: a large common part, and small differences that depend on the class.
    const { features, labels } = problem(120, 300, 6, 3);
    const common = noise(120, 5);
    for (let i = 0; i < 120; i++)
      for (let j = 0; j < 300; j++) features.data[i * 300 + j] = 0.1 * features.data[i * 300 + j] + common[i] / 18;
    const { fit } = await fitLinear(features, labels, 6, { kind: 'softmax', strength: 10 });
    expect(fit.converged).toBe(true);
    expect(fit.residual).toBeLessThanOrEqual(fit.tolerance);
  });

  it('reports that it has not converged', async () => {
    const { features, labels } = problem(60, 40, 4);
    const found = await solveSoftmax(features, labels, 4, { c: 10, maxIterations: 2 });
    expect(found).toMatchObject({ converged: false, iterations: 2 });
    expect(found.residual).toBeGreaterThan(1e-4);
    for (const kind of ['softmax', 'svm'] as const) {
      const { fit } = await fitLinear(features, labels, 4, { kind, strength: 10, maxIterations: 1, tolerance: 1e-6 });
      expect(fit).toMatchObject({ converged: false, iterations: 1, tolerance: 1e-6 });
      // The fits that choose the strength count too.
      const chosen = await fitLinear(features, labels, 4, { kind, maxIterations: 1, tolerance: 1e-6 });
      expect(chosen.fit.converged).toBe(false);
    }
  });

  it('needs no iteration for constant features', async () => {
    const found = await solveSoftmax({ rows: 4, columns: 2, data: new Float32Array(8) }, [0, 1, 0, 1], 2);
    expect(found).toMatchObject({ converged: true, residual: 0, iterations: 0 });
  });

  it('refuses invalid arguments', async () => {
    const { features, labels } = problem(6, 2, 2);
    await expect(solveSoftmax(features, labels, 2, { c: 0 })).rejects.toThrow(ValueError);
    await expect(solveSoftmax(features, [0], 2)).rejects.toThrow(ValueError);
    await expect(solveSoftmax(features, labels, 2, { start: new Float64Array(1) })).rejects.toThrow(/expected 6/);
  });
});

describe('L-BFGS', () => {
  it('minimises Rosenbrock’s function to a gradient of 1e-10', async () => {
    const evaluate = async ([x, y]: Float64Array) => ({
      value: (1 - x) ** 2 + 100 * (y - x * x) ** 2,
      gradient: Float64Array.of(-2 * (1 - x) - 400 * x * (y - x * x), 200 * (y - x * x)),
    });
    const found = await minimize({ start: Float64Array.of(-1.2, 1), evaluate, gradientNorm: 1e-10, maxIterations: 200 });
    expect(found.converged).toBe(true);
    expect(found.x[0]).toBeCloseTo(1, 9);
    expect(found.x[1]).toBeCloseTo(1, 9);
  });

  it('minimises an ill-conditioned quadratic function to a gradient of 1e-10', async () => {
    const scales = Float64Array.from({ length: 30 }, (_, i) => 10 ** (i / 12));
    const evaluate = async (x: Float64Array) => ({
      value: x.reduce((sum, value, i) => sum + (scales[i] * (value - 1) ** 2) / 2, 0),
      gradient: x.map((value, i) => scales[i] * (value - 1)),
    });
    const found = await minimize({ start: new Float64Array(30), evaluate, gradientNorm: 1e-10, maxIterations: 1000 });
    expect(found.converged).toBe(true);
    for (const value of found.x) expect(value).toBeCloseTo(1, 8);
  });
});
