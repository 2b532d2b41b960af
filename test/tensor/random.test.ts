/** Randomness: the same seed gives the same numbers everywhere, streams do not overlap, and counters advance correctly. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  type Backend,
  dropout,
  Generator,
  getRandomState,
  manualSeed,
  ones,
  randn,
  STREAMS,
  setRandomState,
  type Tensor,
  uniform,
  ValueError,
  withBackend,
} from '../../src/tensor/index.js';
import { zfnet } from '../../src/zfnet/index.js';
import { mismatch } from '../support/allclose.js';
import { backends, reference } from '../support/backends.js';

const before = getRandomState();
beforeEach(() => manualSeed(1));
afterEach(() => setRandomState(before));

const numbers = (backend: Backend, make: () => Tensor) => withBackend(backend, () => [...make().dataSync()]);

describe.each(backends)('on $name', ({ backend }) => {
  const at = (counter: number) => Generator.fromState({ seed: 2 ** 40 + 3, counter });

  it.each([1, 3, 4, 17, 1000, 40001])('uniform gives the numbers of the reference bit for bit (%i of them)', (size) => {
    const draw = () => uniform([size], { low: -2, high: 3, generator: at(2 ** 33 - 1) });
    const drawn = numbers(backend, draw);
    expect(drawn).toEqual(numbers(reference, draw));
    expect(drawn.every((value) => value >= -2 && value < 3)).toBe(true);
  });

  it.each([1, 3, 4, 17, 40001])('normal gives the numbers of the reference up to rounding (%i of them)', (size) => {
    const draw = (dtype: 'float32' | 'float64') => () => randn([size], { mean: 0.5, std: 2, generator: at(7), dtype });
    expect(mismatch(numbers(backend, draw('float32')), numbers(reference, draw('float64')), { relative: 4e-6, absolute: 4e-6 })).toBeNull();
  });

  it.each([0.1, 0.5, 0.9])('dropout keeps the same elements as the reference, at probability %d', (probability) => {
    const draw = () => dropout(ones([1003]), probability, at(99));
    const [kept, expected] = [numbers(backend, draw), numbers(reference, draw)].map((list) => list.map((value) => value > 0));
    expect(kept).toEqual(expected);
    expect(Math.abs(kept.filter((value) => !value).length / 1003 - probability)).toBeLessThan(0.06);
  });

  it('gives a seeded network the same weights', () => {
    const weights = (on: Backend) =>
      withBackend(on, () => {
        const model = zfnet('a', { classes: 3, inputSize: 47, width: 0.03, seed: 7 });
        const all = model.parameters().flatMap((parameter) => [...parameter.dataSync()]);
        model.dispose();
        return all;
      });
    const first = weights(backend);
    expect(weights(backend)).toEqual(first);
    expect(mismatch(first, weights(reference), { relative: 2e-6, absolute: 2e-6 })).toBeNull();
  });
});

describe('generators', () => {
  const draw = (generator: Generator, size = 8) => numbers(reference, () => uniform([size], { generator }));

  it('advance by one count per four numbers, rounded up', () => {
    const generator = new Generator(3);
    expect([1, 4, 5, 0, 8].map((count) => generator.next(count))).toEqual([0, 1, 2, 4, 4]);
    expect(generator.getState()).toEqual({ seed: 3, counter: 6 });
    expect(generator.take(4)).toBe(6);
  });

  it('repeat from a seed and from a saved state, and differ from each other', () => {
    const generator = new Generator(5);
    const first = draw(generator);
    const state = generator.getState();
    const second = draw(generator);
    expect(second).not.toEqual(first);
    expect(draw(new Generator(5))).toEqual(first);
    expect(draw(Generator.fromState(state))).toEqual(second);
    expect(draw(new Generator(6))).not.toEqual(first);
    expect(draw(new Generator(5 + 2 ** 32))).not.toEqual(first);
  });

  it('of one seed have streams that do not overlap', () => {
    const drawn = (Object.keys(STREAMS) as (keyof typeof STREAMS)[]).map((stream) => draw(new Generator(5, stream)).join());
    expect(new Set(drawn).size).toBe(5);
  });

  it('refuse invalid seeds', () => {
    for (const seed of [-1, 0.5, Number.NaN, 2 ** 53]) expect(() => new Generator(seed)).toThrow(ValueError);
  });
});

describe('manualSeed', () => {
  const all = () => numbers(reference, () => randn([5])).concat(numbers(reference, () => dropout(ones([64]))));

  it('repeats the following random numbers, in the order of the calls', () => {
    const first = all();
    expect(all()).not.toEqual(first);
    manualSeed(1);
    expect(all()).toEqual(first);
  });

  it('can be saved and resumed', () => {
    all();
    const state = getRandomState();
    const next = all();
    setRandomState(state);
    expect(all()).toEqual(next);
  });

  it('seeds dropout separately: sampling weights does not change the masks', () => {
    const mask = () => numbers(reference, () => dropout(ones([64])));
    const first = mask();
    manualSeed(1);
    numbers(reference, () => randn([1000]));
    expect(mask()).toEqual(first);
    expect(mask()).not.toEqual(first);
  });

  it('does not affect a network with its own seed', () => {
    const weights = () =>
      withBackend(reference, () => [...zfnet('small', { classes: 2, inputSize: 28, width: 0.02, seed: 3 }).parameters()[0].dataSync()]);
    const first = weights();
    manualSeed(99);
    expect(weights()).toEqual(first);
  });
});
