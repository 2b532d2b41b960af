/**
 * The fused gradient of max pooling and the ReLU before it gives the bits of the two kernels, and is used only where the gradient between
 * them is not a result.
 */
import { afterEach, expect, it } from 'vitest';
import type { Backend } from '../../src/backend/backend.js';
import { createReferenceBackend } from '../../src/backend/reference/index.js';
import {
  add,
  backward,
  conv2d,
  maxPool2d,
  mul,
  type RulesName,
  relu,
  sum,
  type Tensor,
  tensor,
  withBackend,
} from '../../src/tensor/index.js';
import { noise } from '../../src/testing/cases/formula.js';

const open: Backend[] = [];
afterEach(() => {
  for (const backend of open.splice(0)) backend.dispose();
});

/** A reference backend with the fused kernel, made of two others, and the number of its calls; or without it. */
function backendWith(fused: boolean): { backend: Backend; calls: () => number } {
  const backend = createReferenceBackend();
  open.push(backend);
  let calls = 0;
  if (fused)
    backend.maxPool2dReluGrad = ({ dx }, { dy, y, switches }, p) => {
      calls++;
      const masked = backend.allocate(dy.dtype, dy.size);
      backend.reluGrad(masked, dy, y, 'mask');
      const sizes = { planes: p.planes, inner: p.oh * p.ow, outer: p.h * p.w };
      backend.maxUnpool2d(dx, masked, switches, { ...sizes, overlap: 'sum', window: p });
      backend.release(masked);
    };
  return { backend, calls: () => calls };
}

type Use = (x: Tensor, w: Tensor) => Tensor[];

/** Runs `use` with and without the fused kernel, compares the bits and returns the number of its calls. */
function compare(use: Use): number {
  let count = 0;
  const results = [true, false].map((fused) => {
    const { backend, calls } = backendWith(fused);
    return withBackend(backend, () => {
      const x = tensor(noise(2 * 3 * 9 * 9, 1), [2, 3, 9, 9], { requiresGrad: true });
      const w = tensor(noise(4 * 3 * 3 * 3, 2), [4, 3, 3, 3], { requiresGrad: true });
      const found = use(x, w).map((each) => each.dataSync());
      if (fused) count = calls();
      return found;
    });
  });
  expect(results[0]).toEqual(results[1]);
  return count;
}

const pool = { kernelSize: 3, stride: 2 };
const weights = (y: Tensor) => tensor(noise(y.size, 3), y.shape);
const gradients = (y: Tensor, wrt: Tensor[], rules: RulesName = 'gradient') => backward(sum(mul(y, weights(y))), { wrt, rules });

it('is used behind a convolution with ReLU, and behind a ReLU', () => {
  expect(compare((x, w) => gradients(maxPool2d(conv2d(x, w, null, { relu: true }), pool), [x, w]))).toBe(1);
  expect(compare((x, w) => gradients(maxPool2d(relu(conv2d(x, w)), pool), [x, w]))).toBe(1);
});

it('is not used behind other operations, nor under other rules', () => {
  expect(compare((x, w) => gradients(maxPool2d(conv2d(x, w), pool), [x, w]))).toBe(0);
  for (const rules of ['guided', 'deconvnet'] as const)
    expect(compare((x, w) => gradients(maxPool2d(relu(conv2d(x, w)), pool), [x], rules))).toBe(0);
});

it('is not used where the gradient between pooling and ReLU is asked for', () => {
  expect(
    compare((x, w) => {
      const hidden = relu(conv2d(x, w));
      return gradients(maxPool2d(hidden, pool), [hidden, x]);
    }),
  ).toBe(0);
});

it('lets the ReLU mask a sum of gradients, in both orders of the branches', () => {
  for (const first of [true, false])
    expect(
      compare((x, w) => {
        const hidden = relu(conv2d(x, w));
        const branches = [() => sum(mul(hidden, weights(hidden))), () => sum(maxPool2d(hidden, pool))];
        const [a, b] = (first ? branches : branches.reverse()).map((branch) => branch());
        return backward(add(a, b), { wrt: [x, w] });
      }),
    ).toBe(1);
});

it('is used by two poolings of one ReLU', () => {
  expect(
    compare((x, w) => {
      const hidden = relu(conv2d(x, w));
      return backward(add(sum(maxPool2d(hidden, pool)), sum(maxPool2d(hidden, { kernelSize: 2 }))), { wrt: [x, w] });
    }),
  ).toBe(2);
});
