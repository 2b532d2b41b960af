/**
 * Kernels called directly, with values and sizes that the operation cases do not have: NaN, infinities and subnormal numbers, ties,
 * overlapping windows, free switches, rows and channels that several workgroups share. Each case runs on the reference backend and on a
 * device; the results must agree within a tolerance, or to the bit where a kernel only compares and copies.
 */
import type { Backend, DType, Storage, TypedArray } from '../../src/backend/backend.js';
import { type PoolOptions, type PoolParams, poolParams } from '../../src/backend/params.js';
import { noise, steps, units } from '../../src/testing/cases/formula.js';
import { COMMON_TOLERANCE, compareValues } from '../../src/testing/tolerances.js';

type Kernels = Record<string, Storage>;

/** A call of one kernel. */
export interface KernelCase {
  name: string;
  /** Contents of the storages by name: outputs that are only written start with NaN or junk. */
  storages: Readonly<Record<string, TypedArray>>;
  /** Names of the storages that are compared. */
  outputs: readonly string[];
  run(backend: Backend, s: Kernels): void;
  /** Largest relative error; 0 compares bits. Default: the common tolerance of operations. */
  tolerance?: number;
}

const { NaN: nan, POSITIVE_INFINITY: inf } = Number;
const floats = (values: readonly number[]) => Float32Array.from(values);
const ints = (values: readonly number[]) => Int32Array.from(values);
const blank = (size: number) => new Float32Array(size).fill(nan);
const blankInts = (size: number) => new Int32Array(size).fill(-77);

/** Every kind of float: NaN, infinities, zeros, subnormal, tiny, huge and ordinary ones. */
const SPECIAL = [
  nan,
  inf,
  -inf,
  0,
  -0,
  1e-40,
  -1e-40,
  1.2e-38,
  -3,
  3,
  2.999,
  -2.999,
  0.5,
  -0.5,
  1,
  -1,
  12,
  -12,
  100,
  -100,
  1e20,
  -1e20,
  6,
  20,
  -20,
];

/** Noise with some special values in it. */
const wild = (size: number, seed: number) => {
  const places = units(size, seed + 1);
  return noise(size, seed).map((v, i) => (places[i] < 0.2 ? SPECIAL[Math.floor(places[i] * 5 * SPECIAL.length)] : v));
};

/** The fused gradient of ReLU and pooling; on a backend without this kernel, the two kernels. */
function maskAndUnpool(b: Backend, { fused, halves, dy, y, switches }: Kernels, p: PoolParams): void {
  if (b.maxPool2dReluGrad) {
    b.maxPool2dReluGrad({ dx: fused }, { dy, y, switches }, p);
    return;
  }
  b.reluGrad(halves, dy, y, 'mask');
  b.maxUnpool2d(fused, halves, switches, { ...unpooled(p), overlap: 'sum', window: p });
}

const unpooled = (p: PoolParams) => ({ planes: p.planes, inner: p.oh * p.ow, outer: p.h * p.w });

function activationCases(): KernelCase[] {
  const [x, dy] = [floats(SPECIAL), floats(noise(SPECIAL.length, 3))];
  const both = (name: string, run: KernelCase['run'], tolerance?: number): KernelCase => ({
    name,
    storages: { y: blank(x.length), dx: blank(x.length), x, dy },
    outputs: ['y', 'dx'],
    run,
    tolerance,
  });
  const kinds = (['silu', 'gelu', 'geluTanh', 'hardSigmoid', 'hardSwish'] as const).map((kind) =>
    both(
      kind,
      (b, s) => {
        b.activation(s.y, s.x, kind);
        b.activationGrad(s.dx, s.dy, s.x, kind);
      },
      4e-6,
    ),
  );
  return [
    ...kinds,
    both('leakyRelu', (b, s) => {
      b.leakyRelu(s.y, s.x, 0.25);
      b.leakyReluGrad(s.dx, s.dy, s.x, 0.25);
    }),
    both('clamp', (b, s) => {
      b.clamp(s.y, s.x, -3, 3);
      b.clampGrad(s.dx, s.dy, s.x, -3, 3);
    }),
    both('clamp without bounds', (b, s) => {
      b.clamp(s.y, s.x, -inf, inf);
      b.clampGrad(s.dx, s.dy, s.x, -inf, 0);
    }),
    {
      name: 'select',
      storages: {
        y: blank(x.length),
        z: blankInts(x.length),
        x,
        dy,
        counts: ints(SPECIAL.map((_, i) => (i % 3) - 1)),
        whole: ints(SPECIAL.map((_, i) => i)),
      },
      outputs: ['y', 'z'],
      tolerance: 0,
      run(b, s) {
        b.select(s.y, s.x, s.x, s.dy);
        b.select(s.z, s.counts, s.whole, s.counts);
      },
    },
  ];
}

/** Geometries of pooling: overlapping, padded, dilated, rounded up, and with windows without elements. */
const POOLS: readonly (readonly [shape: readonly number[], options: PoolOptions])[] = [
  [[1, 2, 7, 9], { kernelSize: 3, stride: 2 }],
  [[2, 1, 8, 8], { kernelSize: 3, stride: 1, padding: 1 }],
  [[1, 3, 6, 7], { kernelSize: [2, 3], stride: [3, 2], padding: [1, 1], ceilMode: true }],
  [[1, 2, 9, 8], { kernelSize: 3, stride: 1, dilation: [2, 3], padding: [2, 4] }],
  [[1, 1, 2, 2], { kernelSize: 2, dilation: 4, padding: 3, stride: 1 }],
  [[1, 2, 13, 11], { kernelSize: [13, 11] }],
  [[1, 300, 3, 3], { kernelSize: 2, stride: 1 }],
];

function poolCases(): KernelCase[] {
  return POOLS.flatMap(([shape, options], i) => {
    const p = poolParams('pool', shape, options);
    const [size, pooled] = [p.planes * p.h * p.w, p.planes * p.oh * p.ow];
    const text = `${i}: ${JSON.stringify(options)}`;
    const max = (name: string, x: Float32Array): KernelCase => ({
      name: `maxPool2d ${name} ${text}`,
      storages: {
        y: blank(pooled),
        z: blank(pooled),
        switches: blankInts(pooled),
        x,
        g: floats(noise(pooled, 4)),
        half: blank(pooled),
        fused: blank(size),
        up: blank(size),
        last: blank(size),
        dy: blank(pooled),
      },
      outputs: ['y', 'z', 'switches', 'up', 'last', 'dy', 'fused'],
      run(b, s) {
        b.maxPool2d(s.y, s.switches, s.x, p);
        b.maxPool2d(s.z, null, s.x, p);
        b.maxUnpool2d(s.last, s.y, s.switches, { ...unpooled(p), overlap: 'last', window: p });
        b.maxUnpool2d(s.up, s.y, s.switches, { ...unpooled(p), overlap: 'sum', window: p });
        b.maxUnpool2dGrad(s.dy, s.last, s.switches, unpooled(p));
        maskAndUnpool(b, { fused: s.fused, halves: s.half, dy: s.g, y: s.y, switches: s.switches }, p);
      },
    });
    const average = (countIncludePad: boolean): KernelCase => ({
      name: `avgPool2d ${countIncludePad ? 'with' : 'without'} padding ${text}`,
      storages: { y: blank(pooled), dx: blank(size), x: floats(noise(size, 5)), dy: floats(noise(pooled, 6)) },
      outputs: ['y', 'dx'],
      run(b, s) {
        b.avgPool2d(s.y, s.x, { ...p, countIncludePad });
        b.avgPool2dGrad(s.dx, s.dy, { ...p, countIncludePad });
      },
    });
    return [
      max('special values', floats(wild(size, i + 7))),
      max('ties', floats(steps(size, i + 8))),
      max('minus infinity', new Float32Array(size).fill(-inf)),
      average(true),
      average(false),
    ];
  });
}

function unpoolCases(): KernelCase[] {
  const free = (name: string, planes: number, inner: number, outer: number, place: (i: number, u: number) => number): KernelCase => {
    const u = units(planes * inner, 11);
    const p = { planes, inner, outer, window: null };
    return {
      name: `maxUnpool2d with free switches: ${name}`,
      storages: {
        sum: blank(planes * outer),
        again: blank(planes * outer),
        last: blank(planes * outer),
        dy: blank(planes * inner),
        y: floats(noise(planes * inner, 12)),
        switches: ints(u.map((each, i) => place(i, each))),
      },
      outputs: ['sum', 'last', 'dy'],
      run(b, s) {
        b.maxUnpool2d(s.sum, s.y, s.switches, { ...p, overlap: 'sum' });
        b.maxUnpool2d(s.again, s.y, s.switches, { ...p, overlap: 'sum' });
        b.maxUnpool2d(s.last, s.y, s.switches, { ...p, overlap: 'last' });
        b.maxUnpool2dGrad(s.dy, s.sum, s.switches, p);
      },
    };
  };
  return [
    free('few duplicates', 3, 50, 90, (_, u) => Math.floor(u * 90)),
    free('outside of the plane', 2, 40, 30, (_, u) => Math.floor(u * 50) - 10),
    free('one target', 1, 1000, 5, () => 3),
    free('long lists', 1, 5000, 7, (_, u) => Math.floor(u * 7)),
    free('lists of 63, 64, 65 and 129', 1, 63 + 64 + 65 + 129, 6, (i) => (i < 63 ? 4 : i < 127 ? 1 : i < 192 ? 0 : 5)),
    free('descending', 2, 300, 300, (i) => 299 - (i % 300)),
    free('more values than elements', 1, 700, 3, (i) => i % 4),
  ];
}

function lrnCases(): KernelCase[] {
  const sizes = { n: 2, c: 7, h: 5, w: 6 };
  const size = 2 * 7 * 5 * 6;
  const variants = [
    ['across', 0.75],
    ['across', 0.5],
    ['within', 0.75],
    ['within', 1.2],
  ] as const;
  return variants.flatMap(([region, beta]) =>
    [floats(noise(size, 4).map((v) => 3 * v)), floats(wild(size, 9).map((v) => (Math.abs(v) > 1e10 ? nan : v)))].map((x, i) => ({
      name: `localResponseNorm ${region}, beta ${beta}${i ? ', special values' : ''}`,
      storages: { y: blank(size), dx: blank(size), x, dy: floats(noise(size, 2)) },
      outputs: ['y', 'dx'],
      run(b: Backend, s: Kernels) {
        const p = { ...sizes, before: 2, after: 1, alphaOverSize: 0.3, beta, k: 2, region };
        b.localResponseNorm(s.y, s.x, p);
        b.localResponseNormGrad(s.dx, s.dy, s.x, p);
      },
    })),
  );
}

function batchNormCases(): KernelCase[] {
  const given = (
    name: string,
    sizes: readonly [n: number, channels: number, inner: number],
    x: (i: number, v: number) => number,
  ): KernelCase[] =>
    [true, false].map((training) => {
      const [n, channels, inner] = sizes;
      const size = n * channels * inner;
      const p = { n, channels, inner, epsilon: 1e-5, training };
      return {
        name: `batchNorm ${training ? 'training' : 'inference'}: ${name}`,
        storages: {
          y: blank(size),
          plain: blank(size),
          dx: blank(size),
          dw: blank(channels),
          db: blank(channels),
          mean: training ? blank(channels) : floats(noise(channels, 3)),
          variance: training ? blank(channels) : floats(units(channels, 4)),
          x: floats(noise(size, 5).map((v, i) => x(i, v))),
          dy: floats(noise(size, 6)),
          w: floats(noise(channels, 7)),
          bias: floats(noise(channels, 8)),
        },
        outputs: ['mean', 'variance', 'y', 'plain', 'db', 'dw', 'dx'],
        tolerance: 2e-5,
        run(b, s) {
          b.batchNorm({ y: s.plain, mean: s.mean, variance: s.variance }, { x: s.x, weight: null, bias: null }, { ...p, relu: false });
          b.batchNorm({ y: s.y, mean: s.mean, variance: s.variance }, { x: s.x, weight: s.w, bias: s.bias }, { ...p, relu: true });
          const inputs = { dy: s.dy, x: s.x, mean: s.mean, variance: s.variance, weight: s.w };
          b.batchNormGrad({ dx: s.dx, dweight: s.dw, dbias: s.db }, inputs, { ...p, relu: false });
        },
      };
    });
  return [
    ...given('matrix', [70, 5, 1], (_, v) => v),
    ...given('matrix of many rows', [700, 3, 1], (_, v) => v),
    ...given('images', [3, 4, 35], (_, v) => 2 * v + 1),
    ...given('several slices', [2, 2, 5000], (_, v) => v + 2),
    ...given('large mean', [4, 3, 40], (_, v) => v + 500),
    ...given('constant', [2, 3, 40], () => 0.1),
    ...given('special values', [2, 3, 40], (i, v) => (i === 3 ? nan : i === 50 ? inf : v)),
  ];
}

function groupNormCases(): KernelCase[] {
  const given = (name: string, rows: number, groups: number, channels: number, inner: number, shift: number): KernelCase => {
    const [size, all] = [rows * channels * inner, groups * channels];
    return {
      name: `groupNorm ${name}`,
      storages: {
        y: blank(size),
        plain: blank(size),
        mean: blank(rows),
        variance: blank(rows),
        dx: blank(size),
        dw: blank(all),
        db: blank(all),
        x: floats(noise(size, 5).map((v) => v + shift)),
        dy: floats(noise(size, 6)),
        w: floats(noise(all, 7)),
        bias: floats(noise(all, 8)),
      },
      outputs: ['mean', 'variance', 'y', 'plain', 'db', 'dw', 'dx'],
      tolerance: 2e-5,
      run(b, s) {
        const p = { rows, groups, channels, inner, epsilon: 1e-5 };
        b.groupNorm({ y: s.plain, mean: s.mean, variance: s.variance }, { x: s.x, weight: null, bias: null }, p);
        b.groupNorm({ y: s.y, mean: s.mean, variance: s.variance }, { x: s.x, weight: s.w, bias: s.bias }, p);
        const { mean, variance, x, dy } = s;
        b.groupNormGrad({ dx: s.dx }, { dy, x, mean, variance, weight: s.w }, p);
        b.groupNormParamGrad({ dweight: s.dw, dbias: s.db }, { dy, x, mean, variance }, p);
      },
    };
  };
  return [
    given('layer', 200, 1, 20, 1, 0),
    given('wide layer', 9, 1, 700, 1, 3),
    given('groups of images', 6, 3, 2, 40, 300),
    given('groups of small images', 4, 2, 3, 4, 0),
  ];
}

function reduceCases(): KernelCase[] {
  const given = (
    name: string,
    kept: readonly (readonly [number, number])[],
    reduced: readonly (readonly [number, number])[],
    x: Float32Array,
  ): KernelCase => {
    const outputs = kept.reduce((count, [size]) => count * size, 1);
    const [part, strides] = [(axes: typeof kept) => axes.map(([size]) => size), (axes: typeof kept) => axes.map(([, stride]) => stride)];
    const p = { keptShape: part(kept), keptStrides: strides(kept), reducedShape: part(reduced), reducedStrides: strides(reduced) };
    return {
      name: `reduce ${name}`,
      storages: { sum: blank(outputs), mean: blank(outputs), max: blank(outputs), min: blank(outputs), argmax: blankInts(outputs), x },
      outputs: ['sum', 'mean', 'max', 'min', 'argmax'],
      tolerance: 1e-5,
      run(b, s) {
        for (const op of ['sum', 'mean', 'max', 'min'] as const) b.reduce(s[op], s.x, op, p);
        b.argmax(s.argmax, s.x, p);
      },
    };
  };
  return [
    given('short rows', [[40, 7]], [[7, 1]], floats(wild(280, 2))),
    given('long rows', [[5, 700]], [[700, 1]], floats(noise(3500, 3))),
    given('rows with special values', [[30, 100]], [[100, 1]], floats(wild(3000, 4))),
    given('columns', [[300, 1]], [[200, 300]], floats(noise(60000, 5))),
    given('ties', [[20, 50]], [[50, 1]], floats(steps(1000, 6))),
    given('everything', [], [[70000, 1]], floats(noise(70000, 7))),
    given(
      'middle axes',
      [
        [3, 120],
        [4, 2],
      ],
      [
        [15, 8],
        [2, 1],
      ],
      floats(noise(360, 8)),
    ),
    given('minus infinity', [[3, 40]], [[40, 1]], new Float32Array(120).fill(-inf)),
    given('no elements', [[3, 0]], [[0, 1]], new Float32Array(0)),
    given('one large maximum', [], [[20000, 1]], floats(noise(20000, 9).map((v, i) => (i === 17777 ? 5 : v)))),
    given('subnormal numbers', [[2, 40]], [[40, 1]], floats(Array.from({ length: 80 }, (_, i) => (i - 40) * 1e-41))),
  ].map((each) => (each.name.includes('subnormal') ? { ...each, outputs: ['argmax'] } : each));
}

function rankingCases(): KernelCase[] {
  const given = (name: string, rows: number, columns: number, count: number, x: Float32Array): KernelCase[] =>
    [true, false].map((largest) => ({
      name: `topk ${largest ? 'largest' : 'smallest'} ${count} of ${columns}: ${name}`,
      storages: { indices: blankInts(rows * count), x },
      outputs: ['indices'],
      tolerance: 0,
      run: (b, s) => b.topk(s.indices, s.x, { rows, columns }, count, largest),
    }));
  return [
    ...given('ties', 6, 17, 5, floats(steps(102, 2))),
    ...given('special values', 5, 100, 9, floats(wild(500, 3))),
    ...given('special values', 4, 90, 90, floats(wild(360, 4))),
    ...given('ties', 3, 200, 64, floats(steps(600, 5))),
    ...given('one row', 1, 3000, 33, floats(noise(3000, 6))),
    ...given('only NaN', 2, 40, 40, new Float32Array(80).fill(nan)),
  ];
}

function softmaxCases(): KernelCase[] {
  const given = (name: string, rows: number, columns: number, x: Float32Array): KernelCase => ({
    name: `softmax and cross entropy ${name}`,
    storages: {
      y: blank(x.length),
      dx: blank(x.length),
      logs: blank(x.length),
      dlogs: blank(x.length),
      loss: blank(1),
      dlogits: blank(x.length),
      x,
      dy: floats(noise(x.length, 5)),
      dloss: floats([1.5]),
      labels: ints(units(rows, 6).map((u) => Math.floor(u * columns))),
    },
    outputs: ['y', 'dx', 'logs', 'dlogs', 'loss', 'dlogits'],
    tolerance: 5e-6,
    run(b, s) {
      const p = { rows, columns };
      b.softmax(s.y, s.x, p);
      b.softmaxGrad(s.dx, s.dy, s.y, p);
      b.logSoftmax(s.logs, s.x, p);
      b.logSoftmaxGrad(s.dlogs, s.dy, s.logs, p);
      b.crossEntropy(s.loss, s.x, s.labels, p);
      b.crossEntropyGrad(s.dlogits, s.dloss, s.x, s.labels, p);
    },
  });
  const scaled = (size: number, seed: number, scale: number) => floats(noise(size, seed).map((v) => v * scale));
  return [
    given('short rows', 7, 10, scaled(70, 2, 5)),
    given('long rows', 3, 1000, scaled(3000, 3, 20)),
    given('large values', 4, 50, scaled(200, 4, 5000)),
    given('special values', 20, 12, floats(wild(240, 8))),
    given('special values in long rows', 6, 80, floats(wild(480, 9).map((v, i) => (i % 80 < 60 ? v : 0)))),
    given('minus infinity', 2, 40, new Float32Array(80).fill(-inf)),
    given('many rows', 2500, 3, scaled(7500, 10, 3)),
  ];
}

function updateCases(): KernelCase[] {
  const size = 301;
  const [w, grad] = [floats(noise(size, 2)), floats(noise(size, 3))];
  const state = () => floats(units(size, 4));
  const base = { lr: 0.1, weightDecay: 0.01, dampening: 0.2 };
  const cases: KernelCase[] = [];
  for (const [momentum, nesterov, first] of [
    [0, false, false],
    [0.9, false, true],
    [0.9, false, false],
    [0.9, true, false],
  ] as const)
    cases.push({
      name: `sgd momentum ${momentum}${nesterov ? ' nesterov' : ''}${first ? ' first' : ''}`,
      storages: { w, grad, velocity: first ? blank(size) : state() },
      outputs: momentum ? ['w', 'velocity'] : ['w'],
      run: (b, s) => b.sgd(s.w, momentum ? s.velocity : null, s.grad, { ...base, momentum, nesterov, first }),
    });
  for (const [rows, momentum, nesterov] of [
    [7, 0.9, true],
    [43, 0.9, false],
    [7, 0, false],
  ] as const)
    cases.push({
      name: `sgdClipRms of ${rows} rows, momentum ${momentum}`,
      storages: { w, grad, velocity: state() },
      outputs: momentum ? ['w', 'velocity'] : ['w'],
      run(b, s) {
        const p = { ...base, momentum, nesterov, first: false, rows, maxRms: 0.5 };
        const velocity = momentum ? s.velocity : null;
        if (b.sgdClipRms) b.sgdClipRms(s.w, velocity, s.grad, p);
        else {
          b.sgd(s.w, velocity, s.grad, p);
          b.clipRms(s.w, rows, size / rows, p.maxRms);
        }
      },
    });
  for (const max of [true, false])
    cases.push({
      name: `adam${max ? ' with AMSGrad' : ''}`,
      storages: { w, grad, mean: floats(noise(size, 5)), square: state(), maxSquare: floats(units(size, 6)) },
      outputs: ['w', 'mean', 'square', 'maxSquare'],
      run(b, s) {
        const p = { rate: 0.01, beta1: 0.9, beta2: 0.999, eps: 1e-8, correction: 0.3, weightDecay: 0.1, shrink: 0.99 };
        b.adam({ w: s.w, mean: s.mean, square: s.square, maxSquare: max ? s.maxSquare : null }, { grad: s.grad }, p);
      },
    });
  for (const [mean, buffer] of [
    [false, false],
    [true, false],
    [false, true],
    [true, true],
  ] as const)
    cases.push({
      name: `rmsprop${mean ? ' centred' : ''}${buffer ? ' with momentum' : ''}`,
      storages: { w, grad, square: floats(units(size, 7).map((u) => u + 1)), mean: floats(noise(size, 8)), buffer: floats(noise(size, 9)) },
      outputs: ['w', 'square', 'mean', 'buffer'],
      run(b, s) {
        const outputs = { w: s.w, square: s.square, mean: mean ? s.mean : null, buffer: buffer ? s.buffer : null };
        b.rmsprop(outputs, { grad: s.grad }, { lr: 0.01, alpha: 0.9, eps: 1e-6, weightDecay: 0.1, momentum: 0.8 });
      },
    });
  for (const [rows, columns] of [
    [30, 10],
    [5, 363],
  ] as const)
    cases.push({
      name: `clipRms of ${columns} columns`,
      storages: { w: floats(noise(rows * columns, 4).map((v, i) => v * (1 + Math.floor(i / columns) / 2))) },
      outputs: ['w'],
      run: (b, s) => b.clipRms(s.w, rows, columns, 0.9),
    });
  for (const length of [1, 100, 50000])
    cases.push({
      name: `sumSquares of ${length}`,
      storages: { y: blank(1), x: floats(noise(length, 5)) },
      outputs: ['y'],
      run: (b, s) => b.sumSquares(s.y, s.x),
    });
  return cases;
}

/** All cases. */
export const kernelCases: readonly KernelCase[] = [
  ...activationCases(),
  ...poolCases(),
  ...unpoolCases(),
  ...lrnCases(),
  ...batchNormCases(),
  ...groupNormCases(),
  ...reduceCases(),
  ...rankingCases(),
  ...softmaxCases(),
  ...updateCases(),
];

/** Runs a case on a backend and returns the outputs. */
async function outputsOf(c: KernelCase, backend: Backend): Promise<TypedArray[]> {
  const storages: Kernels = {};
  for (const [name, data] of Object.entries(c.storages)) {
    storages[name] = backend.allocate(typeOf(data), data.length);
    backend.write(storages[name], data);
  }
  try {
    c.run(backend, storages);
    return await Promise.all(c.outputs.map((name) => backend.read(storages[name])));
  } finally {
    for (const each of Object.values(storages)) backend.release(each);
  }
}

const typeOf = (data: TypedArray): DType => (data instanceof Int32Array ? 'int32' : data instanceof Uint8Array ? 'uint8' : 'float32');

/** Runs a case twice on a backend and once on the reference; returns the first difference, or null. */
export async function checkKernel(c: KernelCase, backend: Backend, reference: Backend): Promise<string | null> {
  const expected = await outputsOf(c, reference);
  const [actual, again] = [await outputsOf(c, backend), await outputsOf(c, backend)];
  for (const [i, name] of c.outputs.entries()) {
    const bits = (data: TypedArray) => Buffer.from(data.buffer, data.byteOffset, data.byteLength);
    const tolerance = expected[i] instanceof Int32Array ? 0 : (c.tolerance ?? COMMON_TOLERANCE);
    const { fault } = compareValues(actual[i], expected[i], tolerance);
    if (fault !== null) return `${name}: ${fault}`;
    if (!bits(actual[i]).equals(bits(again[i]))) return `${name}: two runs gave different bits`;
  }
  return null;
}
