/** Linear support vector machines: known solutions, optimality by the duality gap, and the strength chosen on held-out examples. */
import { describe, expect, it } from 'vitest';
import { philox } from '../../src/backend/philox.js';
import { init } from '../../src/index.js';
import { ValueError } from '../../src/tensor/index.js';
import { fitLinear, linearErrors, type Matrix, solveSvm } from '../../src/zfnet/index.js';

const matrix = (rows: readonly (readonly number[])[]): Matrix => ({
  rows: rows.length,
  columns: rows[0].length,
  data: Float32Array.from(rows.flat()),
});

/** Numbers in [-1, 1), the same in every run. */
function noise(count: number, seed: number): number[] {
  const words = new Uint32Array(4);
  return Array.from({ length: count }, (_, i) => {
    philox(seed, i, words);
    return words[0] / 2 ** 31 - 1;
  });
}

/** Points around a centre for each class, on a ring. */
function rings(perClass: number, classes: number, spread: number, seed: number): { features: Matrix; labels: number[] } {
  const draws = noise(2 * perClass * classes, seed);
  const labels = Array.from({ length: perClass * classes }, (_, i) => i % classes);
  const rows = labels.map((label, i) => {
    const angle = (2 * Math.PI * label) / classes;
    return [3 * Math.cos(angle) + spread * draws[2 * i], 3 * Math.sin(angle) + spread * draws[2 * i + 1], 7];
  });
  return { features: matrix(rows), labels };
}

describe('the support vector machine for two classes', () => {
  it('has the analytic solution if both examples are support vectors', () => {
    // x = ±1 with y = ±1, no shift: w = 2α, b = 0, α (1 + 1/2C + …) from d/dα = 0: 1 = 2α + α/(2C).
    for (const c of [0.1, 1, 10]) {
      const { weights, bias, alpha } = solveSvm(matrix([[1], [-1]]), [1, -1], { c, tolerance: 1e-9 });
      const expected = 1 / (2 + 1 / (2 * c));
      expect(alpha[0]).toBeCloseTo(expected, 5);
      expect(weights[0]).toBeCloseTo(2 * expected, 5);
      expect(bias).toBeCloseTo(0, 5);
    }
  });

  it('separates separable classes, with a margin of 1 for a large C', () => {
    const points = [
      [2, 1],
      [3, 3],
      [2.5, -1],
      [-2, 0.5],
      [-3, -2],
      [-2.2, 2],
    ];
    const signs = [1, 1, 1, -1, -1, -1];
    const { weights, bias, alpha } = solveSvm(matrix(points), signs, { c: 1e4, tolerance: 1e-6, maxPasses: 50_000 });
    const margins = points.map(([x, y], i) => signs[i] * (weights[0] * x + weights[1] * y + bias));
    expect(Math.min(...margins)).toBeCloseTo(1, 2);
    // Complementary slackness: an example away from the margin plays no part.
    margins.forEach((margin, i) => {
      if (margin > 1.01) expect(alpha[i]).toBe(0);
    });
    expect(alpha.filter((value) => value > 0).length).toBeLessThan(points.length);
  });

  it.each([0.01, 1, 100])('is optimal for C = %f: the duality gap closes, and no small step improves it', (c) => {
    const { features, labels } = rings(20, 2, 4, 1);
    const signs = labels.map((label) => (label === 0 ? 1 : -1));
    const found = solveSvm(features, signs, { c, tolerance: 1e-4, maxPasses: 20_000 });
    expect(found.primal - found.dual).toBeLessThan(1e-3 * found.primal);
    expect(found.primal).toBeGreaterThanOrEqual(found.dual - 1e-9);
    const value = (weights: ArrayLike<number>, bias: number) => {
      let sum = 0.5 * bias * bias;
      for (let j = 0; j < 3; j++) sum += 0.5 * weights[j] ** 2;
      for (let i = 0; i < features.rows; i++) {
        let output = bias;
        for (let j = 0; j < 3; j++) output += weights[j] * features.data[3 * i + j];
        sum += c * Math.max(0, 1 - signs[i] * output) ** 2;
      }
      return sum;
    };
    const here = value(found.weights, found.bias);
    expect(here).toBeCloseTo(found.primal, 4);
    for (let j = 0; j < 4; j++)
      for (const step of [-0.02, 0.02]) {
        const moved = [...found.weights, found.bias];
        moved[j] += step;
        expect(value(moved, moved[3])).toBeGreaterThan(here * (1 - 1e-3));
      }
  });

  it('does not depend on the order of its passes', () => {
    const { features, labels } = rings(15, 2, 4, 2);
    const signs = labels.map((label) => (label === 0 ? 1 : -1));
    const [a, b] = [1, 2].map((seed) => solveSvm(features, signs, { seed, tolerance: 1e-8, maxPasses: 50_000 }));
    for (const [j, weight] of a.weights.entries()) expect(weight).toBeCloseTo(b.weights[j], 3);
  });

  it('refuses invalid arguments', () => {
    expect(() => solveSvm(matrix([[1]]), [1], { c: 0 })).toThrow(ValueError);
    expect(() => solveSvm(matrix([[1]]), [1, 1])).toThrow(/got 2 labels for 1 examples/);
  });
});

describe('classifiers on features', () => {
  it.each(['svm', 'softmax'] as const)('%s separates distinct classes, and has errors where they overlap', async (kind) => {
    await init({ threads: 1 });
    const [known, unknown] = [rings(20, 6, 0.5, 3), rings(20, 6, 0.5, 4)];
    const classifier = await fitLinear(known.features, known.labels, 6, { kind });
    expect(linearErrors(classifier, unknown.features, unknown.labels)).toEqual({ top1Error: 0, top5Error: 0 });
    // A feature that never varies has no weight, in whatever units.
    for (let k = 0; k < 6; k++) expect(classifier.weights[3 * k + 2]).toBeCloseTo(0, 6);
    const blurred = rings(20, 6, 5, 5);
    const { top1Error, top5Error } = linearErrors(classifier, blurred.features, blurred.labels);
    expect(top1Error).toBeGreaterThan(0.2);
    expect(top5Error).toBeLessThan(top1Error);
  });

  it('require a label for each row', async () => {
    await expect(fitLinear(matrix([[1], [2]]), [0], 2, { kind: 'svm' })).rejects.toThrow(/got 1 labels for 2 rows/);
  });
});
