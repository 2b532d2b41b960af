/** Gradients of imported operators, against central differences in float64. */
import { describe, expect, it } from 'vitest';
import { loadOnnx } from '../../../src/formats/onnx/index.js';
import { backward, tensor } from '../../../src/tensor/index.js';
import { reference } from '../../support/backends.js';
import { type Attribute, type Description, floats, ints, node, onnx } from './build.js';

type Line = [string, Description, readonly number[]];

const one = (
  opType: string,
  shape: readonly number[],
  attributes: Record<string, Attribute> = {},
  constants: ReturnType<typeof floats>[] = [],
  line = ['x', ...constants.map(({ name }) => name ?? '')].join(' '),
): Line => [
  `${opType} of [${shape}] ${JSON.stringify(attributes)}`,
  { nodes: [node(opType, line, 'y', attributes)], initializers: constants, opset: 21 },
  shape,
];

/** Values without ties, away from the kinks of the operators. */
const wave = (count: number): number[] => Array.from({ length: count }, (_, i) => 2.3 * Math.sin(1.7 * i + 0.4) + 0.01 * i);
const scale = (count: number) => floats('s', [count], wave(count));
const bias = (count: number) => floats('b', [count], wave(count).reverse());
const scalar = (name: string, value: number) => ({ ...ints(name, [value]), dims: [] });

const LINES: Line[] = [
  one('Erf', [7]),
  one('Gelu', [7]),
  one('Gelu', [7], { approximate: 'tanh' }),
  one('HardSwish', [9]),
  one('HardSigmoid', [9]),
  one('Mish', [7]),
  one('Celu', [7], { alpha: { float: 0.5 } }),
  one('ThresholdedRelu', [7], { alpha: { float: 0.5 } }),
  one('LayerNormalization', [2, 3, 4], { axis: -1 }, [scale(4), bias(4)]),
  one('LayerNormalization', [2, 3, 4], { axis: 1 }, [floats('s', [3, 4], wave(12))]),
  one('InstanceNormalization', [2, 3, 2, 3], {}, [scale(3), bias(3)]),
  one('GroupNormalization', [2, 4, 2, 3], { num_groups: 2 }, [scale(4), bias(4)]),
  one('Resize', [1, 2, 3, 2], { mode: 'nearest' }, [floats('t', [4], [1, 1, 2, 3])], 'x _ t'),
  one('Resize', [1, 2, 3, 2], { mode: 'nearest' }, [ints('t', [1, 2, 4, 3])], 'x _ _ t'),
  one('Resize', [1, 2, 3, 4], { mode: 'linear' }, [ints('t', [1, 2, 5, 2])], 'x _ _ t'),
  one('Resize', [1, 1, 4, 5], { mode: 'cubic' }, [ints('t', [1, 1, 6, 3])], 'x _ _ t'),
  one('Tile', [2, 3], {}, [ints('r', [2, 2])]),
  one('CumSum', [2, 3], { reverse: 1 }, [scalar('a', 1)]),
  one('CumSum', [3, 2], { exclusive: 1 }, [scalar('a', 0)]),
  one('DepthToSpace', [1, 4, 1, 2], { blocksize: 2 }),
  one('SpaceToDepth', [1, 1, 2, 4], { blocksize: 2 }),
  one('Trilu', [2, 3, 3]),
  one('GatherND', [3, 4, 2], {}, [{ ...ints('i', [0, 1, 0, 1]), dims: [2, 2] }]),
  one('ReduceL1', [2, 3], { keepdims: 0 }),
  one('ReduceL2', [2, 3], {}),
  one('ReduceLogSumExp', [2, 3], {}, [ints('a', [1])]),
  [
    'Where',
    {
      nodes: [node('Greater', 'x zero', 'm'), node('Mul', 'x x', 'q'), node('Where', 'm q x', 'y')],
      initializers: [floats('zero', [], [0.1])],
    },
    [7],
  ],
];

describe('gradients of imported operators', () => {
  it.each(LINES)('%s', async (_, description, shape) => {
    const net = await (await loadOnnx(onnx(description), { backend: reference })).to({ backend: reference, dtype: 'float64' });
    const values = wave(shape.reduce((product, extent) => product * extent, 1));
    const leaf = (data: readonly number[]) => tensor(Float64Array.from(data), shape, { backend: reference, requiresGrad: true });
    const x = leaf(values);
    const y = net.forward(x);
    const weights = Float64Array.from({ length: y.size }, (_, i) => Math.cos(i + 1));
    const loss = (data: readonly number[]): number => {
      const result = net.forward(leaf(data)).dataSync();
      return weights.reduce((sum, weight, i) => sum + weight * result[i], 0);
    };
    const [dx] = backward(y, { gradient: tensor(weights, y.shape, { backend: reference }), wrt: [x] });
    const gradient = await dx.data();
    expect(gradient.some((value) => value !== 0)).toBe(true);
    const step = 1e-6;
    for (const i of values.keys()) {
      const moved = (by: number) => loss(values.map((value, k) => (k === i ? value + by : value)));
      expect(gradient[i]).toBeCloseTo((moved(step) - moved(-step)) / (2 * step), 6);
    }
    net.dispose();
  });
});
