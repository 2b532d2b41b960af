/** `zfnet/testing` for users: checks of a backend, messages about element types, and counterexamples with numbers. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createReferenceBackend } from '../../src/backend/reference/index.js';
import { Conv2d, Dropout, Flatten, Linear, ReLU, Sequential } from '../../src/nn/index.js';
import { type Backend, conv2d, DTypeError, defineOp, ones, randn, type Tensor, withBackend } from '../../src/tensor/index.js';
import { arbitraries, GradcheckError, gradcheck } from '../../src/testing.js';
import { createDeferredBackend } from '../backend/deferred/deferred.js';
import { backends, reference, strict } from '../support/backends.js';

const image = () => randn([2, 3, 6, 5], { backend: reference });
const layers = () =>
  withBackend(reference, () => new Sequential([new Conv2d(3, 4, 3), new ReLU(), new Dropout(0.3), new Flatten(), new Linear(48, 2)]));

describe('gradcheck with a backend', () => {
  it.each([...backends, { name: 'a backend without a synchronous read', backend: createDeferredBackend() as Backend }])(
    'finds nothing wrong with $name',
    async ({ backend }) => {
      const model = layers();
      const before = Object.values(model.stateDict());
      const { checked, worst } = await gradcheck(model, image(), { backend });
      expect(checked).toBe(4 + 180 + 108 + 4 + 96 + 2);
      expect(worst?.error).toBeLessThan(1e-5);
      expect(Object.values(model.stateDict())).toEqual(before);
      await gradcheck((x, y) => x.mul(y).sum(), [image(), image()], { backend });
    },
  );

  it('finds a kernel that computes something else', async () => {
    const wrong = createReferenceBackend();
    const { relu, reluGrad } = wrong;
    wrong.reluGrad = (dx, dy, y) => reluGrad(dx, dy, y, 'rectify');
    await expect(gradcheck(layers(), image(), { backend: wrong })).rejects.toThrow(GradcheckError);
    await expect(gradcheck(layers(), image(), { backend: wrong })).rejects.toThrow(/the reference backend gives/);
    wrong.reluGrad = reluGrad;
    wrong.relu = (y, x) => {
      relu(y, x);
      wrong.affine(y, x, 1, 0.5);
    };
    await expect(gradcheck((x) => x.relu(), image(), { backend: wrong })).rejects.toThrow(/the output at \[/);
  });
});

describe('gradcheck', () => {
  it('may be awaited', async () => {
    expect((await gradcheck((x) => x.square(), ones([3], { backend: reference }))).checked).toBe(3);
  });

  it('says that it runs in float64 when a function mixes element types', () => {
    const w = randn([2, 3, 3, 3], { backend: reference });
    expect(() => gradcheck((x) => conv2d(x, ones([2, 3, 3, 3])).mul(1), image())).toThrow(DTypeError);
    expect(() => gradcheck((x) => conv2d(x, ones([2, 3, 3, 3])), image())).toThrow(/gradcheck runs the function in float64/);
    expect(gradcheck((x, w) => conv2d(x, w), [image(), w]).checked).toBeGreaterThan(0);
  });

  it('finds a wrong backward step of an operation of the user', () => {
    const cube = (factor: number) =>
      defineOp({
        name: 'cube',
        forward: (ctx, [x]: readonly Tensor[]) => {
          ctx.save(x);
          return x.mul(x).mul(x);
        },
        backward: (ctx, gradient) => [gradient.mul(ctx.saved[0].square()).mul(factor)],
      });
    const x = randn([2, 2], { backend: strict.backend });
    expect(gradcheck((x) => cube(3)(x), x).checked).toBe(4);
    expect(() => gradcheck((x) => cube(2)(x), x)).toThrow(/cube: the gradient of input 0/);
  });
});

describe('arbitraries', () => {
  it('print the numbers of a counterexample', () => {
    const { tensorOf } = arbitraries(fc);
    const never = fc.property(tensorOf([3], { backend: reference }), () => false);
    expect(() => fc.assert(never, { seed: 1 })).toThrow(/tensor\(\[-?[\d.]+, -?[\d.]+, -?[\d.]+\], \[3\]\)/);
  });
});
