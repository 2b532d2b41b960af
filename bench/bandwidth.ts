/**
 * Memory-bound kernels: pooling, normalisation, dropout, losses, elementwise operations and updates. Each is checked against the reference
 * and then reported in GB/s, counting every operand once, beside the speed of a copy within the engine's memory.
 */
import type { Backend, DType, Storage, TypedArray } from '../src/backend/backend.js';
import { poolParams } from '../src/backend/params.js';
import { createReferenceBackend } from '../src/backend/reference/index.js';
import { type BenchCase, noise, type Prepared } from './harness.js';

interface Operand {
  dtype: DType;
  size: number;
  /** Null for outputs, which are written without being read. */
  numbers?: TypedArray;
}

interface Kernel {
  name: string;
  operands: readonly Operand[];
  /** Indices of the operands that it writes. */
  outputs: readonly number[];
  run(backend: Backend, ...operands: Storage[]): void;
}

const given = (numbers: TypedArray): Operand => ({
  dtype: numbers instanceof Int32Array ? 'int32' : 'float32',
  size: numbers.length,
  numbers,
});
const room = (size: number, dtype: DType = 'float32'): Operand => ({ dtype, size });

/** Number of elements compared per operand. */
const COMPARED = 4096;
const TOLERANCE = 2e-5;

function place(backend: Backend, operands: readonly Operand[]): Storage[] {
  return operands.map(({ dtype, size, numbers }) => {
    const storage = backend.allocate(dtype, size);
    if (numbers) backend.write(storage, numbers);
    return storage;
  });
}

/** Throws unless one run on the backend gives the same result as one run on the reference. */
async function compare(kernel: Kernel, backend: Backend, storages: readonly Storage[]): Promise<void> {
  const reference = createReferenceBackend();
  const expected = place(reference, kernel.operands);
  kernel.run(reference, ...expected);
  for (const output of kernel.outputs) {
    const [got, want] = [await backend.read(storages[output]), await reference.read(expected[output])];
    const step = Math.max(1, Math.floor(got.length / COMPARED));
    for (let i = 0; i < got.length; i += step) {
      if (!(Math.abs(got[i] - want[i]) <= TOLERANCE * (1 + Math.abs(want[i])))) {
        throw new Error(`operand ${output}, element ${i} is ${got[i]}, expected ${want[i]}`);
      }
    }
  }
  reference.dispose();
}

function benchCase(kernel: Kernel): BenchCase {
  return {
    name: kernel.name,
    bytes: kernel.operands.reduce((sum, { size }) => sum + 4 * size, 0),
    prepare(backend): Prepared {
      const storages = place(backend, kernel.operands);
      return {
        run: () => kernel.run(backend, ...storages),
        check: () => compare(kernel, backend, storages),
        release: () => storages.forEach((storage) => void backend.release(storage)),
      };
    },
  };
}

const BATCH = 4;

function pooling(name: string, channels: number, size: number, kernel: number, stride: number, padding = 0): Kernel[] {
  const p = poolParams('bench', [BATCH, channels, size, size], { kernelSize: kernel, stride, padding });
  const [outer, inner] = [p.h * p.w, p.oh * p.ow];
  const image = noise(p.planes * outer, 1);
  const reference = createReferenceBackend();
  const [y, switches, x] = place(reference, [room(p.planes * inner), room(p.planes * inner, 'int32'), given(image)]);
  reference.maxPool2d(y, switches, x, p);
  const places = reference.readSync?.(switches) as Int32Array;
  reference.dispose();
  return [
    {
      name: `${name} max pooling, switches`,
      operands: [room(p.planes * inner), room(p.planes * inner, 'int32'), given(image)],
      outputs: [0, 1],
      run: (backend, y, switches, x) => backend.maxPool2d(y, switches, x, p),
    },
    {
      name: `${name} unpooling`,
      operands: [room(p.planes * outer), given(noise(p.planes * inner, 2)), given(places)],
      outputs: [0],
      run: (backend, x, y, switches) => backend.maxUnpool2d(x, y, switches, { planes: p.planes, inner, outer, overlap: 'sum', window: p }),
    },
  ];
}

function averaging(name: string, channels: number, size: number, kernel: number, stride: number, padding = 0): Kernel[] {
  const p = poolParams('bench', [BATCH, channels, size, size], { kernelSize: kernel, stride, padding });
  const [outer, inner] = [p.planes * p.h * p.w, p.planes * p.oh * p.ow];
  return [
    {
      name: `${name} average pooling`,
      operands: [room(inner), given(noise(outer, 1))],
      outputs: [0],
      run: (backend, y, x) => backend.avgPool2d(y, x, p),
    },
    {
      name: `${name} average pooling, gradient`,
      operands: [room(outer), given(noise(inner, 2))],
      outputs: [0],
      run: (backend, dx, dy) => backend.avgPool2dGrad(dx, dy, p),
    },
  ];
}

function normalization(name: string, channels: number, size: number): Kernel[] {
  // The paper's constants, with inputs of a wider range, so that the window sums influence the result.
  const p = {
    n: BATCH,
    c: channels,
    h: size,
    w: size,
    before: 2,
    after: 2,
    alphaOverSize: 0.02,
    beta: 0.75,
    k: 2,
    region: 'across',
  } as const;
  const count = BATCH * channels * size * size;
  const x = given(noise(count, 1));
  return [
    { name: `${name} LRN`, operands: [room(count), x], outputs: [0], run: (backend, y, x) => backend.localResponseNorm(y, x, p) },
    {
      name: `${name} LRN gradient`,
      operands: [room(count), given(noise(count, 2)), x],
      outputs: [0],
      run: (backend, dx, dy, x) => backend.localResponseNormGrad(dx, dy, x, p),
    },
  ];
}

const COUNT = 2 ** 22;
const FLAT = { shape: [COUNT], stridesA: [1], stridesB: [1] };
const ROWS = { rows: 256, columns: 1000 };
const RATES = { lr: 0.01, momentum: 0.9, dampening: 0, weightDecay: 5e-4, nesterov: false, first: false };
const numbers = (seed: number) => given(noise(COUNT, seed));
const labels = given(Int32Array.from({ length: ROWS.rows }, (_, i) => (i * 37) % ROWS.columns));
const logits = given(noise(ROWS.rows * ROWS.columns, 1));

const KERNELS: Kernel[] = [
  ...pooling('zfnet pool1', 96, 110, 3, 2, 1),
  ...pooling('zfnet pool2', 256, 26, 3, 2, 1),
  ...pooling('zfnet pool5', 256, 13, 3, 2),
  ...pooling('lenet pool1', 20, 24, 2, 2),
  ...averaging('zfnet pool1', 96, 110, 3, 2, 1),
  ...averaging('lenet pool1', 20, 24, 2, 2),
  ...averaging('global', 512, 7, 7, 7),
  ...normalization('zfnet norm1', 96, 55),
  ...normalization('zfnet norm2', 256, 13),
  {
    name: 'dropout',
    operands: [room(COUNT), numbers(1)],
    outputs: [0],
    run: (backend, y, x) => backend.dropout(y, x, { probability: 0.5, seed: 7, counter: 0 }),
  },
  {
    name: 'cross entropy',
    operands: [room(1), logits, labels],
    outputs: [0],
    run: (backend, loss, x, labels) => backend.crossEntropy(loss, x, labels, ROWS),
  },
  {
    name: 'cross entropy gradient',
    operands: [room(ROWS.rows * ROWS.columns), given(new Float32Array([1])), logits, labels],
    outputs: [0],
    run: (backend, dx, dloss, x, labels) => backend.crossEntropyGrad(dx, dloss, x, labels, ROWS),
  },
  {
    name: 'SGD with momentum',
    operands: [numbers(1), numbers(2), numbers(3)],
    outputs: [0, 1],
    run: (backend, w, velocity, grad) => backend.sgd(w, velocity, grad, RATES),
  },
  { name: 'limit on RMS', operands: [numbers(1)], outputs: [0], run: (backend, w) => backend.clipRms(w, 2 ** 10, 2 ** 12, 0.1) },
  {
    name: 'ReLU gradient',
    operands: [room(COUNT), numbers(1), numbers(2)],
    outputs: [0],
    run: (backend, dx, dy, y) => backend.reluGrad(dx, dy, y, 'mask'),
  },
  {
    name: 'add',
    operands: [room(COUNT), numbers(1), numbers(2)],
    outputs: [0],
    run: (backend, y, a, b) => backend.binary(y, a, b, 'add', FLAT),
  },
  {
    name: 'pow by a number',
    operands: [room(COUNT), given(noise(COUNT, 1).map(Math.abs)), given(new Float32Array([0.75]))],
    outputs: [0],
    run: (backend, y, a, b) => backend.binary(y, a, b, 'pow', { ...FLAT, stridesB: [0] }),
  },
];

export const bandwidthCases: BenchCase[] = KERNELS.map(benchCase);

/** Measures a copy within the engine's memory, larger than the caches, in GB/s read and written. */
export function copyBandwidth(backend: Backend): number {
  const [y, x] = place(backend, [room(4 * COUNT), given(noise(4 * COUNT, 1))]);
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 8; i++) {
    const start = performance.now();
    backend.affine(y, x, 1, 0);
    least = Math.min(least, performance.now() - start);
  }
  for (const storage of [y, x]) backend.release(storage);
  return (2 * 4 * 4 * COUNT) / least / 1e6;
}
