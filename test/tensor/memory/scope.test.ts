/** Scopes: the tensors that they free and keep, and their effect on the graph. */
import { describe, expect, it } from 'vitest';
import { Linear } from '../../../src/nn/index.js';
import {
  crossEntropy,
  DisposedError,
  noGrad,
  ones,
  scope,
  type Tensor,
  tensor,
  ValueError,
  withBackend,
} from '../../../src/tensor/index.js';
import { noise } from '../../../src/testing/cases/formula.js';
import { reference, strict } from '../../support/backends.js';
import { BATCH, batch, CLASSES, held, smallNet } from './support.js';

describe.each([
  ['scope()', scope],
  ['noGrad()', noGrad],
] as const)('%s', (name, run) => {
  const inside = (fn: () => unknown) => withBackend(reference, () => run(fn));

  it('frees tensors that were made inside; using them afterwards throws an error that says so', () => {
    const before = held(reference);
    let lost: Tensor | undefined;
    inside(() => {
      lost = ones([3]).mul(2).add(1);
    });
    expect(held(reference)).toEqual(before);
    expect(() => lost!.dataSync()).toThrow(DisposedError);
    expect(() => lost!.mul(2)).toThrow(`freed by ${name}; return it from the function, or call keep() on it`);
  });

  it('keeps returned tensors: alone, in arrays, objects and maps', () => {
    const alive = (value: Tensor) => expect([...value.dataSync()]).toEqual([2, 2]);
    const make = () => ones([2]).mul(2);
    withBackend(reference, () => {
      alive(run(make));
      for (const t of run(() => [make(), make()])) alive(t);
      const { a, deeper } = run(() => ({ a: make(), deeper: { list: [make()] } }));
      alive(a);
      alive(deeper.list[0]);
      alive(run(() => new Map([['a', make()]])).get('a')!);
      expect(run(() => 7)).toBe(7);
    });
  });

  it('keeps tensors after keep(), parameters and gradients', () => {
    withBackend(reference, () => {
      const w = tensor([3], [1], { requiresGrad: true });
      const [kept, model] = run(() => {
        const kept = ones([2]).keep();
        return [() => kept, new Linear(2, 2)] as const;
      });
      expect([...kept().dataSync()]).toEqual([1, 1]);
      expect(model.weight.dataSync().length).toBe(4);
      scope(() => w.square().sum().backward());
      expect(w.grad!.itemSync()).toBe(6);
    });
  });

  it('frees when the function throws', () => {
    const before = held(reference);
    expect(() =>
      inside(() => {
        ones([100]).mul(3);
        throw new RangeError('mine');
      }),
    ).toThrow('mine');
    expect(held(reference)).toEqual(before);
  });

  it('can be nested: tensors returned from the inner scope belong to the outer one', () => {
    const before = held(reference);
    let inner: Tensor | undefined;
    inside(() => {
      inner = run(() => ones([5]).mul(1));
      expect(inner.dataSync()[0]).toBe(1);
    });
    expect(inner!.disposed).toBe(true);
    expect(held(reference)).toEqual(before);
  });

  it('refuses an async function, whose tensors would be freed too early', () => {
    const before = held(reference);
    expect(() => inside(async () => ones([2]))).toThrow(ValueError);
    expect(held(reference)).toEqual(before);
  });
});

describe('scope() and the graph', () => {
  it('frees a graph without a backward pass', () =>
    withBackend(reference, () => {
      const model = smallNet();
      const { images } = batch(0);
      const before = held(reference);
      const logits = scope(() => [...model.forward(images).dataSync()]);
      expect(logits.length).toBe(BATCH * CLASSES);
      expect(held(reference)).toEqual(before);
    }));

  it('keeps the graph of returned tensors, and frees the rest', () =>
    withBackend(reference, () => {
      const model = smallNet();
      const before = held(reference);
      const { images, targets } = batch(0);
      const loss = scope(() => {
        const logits = model.forward(images);
        logits.exp(); // another branch, on which no returned tensor depends
        return crossEntropy(logits, targets);
      });
      const branch = held(reference);
      loss.backward();
      expect(model.parameters().every(({ grad }) => grad !== null)).toBe(true);
      expect(branch.buffers).toBeGreaterThan(before.buffers);
      expect(held(reference).buffers).toBe(before.buffers + model.parameters().length);
    }));

  it('backward() of a tensor that the scope freed is an error', () =>
    withBackend(reference, () => {
      const w = tensor([1], [1], { requiresGrad: true });
      let loss: Tensor | undefined;
      scope(() => {
        loss = w.square().sum();
      });
      expect(() => loss!.backward()).toThrow(/the graph through sum was freed by scope\(\)/);
    }));

  it('frees uploaded copies of inputs from outside', () =>
    withBackend(strict.backend, () => {
      const x = tensor(noise(64, 1));
      const before = held(strict.backend);
      noGrad(() => x.mul(2).dataSync());
      expect(held(strict.backend)).toEqual(before);
      expect(x.dataSync().length).toBe(64);
    }));
});
