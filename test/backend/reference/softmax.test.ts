/** The reference backend against values worked out by hand and central differences: softmax and cross-entropy. */
import { describe, expect, it } from 'vitest';
import { ValueError } from '../../../src/backend/errors.js';
import { backend, blank, expectClose, expectGrad, noise, numericGrad, output, put } from './support.js';

describe('softmax and cross-entropy', () => {
  const p = { rows: 2, columns: 3 };
  const logs = [1, 2, 5, 4, 1, 3].map(Math.log); // the softmax is these values divided by 8

  it('softmax and logSoftmax of logarithms', () => {
    expectClose(
      output(6, (y) => backend.softmax(y, put(logs), p)),
      [0.125, 0.25, 0.625, 0.5, 0.125, 0.375],
    );
    expectClose(
      output(6, (y) => backend.logSoftmax(y, put(logs), p)),
      [0.125, 0.25, 0.625, 0.5, 0.125, 0.375].map(Math.log),
    );
  });

  it('large logits do not overflow', () => {
    const x = put([1000, 1000, -1000, -1000, -1000 + Math.log(3), -5000]);
    expectClose(
      output(6, (y) => backend.softmax(y, x, p)),
      [0.5, 0.5, 0, 0.25, 0.75, 0],
    );
    expect(output(1, (loss) => backend.crossEntropy(loss, x, put([2, 0], 'int32'), p))[0]).toBeCloseTo(
      (2000 + Math.log(2) + Math.log(4)) / 2,
      9,
    );
  });

  it('cross-entropy is the mean of −log probability', () => {
    const labels = put([2, 0], 'int32');
    expectClose(
      output(1, (loss) => backend.crossEntropy(loss, put(logs), labels, p)),
      [-(Math.log(0.625) + Math.log(0.5)) / 2],
    );
    expectClose(
      output(6, (dx) => backend.crossEntropyGrad(dx, put([4]), put(logs), labels, p)),
      [0.25, 0.5, -0.75, -1, 0.25, 0.75],
    );
  });

  it('refuses a label outside the classes', () => {
    const x = put(logs);
    for (const labels of [put([0, 3], 'int32'), put([-1, 0], 'int32')]) {
      expect(() => backend.crossEntropy(blank(1), x, labels, p)).toThrow(ValueError);
      expect(() => backend.crossEntropyGrad(blank(6), put([1]), x, labels, p)).toThrow(ValueError);
    }
  });

  it('gradients equal the numeric ones', () => {
    const q = { rows: 3, columns: 5 };
    const x = noise(15).map((value) => 3 * value);
    const dy = noise(15, 2);
    const labels = put([4, 0, 2], 'int32');
    for (const [forward, backward] of [
      [backend.softmax, backend.softmaxGrad],
      [backend.logSoftmax, backend.logSoftmaxGrad],
    ] as const) {
      const y = put(output(15, (out) => forward(out, put(x), q)));
      expectGrad(
        output(15, (dx) => backward(dx, put(dy), y, q)),
        numericGrad(x, dy, (input, out) => forward(out, input, q)),
      );
    }
    expectGrad(
      output(15, (dx) => backend.crossEntropyGrad(dx, put([-1.7]), put(x), labels, q)),
      numericGrad(x, [-1.7], (input, loss) => backend.crossEntropy(loss, input, labels, q)),
    );
  });
});
