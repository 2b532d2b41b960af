/** The reference backend against values worked out by hand and central differences: localResponseNorm. */
import { describe, it } from 'vitest';
import type { LrnParams } from '../../../src/backend/params.js';
import { backend, expectClose, expectGrad, noise, numericGrad, output, put } from './support.js';

describe('localResponseNorm', () => {
  const normed = (x: readonly number[], p: LrnParams) => output(x.length, (y) => backend.localResponseNorm(y, put(x), p));
  const sized = (size: number) => ({ before: Math.floor((size - 1) / 2), after: Math.ceil((size - 1) / 2) });
  const across = { n: 1, h: 1, w: 1, alphaOverSize: 0.5, k: 2, beta: 1, region: 'across' } as const;

  it('three channels of one pixel', () => {
    // s = 2 + (1 + 4) / 2, 2 + (1 + 4 + 9) / 2, 2 + (4 + 9) / 2
    expectClose(normed([1, 2, 3], { ...across, c: 3, ...sized(3) }), [1 / 4.5, 2 / 9, 3 / 8.5]);
    expectClose(normed([1, 2, 3], { ...across, c: 3, ...sized(3), beta: 0.75 }), [4.5 ** -0.75, 2 * 9 ** -0.75, 3 * 8.5 ** -0.75]);
  });

  it('an even window has one channel more after the centre than before it', () => {
    // size 2: this channel and the next; size 4: one back, two ahead
    expectClose(normed([1, 2, 3, 4], { ...across, c: 4, ...sized(2) }), [1 / 4.5, 2 / 8.5, 3 / 14.5, 4 / 10]);
    expectClose(normed([1, 2, 3, 4], { ...across, c: 4, ...sized(4) }), [1 / 9, 2 / 17, 3 / 16.5, 4 / 14.5]);
  });

  it('within one channel: a square of pixels', () => {
    const p = { n: 1, c: 2, h: 2, w: 3, ...sized(3), alphaOverSize: 1, k: 1, beta: 1, region: 'within' } as const;
    const x = [1, 2, 3, 4, 5, 6, 0, 1, 0, 1, 0, 2];
    const s = [47, 92, 75, 47, 92, 75, 3, 7, 6, 3, 7, 6];
    expectClose(
      normed(x, p),
      x.map((value, i) => value / s[i]),
    );
    // size 2 looks right and down only
    const even = [47, 75, 46, 42, 62, 37, 3, 6, 5, 2, 5, 5];
    expectClose(
      normed(x, { ...p, ...sized(2) }),
      x.map((value, i) => value / even[i]),
    );
  });

  it('normalises images independently', () => {
    const p = { ...across, n: 2, c: 3, ...sized(3) };
    expectClose(normed([1, 2, 3, 0, 2, 0], p), [1 / 4.5, 2 / 9, 3 / 8.5, 0, 0.5, 0]);
  });

  const cases: (LrnParams & { size: number })[] = (['across', 'within'] as const).flatMap((region) =>
    [1, 2, 3, 4, 5].map((size) => ({ n: 2, c: 4, h: 3, w: 4, size, ...sized(size), alphaOverSize: 0.3, beta: 0.75, k: 1.5, region })),
  );
  it.each(cases)('the gradient equals the numeric one: $region, size $size', (p) => {
    const x = noise(96);
    const dy = noise(96, 2);
    expectGrad(
      output(96, (dx) => backend.localResponseNormGrad(dx, put(dy), put(x), p)),
      numericGrad(x, dy, (input, y) => backend.localResponseNorm(y, input, p)),
    );
  });
});
