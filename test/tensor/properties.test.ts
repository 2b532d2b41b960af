/**
 * What holds for any shape, stride and padding. The seed is in the title; FC_SEED=… repeats a run, and fast-check prints the
 * smallest example it finds.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Conv2d, MaxPool2d, ReLU, Sequential } from '../../src/nn/index.js';
import {
  add,
  avgPool2d,
  type BinaryOp,
  backward,
  type ConvOptions,
  conv2d,
  convTranspose2d,
  div,
  flip,
  gather,
  indexSelect,
  linear,
  localResponseNorm,
  matmul,
  max,
  maximum,
  maxPool2d,
  maxPool2dWithSwitches,
  maxUnpool2d,
  mean,
  min,
  minimum,
  mul,
  noGrad,
  pad,
  permute,
  type RulesName,
  type Shape,
  scope,
  sizeOf,
  slice,
  sub,
  sum,
  type Tensor,
  tensor,
  windowCount,
  withBackend,
} from '../../src/tensor/index.js';
import { labels } from '../../src/testing/cases/formula.js';
import { arbitraries, gradcheck } from '../../src/testing.js';
import { mismatch } from '../support/allclose.js';
import { reference, strictThreads } from '../support/backends.js';

const seed = Number(process.env.FC_SEED ?? Date.now() % 2 ** 31);
const { conv, pool, shape, broadcastShapes, values } = arbitraries(fc);

/** Runs a property with numbers on the float64 reference, or on another backend. */
function holds<T>(arbitrary: fc.Arbitrary<T>, property: (example: T) => void, numRuns = 60, backend = reference): void {
  withBackend(backend, () =>
    fc.assert(
      fc.property(arbitrary, (example) => scope(() => property(example))),
      { seed, numRuns },
    ),
  );
}

const float64 = (data: Float32Array, shape: Shape, requiresGrad = false) => tensor(data, shape, { dtype: 'float64', requiresGrad });
const dot = (a: Tensor, b: Tensor) => a.mul(b).sum().itemSync();

function expectClose(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance = 1e-10): void {
  expect(mismatch(actual, expected, { relative: tolerance, absolute: tolerance })).toBeNull();
}

/** A geometry with the numbers of its tensors, whose shapes follow from it. */
const filled = <G>(geometry: fc.Arbitrary<G>, shapesOf: (g: G) => Shape[], distinct = false) =>
  geometry.chain((g) =>
    fc.tuple(...shapesOf(g).map((shape) => values(sizeOf(shape), { distinct }))).map((data) => ({ g, data, shapes: shapesOf(g) })),
  );
const tensorsOf = ({ data, shapes }: { data: Float32Array[]; shapes: Shape[] }, requiresGrad = false) =>
  data.map((numbers, i) => float64(numbers, shapes[i], requiresGrad));

const outputOf = (x: Shape, w: Shape, options: ConvOptions): Shape => {
  const [top, left, bottom, right] = options.padding as [number, number, number, number];
  const [stride, dilation] = [options.stride, options.dilation] as [number, number][];
  const count = (axis: 0 | 1, before: number, after: number) =>
    windowCount(x[2 + axis], w[2 + axis], stride[axis], before, after, dilation[axis]);
  return [x[0], w[0], count(0, top, bottom), count(1, left, right)];
};

/** Every index of a shape. */
const indices = (shape: Shape): number[][] =>
  shape.reduce<number[][]>((all, extent) => all.flatMap((index) => Array.from({ length: extent }, (_, i) => [...index, i])), [[]]);
const placeOf = (index: readonly number[], shape: Shape) => index.reduce((place, i, axis) => place * shape[axis] + i, 0);

describe(`for any shape (seed ${seed})`, () => {
  it('convolution has the numeric gradient', () => {
    const examples = filled(conv(), ({ x, w }) => [x, w, [w[0]]]);
    holds(examples, (e) => void gradcheck((x, w, b) => conv2d(x, w, b, e.g.options), tensorsOf(e), { places: 12 }), 40);
  });

  it('convolution and its transpose are adjoint: ⟨conv(x), y⟩ = ⟨x, convT(y)⟩, and the transpose is the input gradient', () => {
    holds(
      filled(conv(), ({ x, w, options }) => [x, w, outputOf(x, w, options)]),
      (e) => {
        const { options } = e.g;
        const [x, w, y] = tensorsOf(e);
        const image = float64(e.data[0], x.shape, true);
        const [top, left, bottom, right] = options.padding as [number, number, number, number];
        const [stride, dilation] = [options.stride, options.dilation] as [number, number][];
        // The remainder of the image after the last stride.
        const rest = (axis: 0 | 1, pads: number) =>
          (x.shape[2 + axis] + pads - dilation[axis] * (w.shape[2 + axis] - 1) - 1) % stride[axis];
        const back = convTranspose2d(y, w, null, { ...options, outputPadding: [rest(0, top + bottom), rest(1, left + right)] });
        const forward = conv2d(image, w, null, options);
        expect(back.shape).toEqual(x.shape);
        expectClose([dot(forward, y)], [dot(x, back)]);
        expectClose(backward(conv2d(image, w, null, options), { gradient: y, wrt: [image] })[0].dataSync(), back.dataSync());
      },
    );
  });

  it('pooling has the numeric gradient', () => {
    const examples = filled(pool(), ({ x }) => [x], true);
    holds(examples, (e) => void gradcheck((x) => maxPool2d(x, e.g.options), tensorsOf(e), { places: 20, epsilon: 1e-6 }), 40);
    holds(examples, (e) => void gradcheck((x) => avgPool2d(x, e.g.options), tensorsOf(e), { places: 20 }), 40);
  });

  it('pooling by fixed switches is linear, and unpooling is its adjoint', () => {
    const two = filled(pool(), ({ x }) => [x, x], true);
    holds(two, (e) => {
      const [x, other] = tensorsOf(e);
      const { output, switches } = maxPool2dWithSwitches(x, e.g.options);
      const outputSize = [x.shape[2], x.shape[3]] as const;
      /** The values of another image at the switches of x: the gradient of unpooling. */
      const picked = (image: Tensor) => {
        const y = tensor(new Float64Array(output.size), output.shape, { requiresGrad: true });
        return backward(maxUnpool2d(y, switches, { outputSize }), { gradient: image, wrt: [y] })[0];
      };
      expect(picked(x).dataSync()).toEqual(output.dataSync());
      expectClose(picked(x.mul(2).sub(other)).dataSync(), output.mul(2).sub(picked(other)).dataSync());
      const y = output.add(0.25);
      expectClose([dot(picked(other), y)], [dot(other, maxUnpool2d(y, switches, { outputSize }))]);
    });
  });

  it('normalisation and fully connected layers have the numeric gradient', () => {
    const lrn = fc.record({
      shape: fc.tuple(fc.constant(1), fc.integer({ min: 1, max: 6 }), fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 4 })),
      size: fc.integer({ min: 1, max: 6 }),
      region: fc.constantFrom('across' as const, 'within' as const),
      beta: fc.constantFrom(0.5, 0.75, 1.25),
    });
    holds(
      filled(lrn, ({ shape }) => [shape]),
      ({ g: { shape: _, ...options }, ...e }) =>
        void gradcheck((x) => localResponseNorm(x, { ...options, alpha: 0.8, k: 1 }), tensorsOf(e), { places: 20 }),
      30,
    );
    const sizes = fc.tuple(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 6 }), fc.integer({ min: 1, max: 6 }));
    const examples = filled(sizes, ([n, inputs, outputs]) => [[n, inputs], [outputs, inputs], [outputs]]);
    holds(examples, (e) => void gradcheck((x, w, b) => linear(x, w, b), tensorsOf(e), { places: 10 }), 30);
  });

  it('the deconvnet equals the gradient without negative values and normalisation', () => {
    const nets = fc.record({
      maps: fc.tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 4 })),
      kernel: fc.integer({ min: 1, max: 3 }),
      stride: fc.integer({ min: 1, max: 2 }),
      size: fc.integer({ min: 11, max: 14 }),
    });
    const build = ({ maps, kernel, stride }: { maps: [number, number]; kernel: number; stride: number }) =>
      new Sequential({
        conv1: new Conv2d(2, maps[0], kernel, { stride, padding: 1 }),
        relu1: new ReLU(),
        pool1: new MaxPool2d(3, { stride: 2, ceilMode: true }),
        conv2: new Conv2d(maps[0], maps[1], [kernel, 1]),
        relu2: new ReLU(),
      });
    holds(nets, ({ size, ...net }) => {
      const model = build(net);
      const project = (rules: RulesName) => {
        const input = tensor(
          Float64Array.from({ length: 2 * size * size }, (_, i) => 0.1 + ((i * 37) % 101) / 101),
          [1, 2, size, size],
          { requiresGrad: true, dtype: 'float32' },
        );
        const y = model.forward(input);
        return backward(y, { gradient: noGrad(() => y.mul(1)), rules, wrt: [input] })[0].dataSync();
      };
      const differ = () => mismatch(project('deconvnet'), project('gradient'), { relative: 1e-6, absolute: 1e-6 });
      for (const w of model.parameters()) w.set(w.dataSync().map(Math.abs));
      expect(differ()).toBeNull();
      expect(project('deconvnet').some((value) => value > 0)).toBe(true);
      model.dispose();
    });
  });
});

describe(`against plain loops (seed ${seed})`, () => {
  const OPS: Partial<Record<BinaryOp, [(a: Tensor, b: Tensor) => Tensor, (a: number, b: number) => number]>> = {
    add: [add, (a, b) => a + b],
    sub: [sub, (a, b) => a - b],
    mul: [mul, (a, b) => a * b],
    div: [div, (a, b) => a / b],
    max: [maximum, Math.max],
    min: [minimum, Math.min],
  };

  it('broadcasting', () => {
    const examples = filled(fc.tuple(broadcastShapes({ minExtent: 0 }), fc.constantFrom(...Object.keys(OPS))), ([shapes]) => shapes);
    const property = ({ g: [, name], data, shapes: [sa, sb] }: { g: [unknown, string]; data: Float32Array[]; shapes: Shape[] }) => {
      const [op, plain] = OPS[name as BinaryOp]!;
      const c = op(tensor(data[0], sa), tensor(data[1], sb));
      const from = (index: number[], shape: Shape) =>
        placeOf(
          index.slice(index.length - shape.length).map((i, axis) => (shape[axis] === 1 ? 0 : i)),
          shape,
        );
      const expected = indices(c.shape).map((index) => plain(data[0][from(index, sa)], data[1][from(index, sb)]));
      expectClose(c.dataSync(), expected, 1e-6);
    };
    holds(examples, property);
    holds(examples, property, 60, strictThreads.backend);
  });

  it('reductions', () => {
    const axesOf = (extents: Shape) => fc.subarray(extents.map((_, i) => i));
    const geometry = shape({ minRank: 1 }).chain((extents) => fc.record({ extents: fc.constant(extents), axes: axesOf(extents) }));
    const examples = filled(geometry, ({ extents }) => [extents]);
    const reduced: [(x: Tensor, options: { axes: number[] }) => Tensor, (list: number[]) => number][] = [
      [sum, (list) => list.reduce((a, b) => a + b, 0)],
      [mean, (list) => list.reduce((a, b) => a + b, 0) / list.length],
      [max, (list) => Math.max(...list)],
      [min, (list) => Math.min(...list)],
    ];
    const property = ({ g: { extents, axes }, data }: { g: { extents: number[]; axes: number[] }; data: Float32Array[] }) => {
      const kept = extents.map((_, axis) => axis).filter((axis) => !axes.includes(axis));
      for (const [op, plain] of reduced) {
        const y = op(tensor(data[0], extents), { axes });
        expect(y.shape).toEqual(kept.map((axis) => extents[axis]));
        const groups = new Map<number, number[]>();
        for (const index of indices(extents)) {
          const to = placeOf(
            kept.map((axis) => index[axis]),
            y.shape,
          );
          groups.set(to, [...(groups.get(to) ?? []), data[0][placeOf(index, extents)]]);
        }
        expectClose(
          y.dataSync(),
          Array.from({ length: y.size }, (_, i) => plain(groups.get(i)!)),
          2e-6,
        );
      }
    };
    holds(examples, property);
    holds(examples, property, 60, strictThreads.backend);
  });

  it('permuting, slicing and padding', () => {
    const geometry = shape({ minRank: 1 }).chain((extents) =>
      fc.record({
        extents: fc.constant(extents),
        order: fc.shuffledSubarray(
          extents.map((_, i) => i),
          { minLength: extents.length },
        ),
        cuts: fc.tuple(...extents.map((extent) => fc.tuple(fc.nat(extent), fc.nat(extent), fc.integer({ min: 1, max: 3 })))),
        pads: fc.tuple(...extents.map(() => fc.tuple(fc.nat(2), fc.nat(2)))),
      }),
    );
    type Moves = { extents: number[]; order: number[]; cuts: [number, number, number][]; pads: [number, number][] };
    const property = ({ g: { extents, order, cuts, pads }, data: [data] }: { g: Moves; data: Float32Array[] }) => {
      const x = tensor(data, extents);
      const look = (y: Tensor, at: (index: number[]) => number[]) =>
        expect([...y.dataSync()]).toEqual(
          indices(y.shape).map((index) => {
            const from = at(index);
            return from.every((i, axis) => i >= 0 && i < extents[axis]) ? data[placeOf(from, extents)] : 0.5;
          }),
        );
      look(permute(x, order), (index) => extents.map((_, axis) => index[order.indexOf(axis)]));
      const [start, end, step] = [0, 1, 2].map((part) => cuts.map((cut) => cut[part]));
      look(slice(x, start, end, step), (index) => index.map((i, axis) => start[axis] + i * step[axis]));
      look(pad(x, pads, 0.5), (index) => index.map((i, axis) => i - pads[axis][0]));
    };
    const examples = filled(geometry, ({ extents }) => [extents]);
    holds(examples, property);
    holds(examples, property, 60, strictThreads.backend);
  });

  it('matrix products', () => {
    const size = fc.integer({ min: 1, max: 40 });
    const geometry = fc.record({ m: size, k: size, n: size, transposeA: fc.boolean(), transposeB: fc.boolean() });
    type Product = { m: number; k: number; n: number; transposeA: boolean; transposeB: boolean };
    const shapesOf = ({ m, k, n, transposeA, transposeB }: Product) => [transposeA ? [k, m] : [m, k], transposeB ? [n, k] : [k, n]];
    const property = ({ g, data: [a, b], shapes }: { g: Product; data: Float32Array[]; shapes: Shape[] }) => {
      const { transposeA, transposeB } = g;
      const c = matmul(tensor(a, shapes[0]), tensor(b, shapes[1]), { transposeA, transposeB });
      const expected = indices([g.m, g.n]).map(([i, j]) => {
        let total = 0;
        for (let q = 0; q < g.k; q++) total += a[g.transposeA ? q * g.m + i : i * g.k + q] * b[g.transposeB ? j * g.k + q : q * g.n + j];
        return total;
      });
      expect(mismatch(c.dataSync(), expected, { relative: 1e-6, absolute: 1e-6 * g.k })).toBeNull();
    };
    holds(filled(geometry, shapesOf), property, 60, strictThreads.backend);
  });

  it('flipping, gathering and selecting along an axis', () => {
    const geometry = shape({ minRank: 1, maxRank: 3 }).chain((extents) =>
      fc.nat(extents.length - 1).chain((axis) =>
        fc.record({
          extents: fc.constant(extents),
          axis: fc.constant(axis),
          axes: fc.subarray(extents.map((_, i) => i)),
          picked: fc.array(fc.nat(extents[axis] - 1), { maxLength: 5 }),
          seed: fc.nat(1000),
        }),
      ),
    );
    type Selection = { extents: number[]; axis: number; axes: number[]; picked: number[]; seed: number };
    const property = ({ g: { extents, axis, axes, picked, seed }, data: [data] }: { g: Selection; data: Float32Array[] }) => {
      const x = tensor(data, extents);
      const look = (y: Tensor, at: (index: number[], flat: number) => number[]) =>
        expect([...y.dataSync()]).toEqual(indices(y.shape).map((index, flat) => data[placeOf(at(index, flat), extents)]));
      look(flip(x, axes), (index) => index.map((i, j) => (axes.includes(j) ? extents[j] - 1 - i : i)));
      look(indexSelect(x, picked, { axis }), (index) => index.map((i, j) => (j === axis ? picked[i] : i)));
      const chosen = labels(x.size, seed, extents[axis]);
      const places = tensor(Int32Array.from(chosen), extents);
      look(gather(x, places, { axis }), (index, flat) => index.map((i, j) => (j === axis ? chosen[flat] : i)));
    };
    const examples = filled(geometry, ({ extents }) => [extents]);
    holds(examples, property);
    holds(examples, property, 60, strictThreads.backend);
  });

  it('products of any rank are products of broadcast matrices', () => {
    const geometry = fc.record({
      batches: broadcastShapes({ maxRank: 3, maxExtent: 3 }),
      sizes: fc.tuple(...[1, 2, 3].map(() => fc.integer({ min: 1, max: 5 }))),
    });
    type Product = { batches: [number[], number[]]; sizes: number[] };
    const shapesOf = ({ batches, sizes: [m, k, n] }: Product) => [
      [...batches[0], m, k],
      [...batches[1], k, n],
    ];
    const property = (e: { g: Product; data: Float32Array[]; shapes: Shape[] }) => {
      const [a, b] = tensorsOf(e);
      const [m, k, n] = e.g.sizes;
      const terms = mul(a.reshape([...e.g.batches[0], m, k, 1]), b.reshape([...e.g.batches[1], 1, k, n]));
      const expected = sum(terms, { axes: -2 });
      const actual = matmul(a, b);
      expect(actual.shape).toEqual(expected.shape);
      expectClose(actual.dataSync(), expected.dataSync());
    };
    holds(filled(geometry, shapesOf), property);
  });

  it('the number of windows', () => {
    const axis = fc.record({
      size: fc.integer({ min: 1, max: 20 }),
      kernel: fc.integer({ min: 1, max: 5 }),
      stride: fc.integer({ min: 1, max: 5 }),
      before: fc.nat(4),
      after: fc.nat(4),
      dilation: fc.integer({ min: 1, max: 3 }),
    });
    holds(axis, ({ size, kernel, stride, before, after, dilation }) => {
      const reach = dilation * (kernel - 1) + 1;
      let whole = 0;
      for (let start = -before; start + reach <= size + after; start += stride) whole++;
      expect(windowCount(size, kernel, stride, before, after, dilation)).toBe(whole);
      if (before >= reach || after >= reach) return;
      // Rounded up: windows as long as the one before stops short of the end, but none that begins beyond the input.
      let started = 0;
      for (let start = -before; start - stride + reach < size + after && start < size; start += stride) started++;
      expect(Math.max(0, windowCount(size, kernel, stride, before, after, dilation, true))).toBe(started);
    });
  });
});
