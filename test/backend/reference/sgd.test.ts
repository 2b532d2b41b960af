/** The reference backend against values worked out by hand and central differences: sgd. */
import { describe, expect, it } from 'vitest';
import type { SgdParams } from '../../../src/backend/params.js';
import { backend, blank, expectClose, get, put } from './support.js';

describe('sgd', () => {
  const plain: SgdParams = { lr: 0.5, momentum: 0, dampening: 0, weightDecay: 0, nesterov: false, first: true };
  /** Two steps from w = 1 with gradients 2 and 4; gives [w, velocity] after each. */
  const steps = (p: Partial<SgdParams>) => {
    const w = put([1]);
    const v = blank(1);
    return [2, 4].map((g, step) => {
      backend.sgd(w, v, put([g]), { ...plain, ...p, first: step === 0 });
      return [get(w)[0], get(v)[0]];
    });
  };

  it('without momentum, with weight decay', () => {
    const w = put([1, -2]);
    backend.sgd(w, null, put([2, 4]), { ...plain, weightDecay: 0.5 });
    expect(get(w)).toEqual([1 - 0.5 * 2.5, -2 - 0.5 * 3]);
  });

  it('momentum starts with the gradient and decays afterwards', () => {
    // v = 2, then 0.5 · 2 + 4 = 5
    expect(steps({ momentum: 0.5 })).toEqual([
      [0, 2],
      [-2.5, 5],
    ]);
  });

  it('dampening applies from the second step on', () => {
    // v = 2, then 0.5 · 2 + 0.75 · 4 = 4
    expect(steps({ momentum: 0.5, dampening: 0.25 })).toEqual([
      [0, 2],
      [-2, 4],
    ]);
  });

  it('nesterov uses the velocity after the step', () => {
    // steps of 2 + 0.5 · 2 = 3, then 4 + 0.5 · 5 = 6.5
    expect(steps({ momentum: 0.5, nesterov: true })).toEqual([
      [-0.5, 2],
      [-3.75, 5],
    ]);
  });

  it('momentum and weight decay together', () => {
    // g = 2 + 0.1 · 1 = 2.1, w = −0.05; g = 4 − 0.005 = 3.995, v = 1.05 + 3.995
    const [first, second] = steps({ momentum: 0.5, weightDecay: 0.1 });
    expectClose(first, [-0.05, 2.1]);
    expectClose(second, [-0.05 - 0.5 * 5.045, 5.045]);
  });

  it('clipRms rescales only the rows above the limit', () => {
    // root mean squares 5, 1 and 0
    const w = put([5, -5, 1, -1, 0, 0]);
    backend.clipRms(w, 3, 2, 1);
    expect(get(w)).toEqual([1, -1, 1, -1, 0, 0]);
    const uneven = put([6, 8, 0, 0]); // squares mean 25
    backend.clipRms(uneven, 1, 4, 0.1);
    expectClose(get(uneven), [0.12, 0.16, 0, 0]);
  });
});
