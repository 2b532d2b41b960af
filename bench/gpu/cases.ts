/**
 * Kernels to time on a GPU: square matrix products, and every layer and pass of ZFNet that multiplies. Each result is compared with sums in
 * double precision at some elements.
 */
import type { Backend, Storage } from '../../src/backend/backend.js';
import { type ConvParams, convParams } from '../../src/backend/params.js';
import { type BenchCase, checkSome, noise, type Prepared, stored } from '../harness.js';

/** One network's layers at one batch size. */
export interface Plan {
  /** Sizes of square products. */
  products: readonly number[];
  /** Images of the layers. */
  batch: number;
  /** Factor on the number of maps, and height and width of the input. */
  width: number;
  side: number;
  classes: number;
}

/** The paper's network at the paper's batch size. */
export const GPU_PLAN: Plan = { products: [256, 512, 1024, 2048, 4096], batch: 128, width: 1, side: 224, classes: 1000 };
/** What a software device computes in a minute. */
export const SOFTWARE_PLAN: Plan = { products: [64, 128], batch: 2, width: 1 / 16, side: 64, classes: 10 };

function prepared(
  backend: Backend,
  inputs: readonly Float32Array[],
  outputSize: number,
  run: (y: Storage, ...inputs: Storage[]) => void,
  check: { terms: number; expected(index: number): number },
): Prepared {
  const storages = inputs.map((numbers) => stored(backend, numbers));
  const y = backend.allocate('float32', outputSize);
  return {
    run: () => run(y, ...storages),
    check: () => checkSome(backend, y, check.expected, check.terms),
    release: () => [...storages, y].forEach((storage) => void backend.release(storage)),
  };
}

/** C = A · B with matrices of n rows and columns. */
function square(n: number): BenchCase {
  const p = { batch: 1, m: n, n, k: n, transposeA: false, transposeB: false, strideA: 0, strideB: 0 };
  return {
    name: `product ${n}³`,
    flop: 2 * n ** 3,
    prepare(backend) {
      const [a, b] = [noise(n * n, 1), noise(n * n, 2)];
      const expected = (index: number) => {
        let sum = 0;
        for (let k = 0; k < n; k++) sum += a[n * Math.floor(index / n) + k] * b[n * k + (index % n)];
        return sum;
      };
      return prepared(backend, [a, b], n * n, (c, a, b) => backend.matmul(c, a, b, p), { terms: n, expected });
    },
  };
}

interface Sizes {
  x: number;
  w: number;
  y: number;
}

/** Sums in double precision, for single elements of the three passes of a convolution. */
function sums(p: ConvParams) {
  const [plane, pixels, taps] = [p.oh * p.ow, p.h * p.w, p.kh * p.kw];
  const pixel = (place: number, tap: number): number => {
    const y = Math.floor(place / p.ow) * p.strideH + Math.floor(tap / p.kw) - p.padTop;
    const x = (place % p.ow) * p.strideW + (tap % p.kw) - p.padLeft;
    return y < 0 || y >= p.h || x < 0 || x >= p.w ? -1 : y * p.w + x;
  };
  const split = (index: number, inner: number, middle: number) =>
    [Math.floor(index / inner / middle), Math.floor(index / inner) % middle, index % inner] as const;
  return {
    forward: (x: Float32Array, w: Float32Array, b: Float32Array) => (index: number) => {
      const [n, o, place] = split(index, plane, p.o);
      let sum = b[o];
      for (let c = 0; c < p.c; c++)
        for (let tap = 0; tap < taps; tap++) {
          const at = pixel(place, tap);
          if (at >= 0) sum += x[(n * p.c + c) * pixels + at] * w[(o * p.c + c) * taps + tap];
        }
      return Math.max(sum, 0);
    },
    inputGrad: (dy: Float32Array, w: Float32Array) => (index: number) => {
      const [n, c, at] = split(index, pixels, p.c);
      let sum = 0;
      for (let place = 0; place < plane; place++)
        for (let tap = 0; tap < taps; tap++) {
          if (pixel(place, tap) !== at) continue;
          for (let o = 0; o < p.o; o++) sum += dy[(n * p.o + o) * plane + place] * w[(o * p.c + c) * taps + tap];
        }
      return sum;
    },
    weightGrad: (x: Float32Array, dy: Float32Array) => (index: number) => {
      const [o, c, tap] = split(index, taps, p.c);
      let sum = 0;
      for (let n = 0; n < p.n; n++)
        for (let place = 0; place < plane; place++) {
          const at = pixel(place, tap);
          if (at >= 0) sum += x[(n * p.c + c) * pixels + at] * dy[(n * p.o + o) * plane + place];
        }
      return sum;
    },
  };
}

/** The passes of a convolution; without the gradient of the input for the first layer, which training does not need. */
function convolution(name: string, p: ConvParams, first: boolean): BenchCase[] {
  const taps = p.kh * p.kw;
  const size: Sizes = { x: p.n * p.c * p.h * p.w, w: p.o * p.c * taps, y: p.n * p.o * p.oh * p.ow };
  const flop = 2 * size.y * p.c * taps;
  const of = sums(p);
  const bias = noise(p.o, 3);
  const forward: BenchCase = {
    name: `${name} forward`,
    flop,
    plan: (backend) => backend.conv2dPlan?.('forward', p),
    prepare(backend) {
      const [x, w] = [noise(size.x, 1), noise(size.w, 2)];
      const check = { terms: p.c * taps, expected: of.forward(x, w, bias) };
      return prepared(
        backend,
        [x, w, bias],
        size.y,
        (y, x, w, b) => backend.conv2d(y, x, w, b, { ...p, relu: true, inference: false }),
        check,
      );
    },
  };
  const inputGrad: BenchCase = {
    name: `${name} input gradient`,
    flop,
    plan: (backend) => backend.conv2dPlan?.('inputGrad', p),
    prepare(backend) {
      const [dy, w] = [noise(size.y, 1), noise(size.w, 2)];
      const check = { terms: p.o * taps, expected: of.inputGrad(dy, w) };
      return prepared(backend, [dy, w], size.x, (dx, dy, w) => backend.conv2dInputGrad(dx, dy, w, p), check);
    },
  };
  const weightGrad: BenchCase = {
    name: `${name} weight gradient`,
    flop,
    plan: (backend) => backend.conv2dPlan?.('weightGrad', p),
    prepare(backend) {
      const [x, dy] = [noise(size.x, 1), noise(size.y, 2)];
      const check = { terms: p.n * p.oh * p.ow, expected: of.weightGrad(x, dy) };
      return prepared(backend, [x, dy], size.w, (dw, x, dy) => backend.conv2dWeightGrad(dw, x, dy, p), check);
    },
  };
  return first ? [forward, weightGrad] : [forward, inputGrad, weightGrad];
}

/** The passes of a linear layer, as autograd calls them. */
function linear(name: string, n: number, inputs: number, outputs: number): BenchCase[] {
  const flop = 2 * n * inputs * outputs;
  /** Element (i, j) of a product whose terms are at i · i1 + k · i2 and k · j1 + j · j2. */
  const entry = (a: Float32Array, b: Float32Array, terms: number, columns: number, [i1, i2]: number[], [j1, j2]: number[]) => ({
    terms,
    expected(index: number) {
      const [i, j] = [Math.floor(index / columns), index % columns];
      let sum = 0;
      for (let k = 0; k < terms; k++) sum += a[i * i1 + k * i2] * b[k * j1 + j * j2];
      return sum;
    },
  });
  const gradient = { batch: 1, strideA: 0, strideB: 0, transposeB: false };
  return [
    {
      name: `${name} forward`,
      flop,
      prepare(backend) {
        const [x, w, zero] = [noise(n * inputs, 1), noise(outputs * inputs, 2), new Float32Array(outputs)];
        const check = entry(x, w, inputs, outputs, [inputs, 1], [1, inputs]);
        const p = { n, inFeatures: inputs, outFeatures: outputs, relu: false };
        return prepared(backend, [x, w, zero], n * outputs, (y, x, w, b) => backend.linear(y, x, w, b, p), check);
      },
    },
    {
      name: `${name} input gradient`,
      flop,
      prepare(backend) {
        const [dy, w] = [noise(n * outputs, 1), noise(outputs * inputs, 2)];
        const check = entry(dy, w, outputs, inputs, [outputs, 1], [inputs, 1]);
        const p = { ...gradient, m: n, n: inputs, k: outputs, transposeA: false };
        return prepared(backend, [dy, w], n * inputs, (dx, dy, w) => backend.matmul(dx, dy, w, p), check);
      },
    },
    {
      name: `${name} weight gradient`,
      flop,
      prepare(backend) {
        const [dy, x] = [noise(n * outputs, 1), noise(n * inputs, 2)];
        const check = entry(dy, x, n, inputs, [1, outputs], [inputs, 1]);
        const p = { ...gradient, m: outputs, n: inputs, k: n, transposeA: true };
        return prepared(backend, [dy, x], outputs * inputs, (dw, dy, x) => backend.matmul(dw, dy, x, p), check);
      },
    },
  ];
}

/** Output size of a window of 3 at stride 2 in ceil mode, the pooling of the first two layers. */
const pooled = (size: number): number => Math.ceil((size - 3) / 2) + 1;

/** Returns the cases of a plan. */
export function casesOf({ products, batch, width, side, classes }: Plan): BenchCase[] {
  const maps = (full: number) => Math.max(1, Math.round(full * width));
  const [one, two, three, five] = [maps(96), maps(256), maps(384), maps(256)];
  const conv = (channels: number, size: number, outputs: number, kernel: number, stride: number, padding: number) =>
    convParams('bench', [batch, channels, size, size], [outputs, channels, kernel, kernel], { stride, padding });
  const conv1 = conv(3, side, one, 7, 2, 1);
  const conv2 = conv(one, pooled(conv1.oh), two, 5, 2, 0);
  const inner = pooled(conv2.oh);
  const last = Math.floor((inner - 3) / 2) + 1;
  const units = maps(4096);
  return [
    ...products.map(square),
    ...convolution('conv1', conv1, true),
    ...convolution('conv2', conv2, false),
    ...convolution('conv3', conv(two, inner, three, 3, 1, 1), false),
    ...convolution('conv4', conv(three, inner, three, 3, 1, 1), false),
    ...convolution('conv5', conv(three, inner, five, 3, 1, 1), false),
    ...linear('fc6', batch, five * last ** 2, units),
    ...linear('fc7', batch, units, units),
    ...linear('fc8', batch, units, classes),
  ];
}
