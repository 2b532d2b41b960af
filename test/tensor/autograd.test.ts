/** The backward pass: accumulation, repeated passes over one graph, the three rules, and the errors. */
import { afterEach, describe, expect, it } from 'vitest';
import {
  BackendError,
  backward,
  conv2d,
  crossEntropy,
  DTypeError,
  isRecording,
  leakyRelu,
  linear,
  localResponseNorm,
  log,
  maxPool2d,
  NonFiniteError,
  noGrad,
  type RulesName,
  relu,
  ShapeError,
  setDefaultBackend,
  setNanCheck,
  type Tensor,
  tensor,
  ValueError,
  withBackend,
  zeros,
} from '../../src/tensor/index.js';
import { distinct, noise } from '../../src/testing/cases/formula.js';
import { backends, reference, strict } from '../support/backends.js';

const leaf = (numbers: number[], shape: number[] = [numbers.length]) => tensor(numbers, shape, { requiresGrad: true, backend: reference });
const read = (t: Tensor | null) => t && [...t.dataSync()];

describe('backward()', () => {
  it('adds to grad, over several uses and several backward passes', () => {
    const x = leaf([1, 2]);
    x.mul(x).add(x).sum().backward(); // x² + x
    expect(read(x.grad)).toEqual([3, 5]);
    x.mul(10).sum().backward();
    expect(read(x.grad)).toEqual([13, 15]);
  });

  it('adds in place to an existing gradient, unless its buffer is shared', () => {
    const x = leaf([1]);
    x.mul(2).backward();
    const first = x.grad!;
    x.mul(3).backward();
    expect(x.grad).toBe(first);
    const copy = first.detach();
    x.mul(4).backward();
    expect(read(x.grad)).toEqual([9]);
    expect(read(copy)).toEqual([5]);
  });

  it('visits a joint node once, after all its gradients have been added', () => {
    const x = leaf([3]);
    let y: Tensor = x;
    for (let i = 0; i < 30; i++) y = y.add(y); // 2^30 paths
    y.backward();
    expect(read(x.grad)).toEqual([2 ** 30]);
  });

  it('handles graphs deeper than the call stack', () => {
    const x = leaf([1]);
    let y: Tensor = x;
    for (let i = 0; i < 20_000; i++) y = y.add(1);
    y.backward();
    expect(read(x.grad)).toEqual([1]);
    let z: Tensor = x;
    for (let i = 0; i < 20_000; i++) {
      const next = z.add(1);
      if (z !== x) z.dispose();
      z = next;
    }
    z.dispose(); // frees the whole chain
    expect(z.node?.freedBy).toBe('dispose()');
  });

  it('called twice on one graph throws an error that says what to do; retainGraph allows it', () => {
    const x = leaf([1, 2]);
    const loss = x.square().sum();
    loss.backward();
    expect(() => loss.backward()).toThrow(BackendError);
    expect(() => loss.backward()).toThrow(
      'the graph through sum was freed by backward(); pass { retainGraph: true } to the first backward()',
    );

    const again = x.square().sum();
    again.backward({ retainGraph: true });
    again.backward();
    expect(read(x.grad)).toEqual([6, 12]);
    expect(() => again.backward()).toThrow(/freed by backward/);
  });

  it('of a second loss over freed features names the operation whose graph was freed', () => {
    const x = leaf([1, 2]);
    const features = x.exp().keep();
    const first = features.sum();
    const second = features.mean();
    first.backward();
    expect(() => second.backward()).toThrow(/the graph through exp was freed by backward\(\)/);
    expect(read(x.grad)).toEqual(read(features));
  });

  it('requires the gradient of the output unless the output is a scalar', () => {
    const x = leaf([1, 2]);
    expect(() => x.mul(2).backward()).toThrow(ShapeError);
    expect(() => x.mul(2).backward()).toThrow(/output has shape \[2\], expected one element; pass { gradient }/);
    expect(() => x.mul(2).backward({ gradient: zeros([3], { backend: reference }) })).toThrow(/gradient has shape \[3\], expected \[2\]/);
    x.mul(2).backward({ gradient: tensor([5, -1], [2], { backend: reference }) });
    expect(read(x.grad)).toEqual([10, -2]);
  });

  it('does not change the given gradient', () => {
    const x = leaf([-1, 2, 3]);
    const seed = tensor([1, -2, 3], [3], { backend: reference });
    backward(relu(x).add(0), { gradient: seed, rules: 'deconvnet' });
    expect(read(seed)).toEqual([1, -2, 3]);
    expect(read(x.grad)).toEqual([1, 0, 3]);
  });

  it('accepts the old names of its options, and refuses both names with different values', () => {
    const x = leaf([1, 2]);
    const dy = tensor([5, -1], [2], { backend: reference });
    const y = x.mul(2);
    y.backward({ seed: dy, keepGraph: true });
    y.backward({ seed: dy, gradient: dy, keepGraph: true, retainGraph: true });
    expect(read(x.grad)).toEqual([20, -4]);
    const other = tensor([5, -1], [2], { backend: reference });
    expect(() => y.backward({ seed: dy, gradient: other })).toThrow(/backward: gradient is a Tensor and seed is a Tensor, expected one/);
    expect(() => y.backward({ gradient: dy, keepGraph: true, retainGraph: false })).toThrow(ValueError);
  });

  it('refuses tensors that were not recorded', () => {
    const x = leaf([2]);
    const constant = tensor([2], [1], { backend: reference });
    expect(() => constant.mul(2).backward()).toThrow(/no input requires a gradient/);
    expect(() => noGrad(() => x.mul(2)).backward()).toThrow(/computed inside noGrad/);
    expect(() => x.detach().mul(2).backward()).toThrow(BackendError);
    expect(() => x.mul(2).backward({ rules: 'saliency' as RulesName })).toThrow(ValueError);
  });

  it('of a leaf gives the gradient 1', () => {
    const x = leaf([2]);
    x.backward();
    expect(read(x.grad)).toEqual([1]);
  });

  it('computes gradients only for tensors that require them', () => {
    const x = leaf([2]);
    const frozen = tensor([3], [1], { backend: reference });
    x.mul(frozen).backward();
    expect(read(x.grad)).toEqual([3]);
    expect(frozen.grad).toBeNull();
  });
});

describe('backward({ wrt })', () => {
  const net = () => {
    const x = leaf([1, -2, 3]);
    const w = leaf([2, 2, 2]);
    const hidden = relu(x.mul(w));
    return { x, w, hidden, loss: hidden.square().sum() };
  };

  it('returns the gradients in order, and does not change grad', () => {
    const { x, w, loss } = net();
    const [dw, dx] = backward(loss, { wrt: [w, x] });
    expect(read(dx)).toEqual([8, 0, 24]);
    expect(read(dw)).toEqual([4, 0, 36]);
    expect(x.grad).toBeNull();
    expect(w.grad).toBeNull();
  });

  it('returns zeros for a target that the loss does not depend on', () => {
    const { x, loss } = net();
    const apart = leaf([5, 5]);
    expect(backward(loss, { wrt: [apart, x] }).map(read)).toEqual([
      [0, 0],
      [8, 0, 24],
    ]);
  });

  it('returns the gradients of intermediate results and of their inputs', () => {
    const { x, hidden, loss } = net();
    expect(backward(loss, { wrt: [hidden, x], retainGraph: true }).map(read)).toEqual([
      [4, 0, 12],
      [8, 0, 24],
    ]);
    expect(backward(loss, { wrt: [hidden], retainGraph: true }).map(read)).toEqual([[4, 0, 12]]);
    expect(backward(loss, { wrt: [loss, x] }).map(read)).toEqual([[1], [8, 0, 24]]);
  });

  it('accepts a target twice', () => {
    const { x, loss } = net();
    expect(backward(loss, { wrt: [x, x] }).map(read)).toEqual([
      [8, 0, 24],
      [8, 0, 24],
    ]);
  });

  it('frees the graph like any backward pass, including the parts that it did not visit', () => {
    const { x, w, loss } = net();
    const { buffers } = reference.memory();
    const other = w.exp().sum().add(loss);
    const [dx] = backward(other, { wrt: [x] });
    dx.dispose();
    loss.dispose();
    expect(() => other.backward()).toThrow(/freed by backward/);
    other.dispose();
    expect(reference.memory().buffers).toBeLessThan(buffers);
  });
});

describe('the rules', () => {
  const x = () => leaf([-1, 2, 0.5, -3]);
  const seed = () => tensor([1, -1, 2, -2], [4], { backend: reference });
  const down = (f: (x: Tensor) => Tensor, rules: RulesName) => {
    const input = x();
    return read(backward(f(input), { gradient: seed(), rules, wrt: [input] })[0]);
  };

  it.each([
    ['gradient', [0, -1, 2, 0]],
    ['deconvnet', [1, 0, 2, 0]],
    ['guided', [0, 0, 2, 0]],
  ] as const)('%s passes through a ReLU', (rules, expected) => {
    expect(down(relu, rules)).toEqual(expected);
  });

  it.each(['gradient', 'deconvnet', 'guided'] as const)('%s is the same through a fused ReLU', (rules) => {
    const image = () => leaf(noise(50, 1), [1, 2, 5, 5]);
    const weights = tensor(noise(54, 2), [3, 2, 3, 3], { backend: reference });
    const seed = tensor(noise(27, 3), [1, 3, 3, 3], { backend: reference });
    const signals = [true, false].map((fused) => {
      const input = image();
      const y = fused ? conv2d(input, weights, null, { relu: true }) : relu(conv2d(input, weights));
      return read(backward(y, { gradient: seed, rules, wrt: [input] })[0]);
    });
    expect(signals[0]).toEqual(signals[1]);
    const rows = leaf(noise(12, 1), [3, 4]);
    const w = tensor(noise(20, 2), [5, 4], { backend: reference });
    const s = tensor(noise(15, 3), [3, 5], { backend: reference });
    const [fused, apart] = [linear(rows, w, null, { relu: true }), relu(linear(rows, w))].map((y) =>
      read(backward(y, { gradient: s, rules, wrt: [rows] })[0]),
    );
    expect(fused).toEqual(apart);
  });

  it('only the deconvnet passes normalisation unchanged', () => {
    const image = () => leaf(noise(12, 1), [1, 3, 2, 2]);
    const seed = tensor(noise(12, 2), [1, 3, 2, 2], { backend: reference });
    const signal = (rules: RulesName) => {
      const input = image();
      return read(backward(localResponseNorm(input, { alpha: 1 }), { gradient: seed, rules, wrt: [input] })[0]);
    };
    expect(signal('deconvnet')).toEqual(read(seed));
    expect(signal('gradient')).not.toEqual(read(seed));
    expect(signal('guided')).toEqual(signal('gradient'));
  });

  it('values of windows with the same switch are added, or the last one is kept', () => {
    const image = () => leaf([0, 0, 0, 0, 9, 0, 0, 0, 0], [1, 1, 3, 3]);
    const seed = tensor([1, 2, 3, 4], [1, 1, 2, 2], { backend: reference });
    const centre = (overlap: 'sum' | 'last') => {
      const input = image();
      const rules = { relu: 'mask', normalization: 'gradient', overlap } as const;
      return read(backward(maxPool2d(input, { kernelSize: 2, stride: 1 }), { gradient: seed, rules, wrt: [input] })[0])![4];
    };
    expect(centre('sum')).toBe(10);
    expect(centre('last')).toBe(4);
  });

  it('leaky ReLUs, which are never inactive, use the gradient under every rule', () => {
    expect(down((x) => leakyRelu(x, 0.5), 'deconvnet')).toEqual(down((x) => leakyRelu(x, 0.5), 'gradient'));
  });

  it('biases have no effect in the deconvnet', () => {
    const picture = (bias: number) => {
      const input = leaf(distinct(16, 1), [1, 1, 4, 4]);
      const w = tensor(noise(9, 2), [1, 1, 3, 3], { backend: reference });
      const b = tensor([bias], [1], { backend: reference });
      const seed = tensor([1, -1, 2, 3], [1, 1, 2, 2], { backend: reference });
      return read(backward(conv2d(input, w, b, { relu: true }), { gradient: seed, rules: 'deconvnet', wrt: [input] })[0]);
    };
    expect(picture(100)).toEqual(picture(-100));
  });
});

describe('noGrad()', () => {
  it('records nothing, and recording continues afterwards, also after an error', () => {
    const x = leaf([1]);
    expect(noGrad(() => [isRecording(), x.mul(2).requiresGrad])).toEqual([false, false]);
    expect(isRecording()).toBe(true);
    expect(() =>
      noGrad(() => {
        throw new Error('mine');
      }),
    ).toThrow('mine');
    expect(isRecording()).toBe(true);
    expect(noGrad(() => noGrad(() => isRecording()) || isRecording())).toBe(false);
  });
});

describe('refused arguments, by name:', () => {
  it('tensors of two backends', () => {
    const here = tensor([1, 2], [1, 2], { backend: reference });
    const there = tensor([1, 2], [1, 2], { backend: strict.backend });
    const labels = tensor(Int32Array.of(0), [1], { backend: strict.backend });
    const message =
      /: got tensors on different backends \(reference and wasm\), expected one backend; move one with tensor\(await t\.data\(\)/;
    expect(() => here.add(there)).toThrow(BackendError);
    expect(() => here.add(there)).toThrow(message);
    expect(() => linear(here, there)).toThrow(message);
    expect(() => here.matmul(there, { transposeB: true })).toThrow(message);
    expect(() => crossEntropy(here, labels)).toThrow(message);
    const x = leaf([1, 2], [1, 2]);
    expect(() => backward(x.mul(2), { gradient: there })).toThrow(message);
  });

  it('any operation before init()', () => {
    withBackend(reference, () => {
      setDefaultBackend(null);
      for (const make of [() => tensor([1]), () => zeros([1])]) {
        expect(make).toThrow(BackendError);
        expect(make).toThrow('the engine is not ready: call `await init()` first');
      }
    });
  });

  it('labels outside the classes, with their index', () => {
    const logits = leaf(noise(6, 1), [2, 3]);
    const loss = (...labels: number[]) => crossEntropy(logits, tensor(Int32Array.from(labels), [labels.length], { backend: reference }));
    expect(() => loss(0, 3)).toThrow(ValueError);
    expect(() => loss(0, 3)).toThrow('crossEntropy: label 3 at index 1 is outside the 3 classes, expected 0 to 2');
    expect(() => loss(-1, 0)).toThrow(/label -1 at index 0/);
    expect(() => loss(0)).toThrow(ShapeError);
    expect(() => crossEntropy(logits, tensor([0, 1], [2], { backend: reference }))).toThrow(/labels are float32, expected int32/);
  });

  it('mixed element types', () => {
    const whole = tensor(Int32Array.of(1, 2), [2], { backend: reference });
    expect(() => leaf([1, 2]).mul(whole)).toThrow(DTypeError);
    expect(() => relu(whole)).toThrow(/relu: got a int32 tensor, expected float32; use cast\('float32'\)/);
    expect(() => tensor(Int32Array.of(1), [1], { requiresGrad: true, backend: reference })).toThrow(DTypeError);
  });

  it.each([
    [/conv2d: input has 3 channels, weight expects 4/, () => conv2d(leaf(noise(48, 1), [1, 3, 4, 4]), leaf(noise(36, 1), [1, 4, 3, 3]))],
    [/conv2d: input of 2×2 .* smaller than the 3×3 kernel/, () => conv2d(leaf(noise(4, 1), [1, 1, 2, 2]), leaf(noise(9, 1), [1, 1, 3, 3]))],
    [/linear: input has 2 features, weight expects 3/, () => linear(leaf([1, 2], [1, 2]), leaf([1, 2, 3], [1, 3]))],
    [/add: shapes \[3\] and \[2\] cannot be broadcast: 3 and 2 on axis -1/, () => leaf([1, 2, 3]).add(leaf([1, 2]))],
    [/matmul: .* inner sizes 2 and 1 differ/, () => leaf([1, 2], [1, 2]).matmul(leaf([1, 2], [1, 2]))],
    [/maxPool2d: input of 1×1 .* smaller than the 2×2 window/, () => maxPool2d(leaf([1], [1, 1, 1, 1]), { kernelSize: 2 })],
    [/reshape: a tensor of shape \[2\] has 2 elements and cannot become \[3\]/, () => leaf([1, 2]).reshape([3])],
    [/sum: axis 1 does not exist in a tensor of rank 1/, () => leaf([1, 2]).sum({ axes: 1 })],
  ])('shapes that do not fit: %s', (message, fn) => {
    expect(fn).toThrow(ShapeError);
    expect(fn).toThrow(message);
  });
});

describe.each(backends)("check: 'nan' on $name", ({ backend }) => {
  afterEach(() => setNanCheck(false));
  const x = () => tensor([1, -1, 4], [3], { requiresGrad: true, backend });

  it('names the first operation that made a NaN or an infinity', () => {
    setNanCheck(true);
    const { buffers } = backend.memory();
    const input = x();
    expect(() => log(input.add(1))).toThrow(NonFiniteError);
    expect(() => log(input)).toThrow(/^log: 1 of 3 output values are NaN or infinite/);
    expect(() => input.mul(2).div(0).sum()).toThrow(/^div: 3 of 3/);
    expect(input.mul(2).sum().itemSync()).toBe(8);
    expect(backend.memory().buffers).toBeGreaterThanOrEqual(buffers);
  });

  it('checks gradients, too', () => {
    const root = tensor([0, 4], [2], { requiresGrad: true, backend }).sqrt();
    setNanCheck(true);
    expect(() => root.sum().backward()).toThrow(/^sqrt backward: 1 of 2 output values/);
  });

  it('is off by default', () => {
    expect(log(x()).dataSync()[1]).toBeNaN();
  });
});
