/** Models of one operator each, with random inputs. */
import { type ElementType, TYPE_NUMBERS } from '../src/formats/onnx/decoding/element_types.js';
import { type Attribute, floats, ints, node, onnx } from '../test/formats/onnx/build.js';

export interface OperatorCase {
  name: string;
  bytes: Uint8Array;
  inputs: Record<string, { shape: readonly number[]; data: Float32Array }>;
}

let state = 1;

/** Deterministic random numbers from low to high. */
function random(count: number, low = -3, high = 3): Float32Array {
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return low + ((high - low) * (state >>> 8)) / 2 ** 24;
  });
}

const sizeOf = (shape: readonly number[]) => shape.reduce((product, extent) => product * extent, 1);
const input = (shape: readonly number[], low?: number, high?: number) => ({ shape, data: random(sizeOf(shape), low, high) });

/** Operators whose results are integers or bool. */
const WHOLE = ['Greater', 'Less', 'GreaterOrEqual', 'LessOrEqual', 'Equal', 'NonZero', 'ArgMin', 'QuantizeLinear'];
const FLOAT = node('Cast', 'r', 'y', { to: TYPE_NUMBERS.float32 });

/** A case with an input `x` and constants; `line` is the inputs of the node. */
function one(
  opType: string,
  shape: readonly number[],
  opset: number,
  attributes: Record<string, Attribute> = {},
  constants: ReturnType<typeof floats>[] = [],
  line = ['x', ...constants.map(({ name }) => name ?? '')].join(' '),
): OperatorCase {
  // The declared output is float32.
  const whole = WHOLE.includes(opType);
  const label = Object.entries(attributes).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  const bytes = onnx({
    nodes: [node(opType, line, whole ? 'r' : 'y', attributes), ...(whole ? [FLOAT] : [])],
    inputs: { x: { shape } },
    initializers: constants,
    opset,
  });
  return { name: `${opType} of [${shape}], opset ${opset} ${label.join(' ')}`, bytes, inputs: { x: input(shape) } };
}

const MODES = ['nearest', 'linear', 'cubic'];
const COORDINATES = ['half_pixel', 'half_pixel_symmetric', 'pytorch_half_pixel', 'align_corners', 'asymmetric'];
const NEAREST = ['round_prefer_floor', 'round_prefer_ceil', 'floor', 'ceil'];

function resizes(): OperatorCase[] {
  const shape = [1, 2, 5, 4];
  const cases: OperatorCase[] = [];
  for (const mode of MODES) {
    for (const coordinates of COORDINATES) {
      for (const scales of [
        [1, 1, 2, 3],
        [1, 1, 0.55, 0.8],
        [1, 1, 1.7, 0.5],
      ]) {
        for (const nearest_mode of mode === 'nearest' ? NEAREST : ['round_prefer_floor']) {
          const attributes = { mode, coordinate_transformation_mode: coordinates, nearest_mode };
          const made = one('Resize', shape, 19, attributes, [floats('s', [4], scales)], 'x _ s');
          cases.push({ ...made, name: `${made.name} scales ${scales}` });
        }
      }
    }
    const sizes = ints('t', [1, 2, 7, 9]);
    cases.push(one('Resize', shape, 13, { mode }, [sizes], 'x _ _ t'));
    cases.push(one('Resize', shape, 18, { mode, axes: [2, 3], keep_aspect_ratio_policy: 'not_larger' }, [ints('t', [9, 7])], 'x _ _ t'));
  }
  cases.push(
    one('Resize', shape, 13, { mode: 'cubic', cubic_coeff_a: { float: -0.5 }, exclude_outside: 1 }, [ints('t', [1, 2, 7, 3])], 'x _ _ t'),
  );
  for (const mode of ['nearest', 'linear']) {
    const attributes = { mode, coordinate_transformation_mode: 'tf_crop_and_resize', extrapolation_value: { float: 9 } };
    const roi = floats('r', [8], [0, 0, 0.3, -0.2, 1, 1, 0.8, 1.3]);
    cases.push(one('Resize', shape, 13, attributes, [roi, ints('t', [1, 2, 6, 5])], 'x r _ t'));
  }
  for (const mode of ['nearest', 'linear']) {
    cases.push(one('Resize', shape, 10, { mode }, [floats('s', [4], [1, 1, 2, 1.5])]));
    cases.push(one('Upsample', shape, 9, { mode }, [floats('s', [4], [1, 1, 3, 2])]));
  }
  return cases;
}

const typed = (type: ElementType, name: string, shape: readonly number[], data: readonly number[]) => ({
  name,
  dims: [...shape],
  dataType: TYPE_NUMBERS[type],
  int32Data: [...data],
});

function quantisations(): OperatorCase[] {
  const shape = [2, 3, 4];
  return (['int8', 'uint8'] as const).flatMap((type) => {
    const zero = type === 'int8' ? [3, -5, 0] : [128, 7, 0];
    const perAxis = [floats('s', [3], [0.05, 0.011, 0.3]), typed(type, 'z', [3], zero)];
    const whole = [floats('s', [], [0.037]), typed(type, 'z', [], [zero[0]])];
    const there = [whole, perAxis].map((constants) => one('QuantizeLinear', shape, 13, { axis: 1 }, constants));
    const back = [whole, perAxis].map((constants, i) => {
      const nodes = [node('QuantizeLinear', 'x s z', 'q', { axis: 1 }), node('DequantizeLinear', 'q s z', 'y', { axis: 1 })];
      const bytes = onnx({ nodes, inputs: { x: { shape } }, initializers: constants });
      return {
        name: `QuantizeLinear and DequantizeLinear, ${type}, ${i === 0 ? 'per tensor' : 'per axis'}`,
        bytes,
        inputs: { x: input(shape) },
      };
    });
    return [...there, ...back];
  });
}

function normalisations(): OperatorCase[] {
  const shape = [2, 6, 3, 4];
  const channels = (name: string, count = 6) => floats(name, [count], [...random(count)]);
  return [
    one('LayerNormalization', [2, 3, 8], 17, {}, [channels('s', 8), channels('b', 8)]),
    one('LayerNormalization', [2, 3, 8], 17, { axis: 1, epsilon: { float: 0.1 } }, [floats('s', [3, 8], [...random(24)])]),
    one('InstanceNormalization', shape, 13, { epsilon: { float: 1e-3 } }, [channels('s'), channels('b')]),
    one('GroupNormalization', shape, 18, { num_groups: 3 }, [channels('s', 3), channels('b', 3)]),
    one('GroupNormalization', shape, 21, { num_groups: 3 }, [channels('s'), channels('b')]),
  ];
}

function logic(): OperatorCase[] {
  const shape = [2, 3, 4];
  const compared = ['Greater', 'Less', 'GreaterOrEqual', 'LessOrEqual', 'Equal'].map((opType) =>
    one(opType, shape, 13, {}, [floats('c', [4], [-1, 0, 1, 2])]),
  );
  const combined = ['And', 'Or', 'Xor'].map((opType) => {
    const nodes = [node('Greater', 'x c', 'a'), node('Less', 'x d', 'b'), node(opType, 'a b', 'e'), node('Not', 'e', 'r'), FLOAT];
    const initializers = [floats('c', [], [-1]), floats('d', [4], [0, 1, -2, 2])];
    return {
      name: `${opType}, Not`,
      bytes: onnx({ nodes, inputs: { x: { shape } }, initializers, opset: 15 }),
      inputs: { x: input(shape) },
    };
  });
  const nodes = [node('Greater', 'x c', 'm'), node('Where', 'm x low', 'y')];
  const initializers = [floats('c', [3, 1], [0, 1, -1]), floats('low', [1], [Number.NEGATIVE_INFINITY])];
  return [
    ...compared,
    ...combined,
    { name: 'Where', bytes: onnx({ nodes, inputs: { x: { shape } }, initializers }), inputs: { x: input(shape) } },
  ];
}

function elementwise(): OperatorCase[] {
  const shape = [3, 50];
  const plain = ['Floor', 'Ceil', 'Round', 'Sign', 'Erf', 'HardSigmoid', 'HardSwish', 'Softsign', 'Selu', 'Elu'].map((opType) =>
    one(opType, shape, 15),
  );
  return [
    ...plain,
    one('Gelu', shape, 20),
    one('Gelu', shape, 20, { approximate: 'tanh' }),
    one('Mish', shape, 18),
    one('Celu', shape, 15, { alpha: { float: 0.7 } }),
    one('ThresholdedRelu', shape, 15, { alpha: { float: 0.7 } }),
    one('Mod', shape, 13, { fmod: 1 }, [floats('m', [1], [1.3])]),
  ];
}

const ACCUMULATIONS: Record<string, Attribute>[] = [{}, { exclusive: 1 }, { reverse: 1 }, { exclusive: 1, reverse: 1 }];

function arrangements(): OperatorCase[] {
  return [
    one('Tile', [2, 3], 13, {}, [ints('r', [2, 3])]),
    one('DepthToSpace', [1, 8, 2, 3], 13, { blocksize: 2 }),
    one('DepthToSpace', [1, 8, 2, 3], 13, { blocksize: 2, mode: 'CRD' }),
    one('SpaceToDepth', [1, 2, 4, 6], 13, { blocksize: 2 }),
    one('NonZero', [2, 3], 13),
    one('Trilu', [2, 3, 4], 14, {}, []),
    one('Trilu', [2, 3, 4], 14, { upper: 0 }, [{ ...ints('k', [1]), dims: [] }]),
    one('GatherND', [3, 4, 2], 13, {}, [{ ...ints('i', [0, 1, 2, -1]), dims: [2, 2] }]),
    one('GatherND', [2, 4, 3], 13, { batch_dims: 1 }, [{ ...ints('i', [1, 3]), dims: [2, 1] }]),
    ...ACCUMULATIONS.flatMap((attributes) =>
      [0, 1, 2].map((axis) => one('CumSum', [2, 3, 4], 14, attributes, [{ ...ints('a', [axis]), dims: [] }])),
    ),
    ...['ReduceL1', 'ReduceL2', 'ReduceLogSumExp', 'ReduceProd'].flatMap((opType) => [
      one(opType, [2, 3, 4], 13, { axes: [1] }),
      one(opType, [2, 3, 4], 13, { axes: [0, 2], keepdims: 0 }),
    ]),
    one('ArgMin', [2, 3, 4], 13, { axis: 1 }),
    one('ArgMin', [2, 3, 4], 13, { axis: 2, keepdims: 0, select_last_index: 1 }),
  ];
}

export const operatorCases = (): OperatorCase[] => [
  ...elementwise(),
  ...logic(),
  ...arrangements(),
  ...normalisations(),
  ...quantisations(),
  ...resizes(),
];
