/** Matrix products: square ones, two of ZFNet's convolutions as products in all four transposition forms, and its first linear layer. */
import type { MatmulParams } from '../src/backend/params.js';
import { type BenchCase, checkSome, noise, stored } from './harness.js';

const SIZES = [
  { name: '256', m: 256, n: 256, k: 256 },
  { name: '512', m: 512, n: 512, k: 512 },
  { name: '1024', m: 1024, n: 1024, k: 1024 },
  { name: 'conv2', m: 256, n: 676, k: 2400 },
  { name: 'conv4', m: 384, n: 169, k: 3456 },
];

const FORMS = [
  { name: 'A·B', transposeA: false, transposeB: false },
  { name: 'Aᵀ·B', transposeA: true, transposeB: false },
  { name: 'A·Bᵀ', transposeA: false, transposeB: true },
  { name: 'Aᵀ·Bᵀ', transposeA: true, transposeB: true },
];

function product(name: string, p: MatmulParams): BenchCase {
  const { m, n, k } = p;
  return {
    name,
    flop: 2 * m * n * k,
    prepare(backend) {
      const [x, y] = [noise(m * k, 1), noise(k * n, 2)];
      const [a, b, c] = [stored(backend, x), stored(backend, y), backend.allocate('float32', m * n)];
      const expected = (index: number) => {
        const [i, j] = [Math.floor(index / n), index % n];
        let sum = 0;
        for (let r = 0; r < k; r++) sum += x[p.transposeA ? r * m + i : i * k + r] * y[p.transposeB ? j * k + r : r * n + j];
        return sum;
      };
      return {
        run: () => backend.matmul(c, a, b, p),
        check: () => checkSome(backend, c, expected, k),
        release: () => [a, b, c].forEach((storage) => void backend.release(storage)),
      };
    },
  };
}

const squares = SIZES.flatMap(({ name, m, n, k }) =>
  FORMS.map((form) => {
    const { transposeA, transposeB } = form;
    return product(`matmul ${name} ${form.name}`, { batch: 1, m, n, k, transposeA, transposeB, strideA: 0, strideB: 0 });
  }),
);

/** Forward pass and both gradients of a linear layer, in the form that autograd calls them. */
function linearLayer(name: string, n: number, inFeatures: number, outFeatures: number): BenchCase[] {
  const gradient = { batch: 1, strideA: 0, strideB: 0, transposeB: false };
  return [
    {
      name: `${name} batch ${n} forward`,
      flop: 2 * n * inFeatures * outFeatures,
      prepare(backend) {
        const [input, weight, bias] = [noise(n * inFeatures, 1), noise(outFeatures * inFeatures, 2), noise(outFeatures, 3)];
        const [x, w, b] = [stored(backend, input), stored(backend, weight), stored(backend, bias)];
        const y = backend.allocate('float32', n * outFeatures);
        const expected = (index: number) => {
          const [row, column] = [Math.floor(index / outFeatures), index % outFeatures];
          let sum = bias[column];
          for (let i = 0; i < inFeatures; i++) sum += input[row * inFeatures + i] * weight[column * inFeatures + i];
          return Math.max(sum, 0);
        };
        return {
          run: () => backend.linear(y, x, w, b, { n, inFeatures, outFeatures, relu: true }),
          check: () => checkSome(backend, y, expected, inFeatures),
          release: () => [x, w, b, y].forEach((storage) => void backend.release(storage)),
        };
      },
    },
    product(`${name} batch ${n} input gradient`, { ...gradient, m: n, n: inFeatures, k: outFeatures, transposeA: false }),
    product(`${name} batch ${n} weight gradient`, { ...gradient, m: outFeatures, n: inFeatures, k: n, transposeA: true }),
  ];
}

export const gemmCases: BenchCase[] = [
  ...squares,
  ...linearLayer('fc6', 1, 9216, 4096),
  ...linearLayer('fc6', 8, 9216, 4096),
  ...linearLayer('fc6', 16, 9216, 4096),
  ...linearLayer('fc8', 16, 4096, 1000),
];
