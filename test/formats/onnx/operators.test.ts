/**
 * Forms of operators that changed with the operator set, and what ONNX's own operator tests leave out. Values are worked
 * out by hand from the specification.
 */
import { describe, expect, it } from 'vitest';
import { loadOnnx } from '../../../src/formats/onnx/index.js';
import { type Tensor, tensor } from '../../../src/tensor/index.js';
import { backends, reference } from '../../support/backends.js';
import { type Description, floats, ints, node, onnx } from './build.js';

interface Example {
  what: string;
  model: Description;
  /** Shape and numbers of `x`. */
  x: [readonly number[], readonly number[]];
  /** Of `y`. */
  y: [readonly number[], readonly number[]];
}

const one = (what: string, line: ReturnType<typeof node>, x: Example['x'], y: Example['y'], more: Partial<Description> = {}): Example => ({
  what,
  model: { nodes: [line], ...more },
  x,
  y,
});

const ROW: Example['x'] = [
  [1, 4],
  [1, 2, 3, 4],
];
const b = floats('b', [2], [10, 20]);
const IMAGE: Example['x'] = [
  [1, 2, 1, 2],
  [1, 2, 3, 4],
];

const EXAMPLES: Example[] = [
  one(
    'Add of opset 6 aligns the operand by its axis',
    node('Add', 'x b', 'y', { broadcast: 1, axis: 1 }),
    IMAGE,
    [
      [1, 2, 1, 2],
      [11, 12, 23, 24],
    ],
    { initializers: [b], opset: 6 },
  ),
  one(
    'Add of opset 7 broadcasts from the end',
    node('Add', 'x b', 'y'),
    IMAGE,
    [
      [1, 2, 1, 2],
      [11, 22, 13, 24],
    ],
    { initializers: [b], opset: 7 },
  ),
  one(
    'Clip with attributes, up to opset 10',
    node('Clip', 'x', 'y', { min: { float: 1.5 }, max: { float: 3 } }),
    ROW,
    [
      [1, 4],
      [1.5, 2, 3, 3],
    ],
    { opset: 6 },
  ),
  one('Clip from 0 on with no upper bound', node('Clip', 'x lo', 'y'), [[3], [-1, 0, 2]], [[3], [0, 0, 2]], {
    initializers: [floats('lo', [], [0])],
  }),
  one('Dropout of opset 6', node('Dropout', 'x', 'y', { ratio: { float: 0.5 } }), ROW, ROW, { opset: 6 }),
  one(
    'Slice with attributes, up to opset 9',
    node('Slice', 'x', 'y', { starts: [1], ends: [-1], axes: [1] }),
    ROW,
    [
      [1, 2],
      [2, 3],
    ],
    { opset: 9 },
  ),
  one(
    'Slice backwards by two',
    node('Slice', 'x s e a t', 'y'),
    ROW,
    [
      [1, 2],
      [4, 2],
    ],
    {
      initializers: [ints('s', [-1]), ints('e', [-9]), ints('a', [1]), ints('t', [-2])],
    },
  ),
  one(
    'Slice to the largest int64',
    node('Slice', 'x s e', 'y'),
    ROW,
    [
      [1, 4],
      [1, 2, 3, 4],
    ],
    { initializers: [ints('s', [0]), ints('e', [Number.MAX_SAFE_INTEGER])] },
  ),
  one(
    'Pad with attributes, up to opset 10',
    node('Pad', 'x', 'y', { pads: [0, 1, 0, 2], value: { float: 9 } }),
    ROW,
    [
      [1, 7],
      [9, 1, 2, 3, 4, 9, 9],
    ],
    { opset: 10 },
  ),
  one(
    'Pad cuts off with negative amounts',
    node('Pad', 'x p', 'y'),
    ROW,
    [
      [1, 4],
      [2, 3, 4, 0],
    ],
    { initializers: [ints('p', [0, -1, 0, 1])] },
  ),
  one(
    'Pad reflects',
    node('Pad', 'x p', 'y', { mode: 'reflect' }),
    ROW,
    [
      [1, 8],
      [3, 2, 1, 2, 3, 4, 3, 2],
    ],
    { initializers: [ints('p', [0, 2, 0, 2])] },
  ),
  one(
    'Pad repeats the edge',
    node('Pad', 'x p', 'y', { mode: 'edge' }),
    ROW,
    [
      [1, 7],
      [1, 1, 1, 2, 3, 4, 4],
    ],
    { initializers: [ints('p', [0, 2, 0, 1])] },
  ),
  one(
    'Pad wraps around',
    node('Pad', 'x p', 'y', { mode: 'wrap' }),
    ROW,
    [
      [1, 7],
      [3, 4, 1, 2, 3, 4, 1],
    ],
    { initializers: [ints('p', [0, 2, 0, 1])], opset: 19 },
  ),
  one('Squeeze and Unsqueeze with attributes', node('Squeeze', 'x', 'y', { axes: [0] }), ROW, [[4], [1, 2, 3, 4]], { opset: 11 }),
  one(
    'Unsqueeze with attributes',
    node('Unsqueeze', 'x', 'y', { axes: [1, -1] }),
    ROW,
    [
      [1, 1, 4, 1],
      [1, 2, 3, 4],
    ],
    { opset: 11 },
  ),
  one('ReduceSum with attributes', node('ReduceSum', 'x', 'y', { axes: [1], keepdims: 0 }), ROW, [[1], [10]], { opset: 11 }),
  one('ReduceMax with axes as an input, from opset 18 on', node('ReduceMax', 'x a', 'y'), ROW, [[1, 1], [4]], {
    initializers: [ints('a', [-1])],
    opset: 18,
  }),
  one(
    'Softmax before opset 13 runs over everything from its axis on',
    node('Softmax', 'x', 'y', { axis: 1 }),
    [
      [1, 2, 2],
      [0, 0, 0, 0],
    ],
    [
      [1, 2, 2],
      [0.25, 0.25, 0.25, 0.25],
    ],
    { opset: 11 },
  ),
  one(
    'Softmax from opset 13 on runs along one axis',
    node('Softmax', 'x', 'y', { axis: 1 }),
    [
      [1, 2, 2],
      [0, 0, 0, 0],
    ],
    [
      [1, 2, 2],
      [0.5, 0.5, 0.5, 0.5],
    ],
  ),
  one(
    'BatchNormalization of opset 6',
    node('BatchNormalization', 'x s o m v', 'y', { is_test: 1, epsilon: { float: 0 } }),
    IMAGE,
    [
      [1, 2, 1, 2],
      [1, 3, 100.5, 101],
    ],
    {
      initializers: [floats('s', [2], [2, 1]), floats('o', [2], [1, 100]), floats('m', [2], [1, 2]), floats('v', [2], [1, 4])],
      opset: 6,
    },
  ),
  one(
    'PRelu of opset 6 with a slope a channel',
    node('PRelu', 'x s', 'y'),
    [
      [1, 2, 1, 2],
      [-1, 2, -3, -4],
    ],
    [
      [1, 2, 1, 2],
      [-10, 2, -60, -80],
    ],
    { initializers: [floats('s', [2], [10, 20])], opset: 6 },
  ),
  one(
    'Selu',
    node('Selu', 'x', 'y', { alpha: { float: 2 }, gamma: { float: 3 } }),
    [[3], [-1, 0, 1]],
    [[3], [6 * (Math.exp(-1) - 1), 0, 3]],
  ),
  one('Softsign', node('Softsign', 'x', 'y'), [[3], [-1, 0, 3]], [[3], [-0.5, 0, 0.75]]),
  one('Mean of three', node('Mean', 'x b x', 'y'), [[2], [1, 2]], [[2], [4, 8]], { initializers: [b] }),
  one(
    'Split by attribute',
    node('Split', 'x', 'a y', { axis: 1, split: [1, 3] }),
    ROW,
    [
      [1, 3],
      [2, 3, 4],
    ],
    { opset: 11 },
  ),
  one(
    'Split into a number of outputs, the last smaller',
    node('Split', 'x', 'a b y', { axis: 1, num_outputs: 3 }),
    [
      [1, 5],
      [1, 2, 3, 4, 5],
    ],
    [[1, 1], [5]],
    { opset: 18 },
  ),
  one('GlobalAveragePool', node('GlobalAveragePool', 'x', 'y'), IMAGE, [
    [1, 2, 1, 1],
    [1.5, 3.5],
  ]),
  one(
    'Conv in one dimension, uneven padding',
    node('Conv', 'x w', 'y', { pads: [1, 0], strides: [2] }),
    [
      [1, 1, 4],
      [1, 2, 3, 4],
    ],
    [
      [1, 1, 2],
      [-1, -1],
    ],
    { initializers: [floats('w', [1, 1, 2], [1, -1])] },
  ),
  one(
    'Conv with SAME_UPPER padding',
    node('Conv', 'x w', 'y', { auto_pad: 'SAME_UPPER' }),
    [
      [1, 1, 1, 3],
      [1, 2, 3],
    ],
    [
      [1, 1, 1, 3],
      [12, 23, 30],
    ],
    { initializers: [floats('w', [1, 1, 1, 2], [10, 1])] },
  ),
  one(
    'Gemm with everything',
    node('Gemm', 'x w c', 'y', { alpha: { float: 2 }, beta: { float: 0.5 }, transA: 1 }),
    [
      [2, 1],
      [3, 4],
    ],
    [
      [1, 2],
      [36, 45],
    ],
    {
      initializers: [floats('w', [2, 2], [1, 2, 3, 4]), floats('c', [1, 2], [12, 2])],
    },
  ),
];

describe.each(backends)('ONNX operators on $name', ({ backend }) => {
  it.each(EXAMPLES)('$what', async ({ model, x, y }) => {
    const net = await loadOnnx(onnx(model), { backend });
    const output = (await net.run({ x: tensor(x[1], x[0], { backend, dtype: 'float32' }) })).y;
    expect([...output.shape]).toEqual(y[0]);
    [...(await output.data())].forEach((value, i) => {
      expect(value).toBeCloseTo(y[1][i], 4);
    });
    net.dispose();
  });

  it('MaxPool returns flat indices, column-major if requested, and MaxUnpool accepts them', async () => {
    const values = [5, 1, 2, 3, 1, 1, 7, 1, 9, 1, 1, 1, 1, 8, 1, 2];
    for (const [order, expected] of [
      [0, [0, 6, 8, 15]],
      [1, [0, 9, 2, 15]],
    ] as const) {
      // The largest of each 2×2 window: 5 at (0,0), 7 at (1,2), 9 at (2,0), 2 at (3,3).
      const pool = node('MaxPool', 'x', 'm i', { kernel_shape: [2, 2], strides: [2, 2], storage_order: order });
      const net = await loadOnnx(onnx({ nodes: [pool], outputs: ['m', 'i'] }), { backend });
      const { i } = await net.run({ x: tensor(values, [1, 1, 4, 4], { backend }) });
      expect([...(await i.data())]).toEqual(expected);
    }
    const unpool = await loadOnnx(
      onnx({
        nodes: [
          node('MaxPool', 'x', 'm i', { kernel_shape: [2, 2], strides: [2, 2] }),
          node('MaxUnpool', 'm i', 'y', { kernel_shape: [2, 2], strides: [2, 2] }),
        ],
      }),
      { backend },
    );
    const { y } = await unpool.run({ x: tensor(values, [1, 1, 4, 4], { backend }) });
    expect([...(await y.data())]).toEqual([5, 0, 0, 0, 0, 0, 7, 0, 9, 0, 0, 0, 0, 0, 0, 2]);
  });

  it('MaxUnpool distinguishes indices of the given output size from those of the smallest one', async () => {
    const unpool = node('MaxUnpool', 'x i s', 'y', { kernel_shape: [2, 2], strides: [2, 2] });
    for (const [indices, places] of [
      [
        [5, 7, 13, 15],
        [6, 8, 16, 18],
      ],
      [
        [6, 8, 16, 18],
        [6, 8, 16, 18],
      ],
    ]) {
      const given = { ...ints('i', indices), dims: [1, 1, 2, 2] };
      const net = await loadOnnx(onnx({ nodes: [unpool], initializers: [given, ints('s', [1, 1, 5, 5])] }), { backend });
      const { y } = await net.run({ x: tensor([1, 2, 3, 4], [1, 1, 2, 2], { backend }) });
      const values = await y.data();
      expect(places.map((place) => values[place])).toEqual([1, 2, 3, 4]);
    }
  });

  it('computes shapes on the host: Shape, Gather, Concat and Reshape, which exporters write for a flattening', async () => {
    const nodes = [
      node('Shape', 'x', 's'),
      node('Constant', '', 'zero', { value_int: 0 }),
      node('Gather', 's zero', 'n', { axis: 0 }),
      node('Unsqueeze', 'n axis', 'n1'),
      node('Constant', '', 'rest', { value: { tensor: ints('', [-1]) } }),
      node('Concat', 'n1 rest', 'shape', { axis: 0 }),
      node('Reshape', 'x shape', 'y'),
    ];
    const net = await loadOnnx(onnx({ nodes, initializers: [ints('axis', [0])] }), { backend });
    const { y } = await net.run({ x: tensor(new Float32Array(24), [2, 3, 4], { backend }) });
    expect([...y.shape]).toEqual([2, 12]);
    expect(net.layerNames()).toEqual(['y']);
  });

  it('returns integers as int32 and bool as uint8', async () => {
    const nodes = [node('ArgMax', 'x', 'a', { axis: 1, keepdims: 0 }), node('Greater', 'x x', 'g'), node('Shape', 'x', 's')];
    const net = await loadOnnx(onnx({ nodes, outputs: ['a', 'g', 's'] }), { backend });
    const { a, g, s } = await net.run({ x: tensor([1, 5, 2], [1, 3], { backend }) });
    expect([a.dtype, g.dtype, s.dtype]).toEqual(['int32', 'uint8', 'int32']);
    expect([[...(await a.data())], [...(await g.data())], [...(await s.data())]]).toEqual([[1], [0, 0, 0], [1, 3]]);
  });
});

describe('ONNX losses', () => {
  it('have gradients with respect to the scores', async () => {
    const nodes = [node('SoftmaxCrossEntropyLoss', 'x t', 'y', { ignore_index: -1 })];
    const net = await loadOnnx(onnx({ nodes, inputs: { x: {}, t: { type: 'int64' } } }), { backend: reference });
    const scores: Tensor = tensor([1, 2, 3, 1, 1, 1], [2, 3], { backend: reference, requiresGrad: true });
    const { y } = await net.run({ x: scores, t: tensor(Int32Array.of(2, -1), [2], { backend: reference }) });
    const p = [1, 2, 3].map((v) => Math.exp(v) / (Math.exp(1) + Math.exp(2) + Math.exp(3)));
    expect(await y.item()).toBeCloseTo(-Math.log(p[2]), 5);
    y.backward();
    const expected = [p[0], p[1], p[2] - 1, 0, 0, 0];
    [...(await scores.grad!.data())].forEach((value, i) => {
      expect(value).toBeCloseTo(expected[i], 5);
    });
  });
});
