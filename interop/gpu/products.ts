/**
 * Tests every tile, number of slices and convolution algorithm on a device, whether or not it would be chosen there: a few shapes each,
 * compared with the reference backend in float64.
 */
import type { ConvPass, Storage, TypedArray } from '../../src/backend/backend.js';
import { type ConvParams, convParams, type MatmulParams } from '../../src/backend/params.js';
import { createReferenceBackend } from '../../src/backend/reference/index.js';
import { openDevice } from '../../src/backend/webgpu/device.js';
import { channel } from '../../src/backend/webgpu/kernels/channel.js';
import { conv2d } from '../../src/backend/webgpu/kernels/conv2d.js';
import type { Conv2dPlan } from '../../src/backend/webgpu/kernels/conv2d_plan.js';
import { linear } from '../../src/backend/webgpu/kernels/linear.js';
import { matmul } from '../../src/backend/webgpu/kernels/matmul.js';
import { TILES, type Tile } from '../../src/backend/webgpu/kernels/tiles.js';
import { winogradFits } from '../../src/backend/webgpu/kernels/winograd_geometry.js';
import { DeviceQueue } from '../../src/backend/webgpu/queue.js';
import { Transfers } from '../../src/backend/webgpu/reads.js';
import { compareValues } from '../../src/testing/tolerances.js';
import type { Report, SuiteContext } from './suite.js';

/** Tolerances as shares of the sum of absolute products. Winograd adds and subtracts intermediate sums, which may cancel. */
const TOLERANCE = 3e-6;
const WINOGRAD_TOLERANCE = 1.5e-5;

type Kernels = ReturnType<typeof conv2d> & ReturnType<typeof matmul> & ReturnType<typeof linear> & ReturnType<typeof channel>;
type Run = (kernels: Kernels, out: Storage, inputs: readonly Storage[]) => void;

/** Numbers in [−1, 1] that look random and are the same in every run. */
const numbers = (size: number, start: number): Float32Array =>
  Float32Array.from({ length: size }, (_, i) => (((Math.imul(i + 7 * start + 1, 0x9e3779b1) >>> 8) / 2 ** 23) % 2) - 1);

/** The device under test and the reference. */
class Bench {
  readonly reference = createReferenceBackend();
  readonly transfers: Transfers;

  constructor(
    readonly queue: DeviceQueue,
    readonly report: Report,
  ) {
    this.transfers = new Transfers(queue);
  }

  async onDevice(kernels: Kernels, run: Run, inputs: readonly TypedArray[], out: TypedArray): Promise<TypedArray> {
    const { memory } = this.queue;
    const storages = [out, ...inputs].map((data) => {
      const storage = memory.allocate('float32', data.length);
      this.transfers.write(storage, data);
      return storage;
    });
    run(kernels, storages[0], storages.slice(1));
    const result = await this.transfers.read(storages[0]);
    for (const storage of storages) memory.release(storage);
    return result;
  }

  onReference(run: Run, inputs: readonly TypedArray[], out: TypedArray): TypedArray {
    const storages = [out, ...inputs].map((data) => {
      const storage = this.reference.allocate('float64', data.length);
      this.reference.write(storage, Float64Array.from(data));
      return storage;
    });
    run(this.reference as Kernels, storages[0], storages.slice(1));
    const result = this.reference.readSync(storages[0]);
    for (const storage of storages) this.reference.release(storage);
    return result;
  }

  /** Runs a kernel twice on the device, which must give the same bits, and compares with the reference. */
  async check(name: string, kernels: Kernels, run: Run, inputs: readonly TypedArray[], out: TypedArray, tolerance = TOLERANCE) {
    const first = await this.onDevice(kernels, run, inputs, out);
    const second = await this.onDevice(kernels, run, inputs, out);
    const scale = this.onReference(run, inputs.map(absolute), absolute(out));
    const { fault } = compareValues(first, this.onReference(run, inputs, out), tolerance, scale);
    this.report(name, fault ?? compareValues(second, first, 0).fault);
  }
}

const absolute = (data: TypedArray): TypedArray => data.map((value) => (Number.isNaN(value) ? 0 : Math.abs(value)));

/** One step of the depth per iteration, except in one tile, so that software devices compile the shaders in less time. */
const quick = (tile: Tile): Tile => (tile.name === 'small' ? tile : { ...tile, unroll: 1 });

function kernelsOf(
  queue: DeviceQueue,
  plan?: (pass: ConvPass, p: ConvParams) => Conv2dPlan,
  product?: { tile: Tile; slices: number },
): Kernels {
  const planProduct = product && (() => product);
  return { ...conv2d(queue, plan), ...matmul(queue, planProduct), ...linear(queue, planProduct), ...channel(queue) };
}

async function checkConvolution(bench: Bench, name: string, kernels: Kernels, p: ConvParams, tolerance?: number): Promise<void> {
  const [x, w, b] = [numbers(p.n * p.c * p.h * p.w, 1), numbers((p.o * p.c * p.kh * p.kw) / p.groups, 2), numbers(p.o, 3)];
  const dy = numbers(p.n * p.o * p.oh * p.ow, 4);
  const full = (size: number) => new Float32Array(size).fill(7);
  const settings = { ...p, relu: true, inference: false };
  const forward: Run = (on, out, [from, weight, bias]) => on.conv2d(out, from, weight, bias, settings);
  const inputGrad: Run = (on, out, [from, weight]) => on.conv2dInputGrad(out, from, weight, p);
  const weightGrad: Run = (on, out, [from, gradient]) => on.conv2dWeightGrad(out, from, gradient, p);
  await bench.check(`${name} forward`, kernels, forward, [x, w, b], full(dy.length), tolerance);
  await bench.check(`${name} inputGrad`, kernels, inputGrad, [dy, w], full(x.length), tolerance);
  await bench.check(`${name} weightGrad`, kernels, weightGrad, [x, dy], full(w.length), tolerance);
}

async function checkProducts(bench: Bench, name: string, kernels: Kernels): Promise<void> {
  const p: MatmulParams = { batch: 2, m: 70, n: 90, k: 50, transposeA: false, transposeB: false, strideA: 3500, strideB: 4500 };
  const product: Run = (on, out, [a, b]) => on.matmul(out, a, b, p);
  await bench.check(`${name} matmul`, kernels, product, [numbers(7000, 1), numbers(9000, 2)], new Float32Array(12_600));
  const layer = { n: 20, inFeatures: 50, outFeatures: 70, relu: true };
  const features: Run = (on, out, [x, w, b]) => on.linear(out, x, w, b, layer);
  await bench.check(`${name} linear`, kernels, features, [numbers(1000, 1), numbers(3500, 2), numbers(70, 3)], new Float32Array(1400));
}

/** Every tile, in one and in three slices, with channels in blocks and, at stride 2, with phases. */
async function checkTiles(bench: Bench): Promise<void> {
  const shapes = [
    convParams('test', [2, 16, 7, 6], [20, 16, 3, 3], { padding: 1 }),
    convParams('test', [2, 32, 9, 7], [16, 16, 5, 4], { stride: 2, padding: 1, groups: 2 }),
  ];
  for (const tile of Object.values(TILES).map(quick)) {
    for (const slices of [1, 3]) {
      const name = `tile ${tile.name}, ${slices} ${slices === 1 ? 'slice' : 'slices'}:`;
      const kernels = kernelsOf(bench.queue, () => ({ variant: 'gemm', product: { tile, slices } }), { tile, slices });
      for (const p of shapes) await checkConvolution(bench, `${name} ${p.kh}×${p.kw}`, kernels, p);
      if (tile.name === 'software' || tile.name === 'huge') await checkProducts(bench, name, kernels);
    }
  }
  const few = convParams('test', [2, 3, 11, 9], [9, 3, 7, 7], { stride: 2, padding: 2 });
  const product = { tile: quick(TILES.medium), slices: 2 };
  await checkConvolution(
    bench,
    'three channels',
    kernelsOf(bench.queue, () => ({ variant: 'gemm', product })),
    few,
  );
}

/** Winograd's algorithm with one and four phases, with all images at once and in chunks, and with slices in the weight gradient. */
async function checkWinograd(bench: Bench): Promise<void> {
  const shapes = [
    convParams('test', [3, 16, 7, 6], [20, 16, 3, 3], { padding: 1 }),
    convParams('test', [3, 32, 9, 11], [33, 32, 5, 5], { stride: 2, padding: 1 }),
    convParams('test', [2, 5, 12, 10], [6, 5, 5, 6], { stride: 2, padding: [0, 1, 2, 3] }),
  ];
  for (const p of shapes) if (!winogradFits(p)) bench.report('Winograd', `does not apply to ${JSON.stringify(p)}`);
  for (const [images, slices] of [
    [3, 1],
    [2, 3],
  ]) {
    const plan = (pass: ConvPass): Conv2dPlan => {
      const product = { tile: TILES.software, slices: pass === 'weightGrad' ? slices : 1 };
      return { variant: 'winograd2x2', images, product };
    };
    for (const p of shapes) {
      const name = `Winograd ${p.kh}×${p.kw}, ${images} images, ${slices} slices:`;
      await checkConvolution(bench, name, kernelsOf(bench.queue, plan), p, WINOGRAD_TOLERANCE);
    }
  }
}

/** A convolution with random sizes, strides, paddings on each side, dilations and groups. */
function randomConvolution(start: number): ConvParams {
  const values = numbers(20, 100 + start);
  let used = 0;
  const whole = (least: number, most: number) => least + Math.floor(((values[used++] + 1) / 2) * (most - least + 1) * 0.999);
  const groups = whole(1, 3);
  const [kernel, dilation] = [[whole(1, 4), whole(1, 4)] as const, [whole(1, 3), whole(1, 3)] as const];
  const padding = [whole(0, 3), whole(0, 3), whole(0, 3), whole(0, 3)] as const;
  const extent = (axis: 0 | 1) => Math.max(1, dilation[axis] * (kernel[axis] - 1) + 1 - padding[axis] - padding[axis + 2]) + whole(0, 6);
  const channels = whole(1, 12);
  const x = [whole(1, 3), groups * channels, extent(0), extent(1)];
  const options = { stride: [whole(1, 4), whole(1, 4)] as const, padding, dilation, groups };
  return convParams('random', x, [groups * whole(1, 7), channels, ...kernel], options);
}

/** Convolutions of every geometry, as products and without tiles. */
async function checkGeometries(bench: Bench): Promise<void> {
  const product = { tile: TILES.software, slices: 1 };
  const kernels = {
    gemm: kernelsOf(bench.queue, () => ({ variant: 'gemm', product })),
    direct: kernelsOf(bench.queue, () => ({ variant: 'direct' })),
  };
  for (let i = 0; i < 16; i++) {
    const p = randomConvolution(i);
    for (const variant of ['gemm', 'direct'] as const) await checkConvolution(bench, `random ${i}, ${variant}:`, kernels[variant], p);
  }
}

/** NaN and infinity in the images reach exactly the results that use them, with and without ReLU; and the sums over channels. */
async function checkSpecials(bench: Bench): Promise<void> {
  const kernels = kernelsOf(bench.queue);
  const p = convParams('test', [1, 8, 9, 9], [8, 8, 3, 3], { padding: 1 });
  const x = numbers(8 * 81, 1);
  [x[40], x[200], x[201], x[500]] = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];
  for (const relu of [false, true]) {
    const run: Run = (on, out, [from, w]) => on.conv2d(out, from, w, null, { ...p, relu, inference: false });
    await bench.check(`NaN and infinity, ${relu ? 'with' : 'without'} ReLU`, kernels, run, [x, numbers(576, 2)], new Float32Array(648));
  }
  for (const [n, channels, inner] of [
    [40, 6, 1],
    [5, 3, 100],
    [2100, 3, 20],
    [0, 3, 4],
  ]) {
    const sum: Run = (on, out, [dy]) => on.channelSum(out, dy, n, channels, inner);
    const add: Run = (on, out, [b]) => on.channelAdd(out, b, n, channels, inner);
    const [dy, name] = [numbers(n * channels * inner, 1), `[${n}, ${channels}, ${inner}]`];
    await bench.check(`channelSum ${name}`, kernels, sum, [dy], new Float32Array(channels).fill(7));
    await bench.check(`channelAdd ${name}`, kernels, add, [numbers(channels, 2)], dy);
  }
}

/** Products with few rows or columns, which use no tiles. */
async function checkRows(bench: Bench): Promise<void> {
  const kernels = kernelsOf(bench.queue);
  for (const [m, n, transposeA, transposeB] of [
    [3, 70, false, true],
    [70, 4, false, true],
    [70, 1, false, false],
    [1, 9, true, true],
  ] as const) {
    const p: MatmulParams = { batch: 2, m, n, k: 100, transposeA, transposeB, strideA: 100 * m, strideB: 100 * n };
    const run: Run = (on, out, [a, b]) => on.matmul(out, a, b, p);
    const inputs = [numbers(200 * m, 1), numbers(200 * n, 2)];
    await bench.check(`few rows: [${m}, 100] · [100, ${n}]`, kernels, run, inputs, new Float32Array(2 * m * n));
  }
  for (const n of [1, 3]) {
    const layer = { n, inFeatures: 150, outFeatures: 30, relu: n === 3 };
    const run: Run = (on, out, [x, w, b]) => on.linear(out, x, w, b, layer);
    const inputs = [numbers(150 * n, 1), numbers(4500, 2), numbers(30, 3)];
    await bench.check(`few rows: linear of ${n}`, kernels, run, inputs, new Float32Array(30 * n));
  }
}

/** Runs all checks on a device of its own. */
export async function products({ gpu, report }: SuiteContext): Promise<void> {
  const queue = new DeviceQueue(await openDevice(gpu), { mode: 'strict', maxBytes: Number.POSITIVE_INFINITY });
  const bench = new Bench(queue, report);
  try {
    await checkSpecials(bench);
    await checkRows(bench);
    await checkGeometries(bench);
    await checkWinograd(bench);
    await checkTiles(bench);
  } finally {
    queue.dispose();
    bench.reference.dispose();
  }
}
