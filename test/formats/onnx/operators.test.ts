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

/** Examples of operators of newer models, worked out by hand. */
const NEWER: Example[] = [
  one(
    'Resize to twice the size repeats pixels',
    node('Resize', 'x _ s', 'y'),
    IMAGE,
    [
      [1, 2, 2, 4],
      [1, 1, 2, 2, 1, 1, 2, 2, 3, 3, 4, 4, 3, 3, 4, 4],
    ],
    {
      initializers: [floats('s', [4], [1, 1, 2, 2])],
    },
  ),
  one(
    'Resize, linear with aligned corners',
    node('Resize', 'x _ _ t', 'y', { mode: 'linear', coordinate_transformation_mode: 'align_corners' }),
    [
      [1, 1, 1, 3],
      [0, 4, 2],
    ],
    [
      [1, 1, 1, 5],
      [0, 2, 4, 3, 2],
    ],
    { initializers: [ints('t', [1, 1, 1, 5])] },
  ),
  one(
    'Resize, linear with half pixels, repeats the edge',
    node('Resize', 'x _ _ t', 'y', { mode: 'linear' }),
    [
      [1, 1, 1, 2],
      [0, 4],
    ],
    [
      [1, 1, 1, 4],
      [0, 1, 3, 4],
    ],
    { initializers: [ints('t', [1, 1, 1, 4])] },
  ),
  // At the position 0.5, Keys' kernel with −0.75 has the weights −0.09375, 0.59375, 0.59375, −0.09375.
  one(
    'Resize, cubic, asymmetric',
    node('Resize', 'x _ s', 'y', { mode: 'cubic', coordinate_transformation_mode: 'asymmetric' }),
    [
      [1, 1, 1, 4],
      [1, 2, 4, 8],
    ],
    [
      [1, 1, 1, 8],
      [1, 0.59375 * 3 - 0.09375 * 5, 2, 0.59375 * 6 - 0.09375 * 9, 4, 0.59375 * 12 - 0.09375 * 10, 8, 8 * 1.09375 - 0.09375 * 4],
    ],
    { initializers: [floats('s', [4], [1, 1, 1, 2])] },
  ),
  one(
    'Resize of a region of interest, with a value outside of the image',
    node('Resize', 'x r _ t', 'y', {
      mode: 'linear',
      coordinate_transformation_mode: 'tf_crop_and_resize',
      extrapolation_value: { float: -1 },
    }),
    [
      [1, 1, 1, 3],
      [0, 4, 2],
    ],
    [
      [1, 1, 1, 3],
      [4, 2, -1],
    ],
    { initializers: [floats('r', [8], [0, 0, 0, 0.5, 1, 1, 1, 1.5]), ints('t', [1, 1, 1, 3])] },
  ),
  one(
    'Upsample of opset 9',
    node('Upsample', 'x s', 'y', { mode: 'nearest' }),
    [
      [1, 1, 1, 2],
      [5, 6],
    ],
    [
      [1, 1, 1, 6],
      [5, 5, 5, 6, 6, 6],
    ],
    {
      initializers: [floats('s', [4], [1, 1, 1, 3])],
      opset: 9,
    },
  ),
  one('HardSwish', node('HardSwish', 'x', 'y'), [[4], [-4, -1, 1, 4]], [[4], [0, -1 / 3, 2 / 3, 4]], { opset: 14 }),
  one('Erf', node('Erf', 'x', 'y'), [[4], [0, 0.5, -1, 5]], [[4], [0, 0.5204998778, -0.8427007929, 1]]),
  one('Gelu', node('Gelu', 'x', 'y'), [[2], [1, -2]], [[2], [0.8413447461, -0.0455002639]], { opset: 20 }),
  one('Gelu by tanh', node('Gelu', 'x', 'y', { approximate: 'tanh' }), [[2], [1, -2]], [[2], [0.8411919906, -0.0454023059]], { opset: 20 }),
  one(
    'LayerNormalization',
    node('LayerNormalization', 'x s b', 'y', { epsilon: { float: 0 } }),
    [
      [2, 2],
      [1, 3, 10, 30],
    ],
    [
      [2, 2],
      [-2 + 1, 3 + 2, -2 + 1, 3 + 2],
    ],
    { initializers: [floats('s', [2], [2, 3]), floats('b', [2], [1, 2])], opset: 17 },
  ),
  one(
    'InstanceNormalization',
    node('InstanceNormalization', 'x s b', 'y', { epsilon: { float: 0 } }),
    IMAGE,
    [
      [1, 2, 1, 2],
      [-2, 2, 7, 13],
    ],
    { initializers: [floats('s', [2], [2, 3]), floats('b', [2], [0, 10])] },
  ),
  one(
    'GroupNormalization of opset 21 scales channels',
    node('GroupNormalization', 'x s b', 'y', { num_groups: 1, epsilon: { float: 0 } }),
    [
      [1, 2, 2],
      [1, 3, 1, 3],
    ],
    [
      [1, 2, 2],
      [-2, 2, 7, 13],
    ],
    { initializers: [floats('s', [2], [2, 3]), floats('b', [2], [0, 10])], opset: 21 },
  ),
  one(
    'QuantizeLinear rounds halves to even and saturates',
    node('QuantizeLinear', 'x s z', 'y'),
    [[5], [0.25, 0.75, -100, 200, 1.2]],
    [[5], [10, 12, 0, 255, 12]],
    {
      initializers: [floats('s', [], [0.5]), { name: 'z', dims: [], dataType: 2, int32Data: [10] }],
    },
  ),
  one(
    'Tile',
    node('Tile', 'x r', 'y'),
    [
      [1, 2],
      [1, 2],
    ],
    [
      [2, 4],
      [1, 2, 1, 2, 1, 2, 1, 2],
    ],
    { initializers: [ints('r', [2, 2])] },
  ),
  one(
    'CumSum',
    node('CumSum', 'x a', 'y', { exclusive: 1 }),
    ROW,
    [
      [1, 4],
      [0, 1, 3, 6],
    ],
    { initializers: [ints('a', [1])], opset: 14 },
  ),
  one(
    'DepthToSpace',
    node('DepthToSpace', 'x', 'y', { blocksize: 2 }),
    [
      [1, 4, 1, 1],
      [1, 2, 3, 4],
    ],
    [
      [1, 1, 2, 2],
      [1, 2, 3, 4],
    ],
  ),
  one('Mod with the sign of the dividend', node('Mod', 'x m', 'y', { fmod: 1 }), [[2], [-5, 5]], [[2], [-2, 2]], {
    initializers: [floats('m', [1], [3])],
  }),
  one('Round', node('Round', 'x', 'y'), [[4], [0.5, 1.5, -2.5, 2.4]], [[4], [0, 2, -2, 2]]),
];

describe.each(backends)('ONNX operators on $name', ({ backend }) => {
  it.each([...EXAMPLES, ...NEWER])('$what', async ({ model, x, y }) => {
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

describe('operators refuse', () => {
  const scales = floats('s', [4], [1, 1, 2, 2]);
  it.each([
    ['antialiasing', node('Resize', 'x _ s', 'y', { antialias: 1 }), 18, /antialias 1 is not supported/],
    ['an unknown attribute', node('HardSwish', 'x', 'y', { slope: 1 }), 14, /attribute "slope" is not supported; it has none/],
    ['an operator set before their own', node('HardSwish', 'x', 'y'), 13, /exists from operator set 14 on, the model uses 13/],
    ['sizes and scales together', node('Resize', 'x _ s t', 'y'), 13, /neither scales nor sizes, or both/],
    ['blocks of scales', node('DequantizeLinear', 'x s', 'y', { block_size: 2 }), 21, /block_size is set/],
    ['a remainder of floating-point numbers with the sign of the divisor', node('Mod', 'x x', 'y'), 13, /fmod is 0, expected fmod 1/],
  ])('%s', async (_, line, opset, message) => {
    const made = onnx({ nodes: [line], initializers: [scales, ints('t', [1, 1, 2, 2])], opset });
    const ran = loadOnnx(made, { backend: reference }).then((net) => net.run({ x: tensor([1], [1, 1, 1, 1], { backend: reference }) }));
    await expect(ran).rejects.toThrow(message);
  });

  it('float8 values, by name', async () => {
    const zero = { name: 'z', dims: [], dataType: 17, rawData: Uint8Array.of(0) };
    const bytes = onnx({ nodes: [node('QuantizeLinear', 'x s z', 'y')], initializers: [floats('s', [], [1]), zero], opset: 19 });
    await expect(loadOnnx(bytes, { backend: reference })).rejects.toThrow(/float8e4m3fn, which is not supported/);
  });
});

describe('a quantised network', () => {
  it('has its weights converted while it is loaded, per channel, and computes in floating point', async () => {
    const weight = { name: 'w', dims: [2, 1, 1, 1], dataType: 3, int32Data: [-8, 5] };
    const zeros = { name: 'z', dims: [2], dataType: 3, int32Data: [0, 1] };
    const nodes = [node('DequantizeLinear', 'w s z', 'f', { axis: 0 }), node('Conv', 'x f', 'y')];
    const net = await loadOnnx(onnx({ nodes, initializers: [weight, floats('s', [2], [0.5, 0.25]), zeros] }), { backend: reference });
    expect(net.namedParameters().map(([name, { shape }]) => [name, [...shape]])).toEqual([['f', [2, 1, 1, 1]]]);
    const { y } = await net.run({ x: tensor([10], [1, 1, 1, 1], { backend: reference }) });
    expect([...(await y.data())]).toEqual([-40, 10]);
  });
});
