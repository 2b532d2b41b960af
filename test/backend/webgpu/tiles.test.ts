/** The pure functions that divide matrix products and convolutions for a GPU. They need no device. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ConvPass } from '../../../src/backend/backend.js';
import { type ConvParams, convParams } from '../../../src/backend/params.js';
import { channelSumPlan } from '../../../src/backend/webgpu/kernels/channel.js';
import { forwardGather, gradientPhases, inputGradGathers, phaseCount } from '../../../src/backend/webgpu/kernels/conv2d_geometry.js';
import { conv2dPlan, planText, productShape } from '../../../src/backend/webgpu/kernels/conv2d_plan.js';
import { depthOrder, gatherBlocks } from '../../../src/backend/webgpu/kernels/conv2d_products.js';
import {
  type Adapter,
  flopPerByteOf,
  isValidTile,
  type ProductShape,
  planProduct,
  slicesOf,
  TILES,
  threadsOf,
  tilesOf,
  workgroupBytes,
} from '../../../src/backend/webgpu/kernels/tiles.js';
import { winogradFits, winogradPays, winogradPlan, winogradSizes } from '../../../src/backend/webgpu/kernels/winograd_geometry.js';

const GPU: Adapter = { software: false, maxInvocations: 1024, maxWorkgroupBytes: 32768, maxBufferBytes: 2 ** 31 - 4, flopPerByte: 20 };
const SMALLEST_GPU: Adapter = { software: false, maxInvocations: 256, maxWorkgroupBytes: 16384, maxBufferBytes: 2 ** 28, flopPerByte: 20 };
const SOFTWARE: Adapter = { ...SMALLEST_GPU, software: true };

const shapes: fc.Arbitrary<ProductShape> = fc.record({
  rows: fc.integer({ min: 1, max: 5000 }),
  columns: fc.integer({ min: 1, max: 200_000 }),
  depth: fc.integer({ min: 0, max: 100_000 }),
  items: fc.integer({ min: 1, max: 64 }),
});

/** The convolutions of ZFNet at a batch of n. */
const zfnet = (n: number): ConvParams[] => [
  convParams('conv1', [n, 3, 224, 224], [96, 3, 7, 7], { stride: 2, padding: 1 }),
  convParams('conv2', [n, 96, 55, 55], [256, 96, 5, 5], { stride: 2 }),
  convParams('conv3', [n, 256, 13, 13], [384, 256, 3, 3], { padding: 1 }),
  convParams('conv4', [n, 384, 13, 13], [384, 384, 3, 3], { padding: 1 }),
  convParams('conv5', [n, 384, 13, 13], [256, 384, 3, 3], { padding: 1 }),
];
const PASSES: readonly ConvPass[] = ['forward', 'inputGrad', 'weightGrad'];

describe('tiles', () => {
  it.each(Object.values(TILES))('$name: the threads fill both panels without a remainder', (tile) => {
    expect(isValidTile(tile)).toBe(true);
    expect(threadsOf(tile)).toBeLessThanOrEqual(256);
    expect(workgroupBytes(tile)).toBeLessThanOrEqual(16384);
  });

  it('refuses tiles whose threads would not fill the panels', () => {
    expect(isValidTile({ ...TILES.medium, depth: 12 })).toBe(false);
    expect(isValidTile({ ...TILES.medium, threadColumns: 4, threadRows: 2 })).toBe(false);
    expect(isValidTile({ ...TILES.medium, unroll: 5 })).toBe(false);
  });

  it('a software device gets few threads and no slices', () => {
    fc.assert(
      fc.property(shapes, (shape) => {
        const { tile, slices } = planProduct(shape, SOFTWARE);
        expect(threadsOf(tile)).toBeLessThanOrEqual(64);
        expect(slices).toBe(1);
      }),
    );
  });

  it('the choice fits the device and is the same for the same shape', () => {
    fc.assert(
      fc.property(shapes, fc.constantFrom(GPU, SMALLEST_GPU), (shape, adapter) => {
        const plan = planProduct(shape, adapter);
        expect(planProduct({ ...shape }, { ...adapter })).toEqual(plan);
        expect(threadsOf(plan.tile)).toBeLessThanOrEqual(adapter.maxInvocations);
        expect(workgroupBytes(plan.tile)).toBeLessThanOrEqual(adapter.maxWorkgroupBytes);
        expect(plan.slices).toBe(slicesOf(plan.tile, shape, adapter));
        expect(plan.slices).toBeGreaterThanOrEqual(1);
        if (plan.slices === 1) return;
        expect(shape.depth / plan.slices).toBeGreaterThanOrEqual(192);
        expect(4 * plan.slices * shape.rows * shape.columns * shape.items).toBeLessThanOrEqual(adapter.maxBufferBytes);
        // One slice less would leave the device partly idle.
        expect(tilesOf(plan.tile, shape) * (plan.slices - 1)).toBeLessThan(384);
      }),
    );
  });

  it('falls back to the smallest workgroup on a device with few threads', () => {
    expect(planProduct({ rows: 512, columns: 512, depth: 512, items: 1 }, { ...GPU, maxInvocations: 32 }).tile).toBe(TILES.software);
  });

  it('large products get large tiles, small ones small tiles', () => {
    expect(planProduct({ rows: 4096, columns: 4096, depth: 4096, items: 1 }, GPU).tile.name).toBe('huge');
    expect(planProduct({ rows: 16, columns: 500_000, depth: 150, items: 1 }, GPU).tile.name).toBe('wide');
    expect(planProduct({ rows: 20, columns: 40, depth: 100, items: 1 }, GPU).tile.name).toBe('small');
  });

  it('every pass of ZFNet has enough workgroups, also at a batch of one', () => {
    for (const n of [1, 16, 128])
      for (const p of zfnet(n))
        for (const pass of PASSES) {
          const plan = conv2dPlan(pass, p, GPU);
          if (plan.variant !== 'gemm') continue;
          const workgroups = tilesOf(plan.product.tile, productShape(pass, p)) * plan.product.slices;
          expect(workgroups, `${pass} ${planText(plan)} ${JSON.stringify(p)}`).toBeGreaterThanOrEqual(48);
        }
  });
});

describe('sums over channels', () => {
  it('the parts cover all images', () => {
    const size = fc.integer({ min: 0, max: 5000 });
    fc.assert(
      fc.property(size, fc.integer({ min: 1, max: 5000 }), fc.integer({ min: 0, max: 20_000 }), (n, channels, inner) => {
        const { images, parts } = channelSumPlan(n, channels, inner);
        expect(images * parts).toBeGreaterThanOrEqual(n);
        expect(images * (parts - 1)).toBeLessThanOrEqual(n);
        expect(parts).toBeLessThanOrEqual(Math.max(1, Math.ceil(2 ** 18 / channels) + 1));
      }),
    );
  });
});

/** Small convolutions with strides, dilations and paddings. */
const convolutions: fc.Arbitrary<ConvParams> = fc
  .record({
    size: fc.tuple(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 12 })),
    kernel: fc.tuple(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 5 })),
    stride: fc.tuple(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 1, max: 6 })),
    dilation: fc.tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 4 })),
    padding: fc.tuple(fc.nat(4), fc.nat(4), fc.nat(4), fc.nat(4)),
    channels: fc.integer({ min: 1, max: 40 }),
  })
  .filter(({ size, kernel, dilation, padding }) =>
    [0, 1].every((axis) => size[axis] + padding[axis] + padding[axis + 2] > dilation[axis] * (kernel[axis] - 1)),
  )
  .map(({ size, kernel, stride, dilation, padding, channels }) =>
    convParams('test', [2, channels, ...size], [7, channels, ...kernel], { stride, dilation, padding }),
  );

describe('gathers', () => {
  it('the phases of an input gradient use each pair of output and tap exactly as the definition does', () => {
    fc.assert(
      fc.property(convolutions, (p) => {
        const found: string[] = [];
        for (const phase of gradientPhases(p.h, p.kh, p.strideH, p.dilationH, p.padTop))
          for (let g = 0; g < phase.grid; g++)
            for (let t = 0; t < phase.taps; t++) {
              const source = phase.source0 + g * phase.sourceStep + t * phase.tapStep;
              if (source >= 0 && source < p.oh)
                found.push(`${phase.out0 + g * phase.outStep} ${source} ${phase.tap0 + t * phase.tapEvery}`);
            }
        const expected: string[] = [];
        for (let oy = 0; oy < p.oh; oy++)
          for (let ky = 0; ky < p.kh; ky++) {
            const iy = oy * p.strideH - p.padTop + ky * p.dilationH;
            if (iy >= 0 && iy < p.h) expected.push(`${iy} ${oy} ${ky}`);
          }
        expect(found.sort()).toEqual(expected.sort());
      }),
    );
  });

  it('the phases cover each element of dx once', () => {
    fc.assert(
      fc.property(convolutions, (p) => {
        const gathers = inputGradGathers(p);
        expect(gathers.length).toBe(phaseCount(p));
        const places = gathers.flatMap(({ y, x }) =>
          Array.from({ length: y.grid * x.grid }, (_, i) => {
            const row = y.out0 + Math.floor(i / x.grid) * y.outStep;
            return row * p.w + x.out0 + (i % x.grid) * x.outStep;
          }),
        );
        expect(places.sort((a, b) => a - b)).toEqual(Array.from({ length: p.h * p.w }, (_, i) => i));
      }),
    );
  });

  it('the blocks cover the depth, without much waste', () => {
    fc.assert(
      fc.property(convolutions, fc.constantFrom(...Object.values(TILES)), (p, tile) => {
        const gather = forwardGather(p);
        const [depth, blocks] = [p.c * p.kh * p.kw, gatherBlocks(gather, tile)];
        expect(blocks * tile.depth).toBeGreaterThanOrEqual(depth);
        if (depthOrder(p.c, tile.depth) === 'flat') expect((blocks - 1) * tile.depth).toBeLessThan(depth);
        else expect(blocks * tile.depth).toBeLessThanOrEqual(1.25 * depth);
      }),
    );
  });

  it('the partial sums of an input gradient fit into one buffer', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 400 }), fc.integer({ min: 1, max: 3 }), fc.integer({ min: 64, max: 512 }), (n, stride, o) => {
        const p = convParams('test', [n, 32, 24, 24], [o, 32, 3, 3], { stride });
        const plan = conv2dPlan('inputGrad', p, SMALLEST_GPU);
        if (plan.variant !== 'gemm' || plan.product.slices === 1) return;
        expect(4 * plan.product.slices * n * 32 * 24 * 24).toBeLessThanOrEqual(SMALLEST_GPU.maxBufferBytes);
      }),
    );
  });

  it('a convolution with a long stride is not split into many dispatches', () => {
    const p = convParams('test', [1, 8, 60, 60], [8, 8, 3, 3], { stride: 7 });
    expect(conv2dPlan('inputGrad', p, GPU).variant).toBe('direct');
    expect(conv2dPlan('forward', p, GPU).variant).toBe('gemm');
  });

  it('a depthwise convolution uses no tiles', () => {
    const p = convParams('test', [4, 64, 14, 14], [64, 1, 3, 3], { groups: 64, padding: 1 });
    expect(PASSES.map((pass) => conv2dPlan(pass, p, GPU).variant)).toEqual(['direct', 'direct', 'direct']);
  });
});

describe('Winograd', () => {
  const withKernels = convolutions.map((p) => {
    const [kh, stride] = p.kh % 2 === 0 ? [5, 2] : [3, 1];
    return convParams('test', [p.n, p.c, p.h + 5, p.w + 5], [p.o, p.c, kh, kh], { stride, padding: p.padTop });
  });

  it('the tiles cover the output, and in an input gradient the input', () => {
    fc.assert(
      fc.property(withKernels, (p) => {
        expect(winogradFits(p)).toBe(true);
        const forward = winogradSizes('forward', p);
        expect(2 * forward.tilesH).toBeGreaterThanOrEqual(p.oh);
        expect(2 * forward.tilesH).toBeLessThanOrEqual(p.oh + 1);
        const { firstY, firstX, tilesH, tilesW } = winogradSizes('inputGrad', p);
        // The first and the last row and column of dx, in units of the stride.
        expect(p.strideH * firstY - p.padTop).toBeLessThanOrEqual(0);
        expect(p.strideW * firstX - p.padLeft).toBeLessThanOrEqual(0);
        expect(p.strideH * (firstY + 2 * tilesH) - p.padTop).toBeGreaterThanOrEqual(p.h);
        expect(p.strideW * (firstX + 2 * tilesW) - p.padLeft).toBeGreaterThanOrEqual(p.w);
      }),
    );
  });

  it('is never chosen on a software device, nor for other kernels', () => {
    for (const p of zfnet(128)) for (const pass of PASSES) expect(winogradPays(pass, p, SOFTWARE)).toBe(false);
    const other = convParams('test', [128, 256, 13, 13], [384, 256, 3, 3], { padding: 1, dilation: 2 });
    expect(winogradPays('forward', other, GPU)).toBe(false);
  });

  it('is chosen for the wide layers of ZFNet at a large batch, not at the first layer or for little work', () => {
    const chosen = (n: number) => zfnet(n).map((p) => PASSES.map((pass) => conv2dPlan(pass, p, GPU).variant === 'winograd2x2'));
    expect(chosen(128)).toEqual([[false, false, false], ...Array(4).fill([true, true, true])]);
    expect(chosen(1).flat()).not.toContain(true);
    // A device that moves few bytes in the time of much arithmetic.
    expect(winogradPays('forward', zfnet(128)[2], { ...GPU, flopPerByte: flopPerByteOf({ architecture: 'lovelace' }) })).toBe(false);
    expect(flopPerByteOf({ architecture: 'toString' })).toBe(20);
  });

  it('a chunk of images fits into one buffer', () => {
    for (const pass of PASSES)
      for (const p of zfnet(512).slice(1)) {
        const { images } = winogradPlan(pass, p, SMALLEST_GPU);
        const { phases, tilesH, tilesW } = winogradSizes(pass, p);
        expect(images).toBeGreaterThanOrEqual(1);
        expect(64 * images * Math.max(phases * p.c, p.o) * tilesH * tilesW).toBeLessThanOrEqual(SMALLEST_GPU.maxBufferBytes);
      }
  });
});
