/** Creating and reading tensors, and the arguments that both refuse. */
import { describe, expect, it } from 'vitest';
import {
  type Backend,
  BackendError,
  cast,
  DTypeError,
  full,
  ones,
  randn,
  ShapeError,
  setDefaultBackend,
  type Tensor,
  tensor,
  uniform,
  ValueError,
  withBackend,
  zeros,
} from '../../src/tensor/index.js';
import { backends, reference, strict } from '../support/backends.js';

setDefaultBackend(reference);

describe('tensor()', () => {
  it('accepts nested arrays, flat arrays and typed arrays', () => {
    const nested = tensor([
      [1, 2, 3],
      [4, 5, 6],
    ]);
    expect([nested.shape, nested.dtype, nested.size, nested.rank]).toEqual([[2, 3], 'float32', 6, 2]);
    expect([...nested.dataSync()]).toEqual([1, 2, 3, 4, 5, 6]);
    expect(tensor([1, 2, 3, 4], [2, 2]).shape).toEqual([2, 2]);
    expect(tensor(7).shape).toEqual([]);
    expect(tensor([]).shape).toEqual([0]);
    expect(tensor([[], []]).shape).toEqual([2, 0]);
    expect([new Float32Array(2), new Int32Array(2), new Uint8Array(2), new Float64Array(2)].map((data) => tensor(data).dtype)).toEqual([
      'float32',
      'int32',
      'uint8',
      'float64',
    ]);
    expect(tensor([1, 2], [2], { dtype: 'int32' }).dataSync()).toEqual(Int32Array.of(1, 2));
  });

  it('refuses data that do not fit', () => {
    expect(() => tensor([1, 2, 3], [2, 2])).toThrow(/got 3 elements, expected 4 for shape \[2,2\]/);
    expect(() => tensor([[1], [2, 3]])).toThrow(ShapeError);
    expect(() => tensor([[1, 2], 3] as never)).toThrow(/differ in length or depth/);
    expect(() => tensor([1], [-1])).toThrow(ShapeError);
    expect(() => tensor(new Uint16Array(2) as never)).toThrow(DTypeError);
    expect(() => tensor([1], [1], { dtype: 'float16' as never })).toThrow(/unknown dtype 'float16'/);
  });
});

describe.each(backends)('on $name', ({ backend }) => {
  const made = (make: () => Tensor) => withBackend(backend, make);

  it('filled tensors have the given values', () => {
    expect([...made(() => zeros([2, 2])).dataSync()]).toEqual([0, 0, 0, 0]);
    expect([...made(() => ones([3])).dataSync()]).toEqual([1, 1, 1]);
    expect([...made(() => full([2], 2.5)).dataSync()]).toEqual([2.5, 2.5]);
    expect([...made(() => full([], 3)).dataSync()]).toEqual([3]);
    expect(made(() => full([5], 9, { dtype: 'int32' })).dataSync()).toEqual(Int32Array.of(9, 9, 9, 9, 9));
    expect(made(() => full([5], 9, { dtype: 'uint8' })).dataSync()).toEqual(Uint8Array.of(9, 9, 9, 9, 9));
    expect(made(() => zeros([0, 3])).dataSync().length).toBe(0);
    expect(made(() => randn([2], { requiresGrad: true })).requiresGrad).toBe(true);
    expect(made(() => uniform([2])).requiresGrad).toBe(false);
  });

  it('values of every type are read back unchanged', async () => {
    for (const data of [Float32Array.of(1.5, -0, Number.NaN), Int32Array.of(2 ** 31 - 1, -(2 ** 31)), Uint8Array.of(0, 255, 7)]) {
      const t = made(() => tensor(data));
      expect(await t.data()).toEqual(data);
      expect(t.reshape([data.length, 1]).squeeze().dataSync()).toEqual(data);
      const moved = t.reshape([1, data.length]).permute(); // through the backend
      expect(moved.dataSync()).toEqual(data);
    }
  });

  it('set() overwrites every tensor with the same buffer', () => {
    const x = made(() => tensor([1, 2, 3]));
    const view = x.detach();
    const doubled = x.mul(2);
    x.set([7, 8, 9]);
    expect([...view.dataSync()]).toEqual([7, 8, 9]);
    expect([...doubled.dataSync()]).toEqual([2, 4, 6]);
    expect([...x.mul(2).dataSync()]).toEqual([14, 16, 18]);
    expect(() => x.set([1, 2])).toThrow(/set: got 2 elements, expected 3 for a tensor of shape \[3\]/);
  });
});

describe('reading', () => {
  it('item() requires a single element', async () => {
    expect(await tensor([[5]]).item()).toBe(5);
    expect(tensor([[5]]).itemSync()).toBe(5);
    await expect(tensor([1, 2]).item()).rejects.toThrow(ShapeError);
    expect(() => tensor([1, 2]).itemSync()).toThrow(/has 2 elements, expected 1; use data\(\)/);
  });

  it('synchronously is refused if the backend cannot, with an error that says what to do', async () => {
    const slow: Backend = { ...reference, name: 'slow', capabilities: { ...reference.capabilities, syncRead: false } };
    const x = withBackend(slow, () => ones([2]).mul(3));
    expect(() => x.dataSync()).toThrow(BackendError);
    expect(() => x.dataSync()).toThrow('dataSync: the slow backend cannot read synchronously; use `await tensor.data()`');
    expect([...(await x.data())]).toEqual([3, 3]);
    expect([...withBackend(slow, () => tensor([1, 2])).dataSync()]).toEqual([1, 2]); // still on the host
  });

  it('toString() shows type, shape and backend', () => {
    expect(String(tensor([[1, 2]], undefined, { requiresGrad: true }))).toBe('Tensor(float32 [1,2] on reference, requiresGrad) [[1, 2]]');
    const many = tensor(
      Float64Array.from({ length: 16 }, (_, i) => i / 3),
      [2, 8],
    );
    expect(String(many.mul(1))).toBe(
      'Tensor(float64 [2,8] on reference) [[0, 0.33333, 0.66667, …, 1.6667, 2, 2.3333], [2.6667, 3, 3.3333, …, 4.3333, 4.6667, 5]]',
    );
    expect(String(tensor([], [0, 2]))).toBe('Tensor(float32 [0,2] on reference) []');
    many.dispose();
    expect(String(many)).toBe('Tensor(float64 [2,8] on reference, freed)');
  });

  it('to() copies to another type or backend, and converts as cast does', async () => {
    const x = tensor([1.7, -2.5, 300, Number.NaN], [4], { requiresGrad: true });
    for (const from of [x, x.mul(1)]) {
      const whole = await from.to({ dtype: 'uint8' });
      expect(await whole.data()).toEqual(Uint8Array.of(1, 0, 255, 0));
      const wide = await from.to({ dtype: 'float64' });
      expect([wide.dtype, wide.requiresGrad, wide.backend]).toEqual(['float64', false, reference]);
    }
    const there = await x.to({ backend: strict.backend });
    expect([there.backend, await there.data()]).toEqual([strict.backend, await x.data()]);
    await expect(there.to({ dtype: 'float64' }).then((t) => t.mul(2))).rejects.toThrow(DTypeError);
    await expect(x.to({ dtype: 'float16' as never })).rejects.toThrow(DTypeError);
    await expect(x.to({ device: 'gpu' } as never)).rejects.toThrow(ValueError);
  });
});

describe('cast()', () => {
  it('between floating-point types passes gradients', () => {
    const x = tensor([1.5, 2.5], [2], { requiresGrad: true });
    cast(x, 'float64')
      .mul(tensor(Float64Array.of(3, 4)))
      .sum()
      .backward();
    expect(x.grad!.dataSync()).toEqual(Float32Array.of(3, 4));
  });

  it('to the same type is the same tensor', () => {
    const x = tensor([1]);
    expect(cast(x, 'float32')).toBe(x);
  });
});
