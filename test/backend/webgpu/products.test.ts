/** The dispatches of products and convolutions, recorded by a queue without a device, and the text of their shaders. */
import { describe, expect, it } from 'vitest';
import type { Storage } from '../../../src/backend/backend.js';
import { type ConvParams, convParams } from '../../../src/backend/params.js';
import type { GpuStorage } from '../../../src/backend/webgpu/buffers.js';
import type { GpuQueue, Kernel } from '../../../src/backend/webgpu/kernel.js';
import { channel } from '../../../src/backend/webgpu/kernels/channel.js';
import { conv2d } from '../../../src/backend/webgpu/kernels/conv2d.js';
import type { Conv2dPlan } from '../../../src/backend/webgpu/kernels/conv2d_plan.js';
import { linear } from '../../../src/backend/webgpu/kernels/linear.js';
import { matmul } from '../../../src/backend/webgpu/kernels/matmul.js';
import { TILES } from '../../../src/backend/webgpu/kernels/tiles.js';

interface Launch {
  kernel: Kernel;
  values: readonly number[];
  groups: readonly number[];
}

const storage = (size: number) => ({ dtype: 'float32', size }) as Storage as GpuStorage;

/** A queue that records dispatches and checks their arguments. `software`: of a software device. */
function recorder(software = false) {
  const launches: Launch[] = [];
  let scratch = 0;
  const queue = {
    software,
    mode: 'strict',
    info: { vendor: 'test', architecture: 'test', description: 'records dispatches', software },
    limits: { maxWorkgroupsPerDimension: 65535, maxBufferBytes: 2 ** 31 - 4, maxInvocations: 1024, maxWorkgroupBytes: 32768 },
    own: (given: Storage) => given as GpuStorage,
    scratch: (bytes: number) => {
      scratch++;
      return storage(bytes / 4);
    },
    release: () => {
      scratch--;
    },
    launch: (kernel: Kernel, storages: readonly GpuStorage[], values: readonly number[], groups: readonly number[]) => {
      expect(storages.length, kernel.name).toBe(kernel.buffers.length);
      expect(values.length, kernel.name).toBe(kernel.params.length);
      expect(kernel.params.length, kernel.name).toBeLessThanOrEqual(60);
      values.forEach((value, i) => {
        expect(Number.isInteger(value), `${kernel.name}: ${kernel.params[i][0]} is ${value}`).toBe(true);
        if (kernel.params[i][1] === 'u32') expect(value, `${kernel.name}: ${kernel.params[i][0]}`).toBeGreaterThanOrEqual(0);
        expect(Math.abs(value)).toBeLessThan(2 ** 32);
      });
      for (const size of groups) {
        expect(size).toBeGreaterThanOrEqual(1);
        expect(size).toBeLessThanOrEqual(65535);
      }
      launches.push({ kernel, values, groups });
    },
  };
  return { queue: queue as unknown as GpuQueue, launches, open: () => scratch };
}

const value = ({ kernel, values }: Launch, name: string): number => values[kernel.params.findIndex(([field]) => field === name)];

function runConvolution(queue: GpuQueue, p: ConvParams, plan?: (...args: never[]) => Conv2dPlan, inputGrad = true): void {
  const family = plan === undefined ? conv2d(queue) : conv2d(queue, plan as never);
  const [x, y, w] = [storage(p.n * p.c * p.h * p.w), storage(p.n * p.o * p.oh * p.ow), storage((p.o * p.c * p.kh * p.kw) / p.groups)];
  family.conv2d(y, x, w, storage(p.o), { ...p, relu: true, inference: false });
  if (inputGrad) family.conv2dInputGrad(x, y, w, p);
  family.conv2dWeightGrad(w, x, y, p);
}

describe('dispatches', () => {
  it('the products of a training step of ZFNet take at most 100', () => {
    const n = 128;
    const { queue, launches, open } = recorder();
    const layers = [
      convParams('conv1', [n, 3, 224, 224], [96, 3, 7, 7], { stride: 2, padding: 1 }),
      convParams('conv2', [n, 96, 55, 55], [256, 96, 5, 5], { stride: 2 }),
      convParams('conv3', [n, 256, 13, 13], [384, 256, 3, 3], { padding: 1 }),
      convParams('conv4', [n, 384, 13, 13], [384, 384, 3, 3], { padding: 1 }),
      convParams('conv5', [n, 384, 13, 13], [256, 384, 3, 3], { padding: 1 }),
    ];
    const sums = channel(queue);
    for (const [i, p] of layers.entries()) {
      runConvolution(queue, p, undefined, i > 0);
      sums.channelSum(storage(p.o), storage(n * p.o * p.oh * p.ow), n, p.o, p.oh * p.ow);
    }
    for (const [inFeatures, outFeatures] of [
      [9216, 4096],
      [4096, 4096],
      [4096, 1000],
    ]) {
      const [x, y, w] = [storage(n * inFeatures), storage(n * outFeatures), storage(inFeatures * outFeatures)];
      linear(queue).linear(y, x, w, storage(outFeatures), { n, inFeatures, outFeatures, relu: true });
      const p = { batch: 1, transposeA: false, transposeB: false, strideA: 0, strideB: 0 };
      matmul(queue).matmul(x, y, w, { ...p, m: n, n: inFeatures, k: outFeatures });
      matmul(queue).matmul(w, y, x, { ...p, m: outFeatures, n: inFeatures, k: n, transposeA: true });
      sums.channelSum(storage(outFeatures), y, n, outFeatures, 1);
    }
    expect(open()).toBe(0);
    expect(launches.length).toBeLessThanOrEqual(100);
  });

  it('the workgroups of a product are its tiles times slices', () => {
    for (const tile of Object.values(TILES))
      for (const slices of [1, 3]) {
        const { queue, launches, open } = recorder();
        const family = matmul(queue, () => ({ tile, slices }));
        const p = { batch: 2, m: 300, n: 500, k: 700, transposeA: false, transposeB: false, strideA: 210_000, strideB: 350_000 };
        family.matmul(storage(300_000), storage(420_000), storage(700_000), p);
        const [product, sum] = launches;
        const tiles = 2 * Math.ceil(300 / tile.rows) * Math.ceil(500 / tile.columns) * slices;
        expect(value(product, 'tiles')).toBe(tiles);
        expect(product.groups[0] * product.groups[1]).toBeGreaterThanOrEqual(tiles);
        expect(value(product, 'blocksPerSlice') * slices).toBeGreaterThanOrEqual(Math.ceil(700 / tile.depth));
        expect(sum?.kernel.name).toBe(slices > 1 ? 'add slices' : undefined);
        expect(open()).toBe(0);
      }
  });

  it('more than 65,535 workgroups are folded to two dimensions', () => {
    const { queue, launches } = recorder(true);
    const p = convParams('test', [64, 8, 400, 400], [64, 8, 3, 3], { padding: 1 });
    conv2d(queue).conv2d(storage(64 ** 2 * 160_000), storage(8 * 64 * 160_000), storage(64 * 72), null, {
      ...p,
      relu: false,
      inference: false,
    });
    expect(value(launches[0], 'tiles')).toBe(2 * ((64 * 160_000) / 32));
    expect(launches[0].groups.length).toBe(2);
  });

  it('scratch storages are given back if a dispatch fails', () => {
    const { queue, open } = recorder();
    const failing: GpuQueue = {
      ...queue,
      launch: () => {
        throw new Error('lost');
      },
    };
    const p = convParams('test', [2, 16, 9, 9], [16, 16, 3, 3]);
    const product = { tile: TILES.small, slices: 2 };
    for (const plan of [{ variant: 'gemm', product } as const, { variant: 'winograd2x2', images: 1, product } as const])
      expect(() => runConvolution(failing, p, () => plan)).toThrow('lost');
    expect(open()).toBe(0);
  });

  it('nothing is dispatched for empty outputs', () => {
    const { queue, launches } = recorder();
    matmul(queue).matmul(storage(0), storage(0), storage(12), {
      ...{ batch: 1, m: 0, n: 4, k: 3, transposeA: false, transposeB: false, strideA: 0, strideB: 0 },
    });
    linear(queue).linear(storage(0), storage(0), storage(6), null, { n: 0, inFeatures: 2, outFeatures: 3, relu: false });
    channel(queue).channelAdd(storage(0), storage(3), 0, 3, 4);
    expect(launches.length).toBe(0);
    channel(queue).channelSum(storage(3), storage(0), 0, 3, 4);
    matmul(queue).matmul(storage(12), storage(0), storage(0), {
      ...{ batch: 1, m: 3, n: 4, k: 0, transposeA: false, transposeB: false, strideA: 0, strideB: 0 },
    });
    expect(launches.length).toBe(2);
  });
});

describe('shaders', () => {
  /** The kernels of all passes, algorithms and tiles. */
  function kernelsOfAll(): Map<string, Kernel> {
    const { queue, launches } = recorder();
    const few = convParams('few', [2, 3, 9, 9], [5, 3, 3, 3]);
    const many = convParams('many', [2, 16, 9, 9], [16, 16, 3, 3]);
    const grouped = convParams('grouped', [2, 16, 9, 9], [16, 1, 3, 3], { groups: 16 });
    for (const tile of Object.values(TILES)) {
      const product = { tile, slices: 2 };
      for (const p of [few, many]) runConvolution(queue, p, () => ({ variant: 'gemm', product }));
      runConvolution(queue, many, () => ({ variant: 'winograd2x2', images: 1, product: { tile, slices: 1 } }));
      for (const transposeA of [false, true])
        for (const transposeB of [false, true])
          matmul(queue, () => product).matmul(storage(64), storage(64), storage(64), {
            ...{ batch: 1, m: 8, n: 8, k: 8, strideA: 0, strideB: 0, transposeA, transposeB },
          });
    }
    runConvolution(queue, grouped);
    return new Map(launches.map(({ kernel }) => [`${kernel.name} | ${kernel.key}`, kernel]));
  }

  it('the same kernel always has the same text, and no value is missing in it', () => {
    const [first, second] = [kernelsOfAll(), kernelsOfAll()];
    // 6 tiles of 12 kinds of products, and 8 other kernels.
    expect(first.size).toBe(80);
    for (const [id, kernel] of first) {
      const text = kernel.code();
      expect(second.get(id), id).toBe(kernel);
      expect(kernel.code(), id).toBe(text);
      expect(text, id).not.toMatch(/undefined|NaN|\[object|\$\{/);
      expect(text, id).toContain('@compute');
    }
  });
});
