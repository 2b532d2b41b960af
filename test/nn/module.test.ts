/** Modules: parameter names, modes, state to save and load, and moving between backends. */
import { describe, expect, it } from 'vitest';
import { BatchNorm2d, Conv2d, Dropout, Linear, Module, Sequential, StateError } from '../../src/nn/index.js';
import { BackendError, noGrad, ones, randn, setDefaultBackend, type Tensor, tensor, withBackend, zeros } from '../../src/tensor/index.js';
import { noise } from '../../src/testing/cases/formula.js';
import { gradcheck } from '../../src/testing.js';
import { reference, strict } from '../support/backends.js';

setDefaultBackend(reference);

/** A network of the user's own, with a part in a part and a buffer. */
class Own extends Module {
  first = new Linear(3, 4);
  readonly rest = new Sequential([new Linear(4, 4), new Dropout(0.5), new Linear(4, 2, { bias: false })]);
  scale = tensor([2, 3]).keep();
  counts = tensor(Int32Array.of(7, 8)).keep();

  forward(x: Tensor): Tensor {
    return this.rest.forward(this.first.forward(x).tanh()).mul(this.scale);
  }
}

describe('names', () => {
  it('are the names of properties, joined by dots, as in PyTorch', () => {
    const names = ['first.weight', 'first.bias', 'rest.0.weight', 'rest.0.bias', 'rest.2.weight'];
    const own = new Own();
    expect(own.namedParameters().map(([name]) => name)).toEqual(names);
    expect(own.namedBuffers().map(([name]) => name)).toEqual(['scale', 'counts']);
    expect(Object.keys(own.stateDict())).toEqual([...names, 'scale', 'counts']);
    expect(own.parameters().length).toBe(5);
    const named = new Sequential({ conv1: new Conv2d(1, 1, 1), fc8: new Linear(1, 1) });
    expect(Object.keys(named.stateDict())).toEqual(['conv1.weight', 'conv1.bias', 'fc8.weight', 'fc8.bias']);
  });
});

describe('the receptive window', () => {
  class Single extends Module {
    forward(x: Tensor): Tensor {
      return x;
    }
  }
  const window = { kernel: [3, 3], stride: [2, 2], padding: [1, 1], dilation: [1, 1] } as const;

  it('is unknown unless a layer reports it, and may be given and asked for under its old name', () => {
    class Older extends Single {
      override reach() {
        return super.reach() === null ? window : 'global';
      }
    }
    expect(new Single().receptiveWindow()).toBeNull();
    expect(new Older().receptiveWindow()).toEqual(window);
    expect(new Sequential([new Older()]).receptiveWindow()).toEqual(window);
    expect(new Conv2d(1, 1, 3, { stride: 2, padding: 1 }).reach()).toEqual(window);
  });
});

describe('modes', () => {
  it('apply to all submodules and can be switched back', () => {
    const own = new Own();
    const all = (module: Module): boolean[] => [module.training, ...module.children().flatMap(([, child]) => all(child))];
    expect(all(own)).toEqual(new Array(6).fill(true));
    expect(all(own.eval())).toEqual(new Array(6).fill(false));
    expect(all(own.train())).toEqual(new Array(6).fill(true));
  });

  it('make dropout the identity in evaluation', () => {
    const dropout = new Dropout(0.9);
    const x = ones([100]);
    expect(dropout.forward(x).dataSync()).not.toEqual(x.dataSync());
    expect(dropout.eval().forward(x)).toBe(x);
  });
});

describe('state', () => {
  it('can be loaded from another module, from tensors of any backend and from typed arrays', () => {
    const [from, to] = [new Own(), new Own()];
    from.scale.set([5, 6]);
    to.loadStateDict(from.stateDict());
    const arrays = (own: Own) => Object.fromEntries(Object.entries(own.stateDict()).map(([name, t]) => [name, t.dataSync()]));
    expect(arrays(to)).toEqual(arrays(from));
    const elsewhere = withBackend(strict.backend, () => new Own());
    elsewhere.loadStateDict(from.stateDict());
    expect(arrays(elsewhere)).toEqual(arrays(from));
    const plain = Object.fromEntries(
      Object.entries(from.stateDict()).map(([name, { shape }]) => [name, { shape, data: zeros(shape).dataSync() }]),
    );
    to.loadStateDict(plain);
    expect(to.parameters().every((parameter) => parameter.dataSync().every((value) => value === 0))).toBe(true);
    expect(to.parameters().every(({ requiresGrad, kept }) => requiresGrad && kept)).toBe(true);
  });

  it('that does not fit is refused by name, without changing anything', () => {
    const own = new Own();
    const before = own.first.weight.dataSync();
    const state = () =>
      ({ ...own.stateDict(), 'first.weight': zeros([4, 3]) }) as Record<string, Tensor | { shape: number[]; data: Float32Array }>;
    const { 'first.bias': _, ...missing } = state();
    const attempts: [Record<string, Tensor | { shape: number[]; data: Float32Array }>, RegExp][] = [
      [missing, /first\.bias is missing/],
      [{ ...state(), 'rest.0.weight': zeros([4, 5]) }, /rest\.0\.weight has shape \[4,5\], expected \[4,4\]/],
      [{ ...state(), 'rest.0.weight': { shape: [4, 4], data: new Float32Array(3) } }, /rest\.0\.weight has shape \[4,4\] but 3 values/],
      [{ ...state(), fc9: zeros([1]), fc10: zeros([1]) }, /unknown: fc9, fc10/],
    ];
    for (const [wrong, message] of attempts) {
      expect(() => own.loadStateDict(wrong)).toThrow(StateError);
      expect(() => own.loadStateDict(wrong)).toThrow(message);
    }
    expect(own.first.weight.dataSync()).toEqual(before);
  });

  it('may be partial if strict is false; shapes must still fit', () => {
    const own = new Own();
    own.loadStateDict({ 'first.bias': ones([4]), other: ones([1]) }, { strict: false });
    expect([...own.first.bias!.dataSync()]).toEqual([1, 1, 1, 1]);
    expect(() => own.loadStateDict({ 'first.bias': ones([5]) }, { strict: false })).toThrow(/first\.bias has shape \[5\]/);
  });
});

describe('to()', () => {
  it('moves parameters and buffers, and keeps the type of integers', async () => {
    const own = new Own();
    const x = tensor(noise(6, 1), [2, 3]);
    const expected = noGrad(() => own.eval().forward(x).dataSync());
    await own.to({ backend: strict.backend });
    expect(Object.values(own.stateDict()).every(({ backend }) => backend === strict.backend)).toBe(true);
    expect(own.counts.dataSync()).toEqual(Int32Array.of(7, 8));
    expect(() => own.forward(x)).toThrow(BackendError);
    const there = tensor(noise(6, 1), [2, 3], { backend: strict.backend });
    expect(noGrad(() => own.forward(there).dataSync()).every((value, i) => Math.abs(value - expected[i]) < 1e-5)).toBe(true);
    await own.to({ backend: reference, dtype: 'float64' });
    expect([own.first.weight.dtype, own.scale.dtype, own.counts.dtype]).toEqual(['float64', 'float64', 'int32']);
    expect(own.parameters().every(({ requiresGrad, kept }) => requiresGrad && kept)).toBe(true);
    expect(await own.to({ dtype: 'float32' })).toBe(own);
    expect(noGrad(() => own.forward(x).dataSync())).toEqual(expected);
  });

  it('frees the old memory', async () => {
    const { buffers } = reference.memory();
    const own = new Own();
    await own.to({ backend: strict.backend });
    own.dispose();
    expect(reference.memory().buffers).toBe(buffers);
  });
});

describe('layers', () => {
  it('defined by users, with submodules, have the numeric gradients', () => {
    const { checked } = gradcheck(new Own(), tensor(noise(6, 1), [2, 3]));
    expect(checked).toBe(6 + 12 + 4 + 16 + 4 + 8);
  });

  it('such as BatchNorm2d have the numeric gradients in training and in evaluation', () => {
    const model = new BatchNorm2d(3);
    model.running_mean.set([0.1, 0.2, 0.3]);
    model.weight.set([1, -2, 0.5]);
    const x = randn([4, 3, 2, 3]);
    const { running_mean: before } = model;
    expect(gradcheck(model, x).checked).toBeGreaterThan(70);
    expect(gradcheck(model.eval(), x).checked).toBeGreaterThan(70);
    expect(model.running_mean).toBe(before);
    expect([...before.dataSync()].map((value) => value.toFixed(2))).toEqual(['0.10', '0.20', '0.30']);
  });

  it('have the initial weights of PyTorch, within 1 / √(fan in), and biases of 0', () => {
    const conv = new Conv2d(4, 8, [3, 5], { groups: 2 });
    expect(conv.weight.shape).toEqual([8, 2, 3, 5]);
    const bound = 1 / Math.sqrt(30);
    const weights = [...conv.weight.dataSync()];
    expect(weights.every((value) => Math.abs(value) <= bound)).toBe(true);
    expect(Math.max(...weights)).toBeGreaterThan(0.8 * bound);
    expect([...conv.bias!.dataSync()]).toEqual(new Array(8).fill(0));
    expect(new Linear(2, 3, { bias: false }).bias).toBeNull();
  });
});
