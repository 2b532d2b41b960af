/** Operations defined by `defineOp`: in the graph, under all rules, in profiles and errors, and what is refused. */
import { describe, expect, it } from 'vitest';
import { profile } from '../../src/profile/index.js';
import {
  add,
  BackendError,
  backward,
  defineOp,
  greater,
  maximum,
  mul,
  noGrad,
  pow,
  relu,
  ShapeError,
  scope,
  square,
  sum,
  type Tensor,
  tensor,
  ValueError,
} from '../../src/tensor/index.js';
import { GradcheckError, gradcheck } from '../../src/testing.js';
import { reference, strict } from '../support/backends.js';

const { backend } = strict;
const leaf = (values: number[]) => tensor(values, [values.length], { requiresGrad: true, backend });
const numbers = (t: Tensor | null) => [...t!.dataSync()];

const cube = defineOp({
  name: 'cube',
  forward(ctx, [x]) {
    ctx.save(x);
    return pow(x, 3);
  },
  backward(ctx, gradient) {
    return [mul(gradient, mul(square(ctx.saved[0]), 3))];
  },
});

/** y = a · x + b, with the factor as an option. */
const scaled = defineOp<{ a?: number }>({
  name: 'scaled',
  forward: (_ctx, [x, b], { a = 2 }) => add(mul(x, a), b),
  backward: ({ options: { a = 2 }, needs }, gradient) => [mul(gradient, a), needs[1] ? gradient : null],
});

/** A ReLU that follows the rules of the backward pass. */
const ownRelu = defineOp({
  name: 'ownRelu',
  forward(ctx, [x]) {
    const y = maximum(x, 0);
    ctx.save(y);
    return y;
  },
  backward({ saved: [y] }, gradient, { relu }) {
    const masked = relu === 'rectify' ? gradient : mul(gradient, greater(y, 0));
    return [relu === 'mask' ? masked : maximum(masked, 0)];
  },
});

describe('a defined operation', () => {
  it('computes, and its gradient reaches the leaves', () => {
    const x = leaf([1, -2, 3]);
    const y = cube(x);
    expect(numbers(y)).toEqual([1, -8, 27]);
    mul(sum(y), 2).backward();
    expect(numbers(x.grad)).toEqual([6, 24, 54]);
  });

  it('takes tensors by position and options last; undefined options count as absent', () => {
    const [x, b] = [leaf([1, 2]), tensor([10, 20], [2], { backend })];
    expect(numbers(scaled(x, b))).toEqual([12, 24]);
    expect(numbers(scaled(x, b, undefined))).toEqual([12, 24]);
    const y = scaled(x, b, { a: 5 });
    expect(numbers(y)).toEqual([15, 30]);
    sum(y).backward();
    expect(numbers(x.grad)).toEqual([5, 5]);
    expect(b.grad).toBeNull();
  });

  it('follows the rules of the backward pass as built-in operations do', () => {
    for (const rules of ['gradient', 'guided', 'deconvnet'] as const) {
      const project = (op: (x: Tensor) => Tensor) => {
        const x = leaf([1, -1, 2, -2]);
        const gradient = tensor([3, -4, -5, 6], [4], { backend });
        return numbers(backward(op(x), { gradient, rules, wrt: [x] })[0]);
      };
      expect(project(ownRelu)).toEqual(project(relu));
    }
  });

  it('passes gradcheck, and a wrong backward step is found', () => {
    const x = tensor([0.5, -1.5, 2], [3], { backend: reference });
    expect(gradcheck((x) => cube(x), x)).toMatchObject({ op: 'cube', checked: 3 });
    expect(gradcheck((x, b) => scaled(x, b, { a: 3 }), [x, x]).checked).toBe(6);
    const wrong = defineOp({
      name: 'wrong',
      forward(ctx, [x]) {
        ctx.save(x);
        return pow(x, 3);
      },
      backward: (ctx, gradient) => [mul(gradient, square(ctx.saved[0]))],
    });
    expect(() => gradcheck((x) => wrong(x), x)).toThrow(GradcheckError);
    expect(() => gradcheck((x) => wrong(x), x)).toThrow(/wrong: the gradient of input 0 at \[2\] is -/);
  });

  it('may save intermediate results and the output, use host data, and return its input', () => {
    const viaHost = defineOp({
      name: 'viaHost',
      forward(ctx, [x]) {
        const half = mul(x, 0.5);
        ctx.save(half, x);
        return tensor(
          x.dataSync().map((v) => v * 2),
          x.shape,
          { backend: x.backend },
        );
      },
      backward: ({ saved: [half] }, gradient) => [mul(gradient, add(half, half))],
    });
    const x = leaf([1, 2, 3]);
    sum(viaHost(x)).backward();
    expect(numbers(x.grad)).toEqual([1, 2, 3]);
    const same = defineOp({ name: 'same', forward: (_ctx, [x]) => x, backward: (_ctx, gradient) => [gradient] });
    const z = leaf([4, 5]);
    sum(mul(same(z), same(z))).backward();
    expect(numbers(z.grad)).toEqual([8, 10]);
  });

  it('records nothing inside noGrad and for inputs without a gradient', () => {
    const x = leaf([1, 2]);
    expect(noGrad(() => cube(x)).requiresGrad).toBe(false);
    expect(cube(tensor([1, 2], [2], { backend })).requiresGrad).toBe(false);
  });

  it('frees saved tensors and everything made in its steps', () => {
    const before = backend.memory().buffers;
    scope(() => {
      const x = leaf([1, 2, 3]);
      const loss = sum(cube(x));
      loss.backward();
      x.grad!.dispose();
      expect(backend.memory().buffers - before).toBeLessThanOrEqual(2);
    });
    expect(backend.memory().buffers).toBe(before);
    const x = leaf([1, 2, 3]);
    const y = cube(x);
    const loss = sum(y);
    loss.backward({ retainGraph: true });
    loss.backward();
    expect(numbers(x.grad)).toEqual([6, 24, 54]);
    expect(() => loss.backward()).toThrow(BackendError);
    for (const each of [x, y, loss]) each.dispose();
    expect(backend.memory().buffers).toBe(before);
  });

  it('frees everything when a step throws', () => {
    const failing = defineOp({
      name: 'failing',
      forward(ctx, [x]) {
        ctx.save(mul(x, 2));
        return mul(x, 3);
      },
      backward(_ctx, gradient) {
        mul(gradient, 2);
        throw new ValueError('failing: on purpose');
      },
    });
    const before = backend.memory().buffers;
    const x = leaf([1]);
    const loss = sum(failing(x));
    expect(() => loss.backward()).toThrow('failing: on purpose');
    for (const each of [x, loss]) each.dispose();
    expect(backend.memory().buffers).toBe(before);
  });

  it('is shown by its name in profiles', async () => {
    const x = leaf([1, 2, 3]);
    const { rows } = await profile(() => sum(cube(x)).backward(), { backend });
    expect(rows.some(({ layer }) => layer === 'cube')).toBe(true);
  });
});

describe('what a defined operation refuses', () => {
  const returning = (result: unknown) => defineOp({ name: 'bad', forward: (_ctx, [x]) => mul(x, 2), backward: () => result as never });
  const run = (result: unknown) => () => sum(returning(result)(leaf([1, 2]))).backward();

  it('gradients that do not fit the inputs', () => {
    expect(run([])).toThrow(/bad backward: returned 0 gradients, expected 1, one per input/);
    expect(run(tensor([1, 2], [2], { backend }))).toThrow(/bad backward: the result is a Tensor, expected an array/);
    expect(run([1])).toThrow(/bad backward: gradient 0 is 1, expected a tensor or null/);
    expect(run([tensor([1], [1], { backend })])).toThrow(ShapeError);
    expect(run([tensor([1], [1], { backend })])).toThrow(/gradient 0 has shape \[1\], expected \[2\], the shape of input 0/);
    expect(run([tensor([1, 2], [2], { backend: reference })])).toThrow(ValueError);
    expect(run([tensor([1, 2], [2], { backend, dtype: 'int32' })])).toThrow(/gradient 0 is int32 on wasm, expected float32 on wasm/);
    expect(run([null])).not.toThrow();
  });

  it('inputs that are not tensors, outputs that are not tensors, and incomplete definitions', () => {
    expect(() => cube()).toThrow(/cube: got no tensors/);
    expect(() => scaled(leaf([1]), 3 as never)).toThrow(/scaled: argument 2 is 3, expected a tensor/);
    expect(() => scaled(leaf([1]), tensor([1], [1], { backend: reference }))).toThrow(BackendError);
    const noOutput = defineOp({ name: 'noOutput', forward: () => 1 as never, backward: () => [null] });
    expect(() => noOutput(leaf([1]))).toThrow(/noOutput: the forward function returned 1, expected a tensor/);
    const late = defineOp({ name: 'late', forward: async () => leaf([1]) as never, backward: () => [null] } as never);
    expect(() => late(leaf([1]))).toThrow(/late: the forward function returned a Promise, expected a tensor; it must not be async/);
    expect(() => defineOp({ name: 'x', forward: () => leaf([1]) } as never)).toThrow(/defineOp: backward is missing/);
    expect(() => defineOp({ name: '', forward: () => leaf([1]), backward: () => [] })).toThrow(ValueError);
    const saving = defineOp({
      name: 'saving',
      forward: (_ctx, [x]) => mul(x, 1),
      backward(ctx, gradient) {
        ctx.save(gradient);
        return [gradient];
      },
    });
    expect(() => sum(saving(leaf([1]))).backward()).toThrow(/saving: save\(\) was called after the forward function/);
  });
});
