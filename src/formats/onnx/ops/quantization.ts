/**
 * QuantizeLinear and DequantizeLinear, per tensor or per axis. A quantised network is computed in floating point: a quantised tensor is an
 * integer tensor on the backend, and DequantizeLinear converts it back.
 */
import { add, cast, clamp, div, mul, reshape, sub, type Tensor } from '../../../tensor/index.js';
import { type ElementType, elementType, integerRange } from '../decoding/element_types.js';
import { HostValue, isHost, type Value } from '../decoding/host_value.js';
import type { Call, Operator } from '../operator.js';
import { hostBinary, hostMap } from '../running/host_ops.js';
import { roundHalfToEven } from './rounding.js';

/** The integer types that a tensor may be quantised to. */
const QUANTISED: readonly ElementType[] = ['int8', 'uint8', 'int16', 'uint16'];

/** Number of the type `float32` in `TensorProto.DataType`. */
const FLOAT32 = 1;

/**
 * Adding and subtracting this number rounds a float32 of magnitude below 2²² to the nearest whole number, halves to even, because larger
 * float32 have no fractional bits. It is 1.5 · 2²³; for float64 it is 1.5 · 2⁵².
 */
const roundingOffset = ({ dtype }: Tensor): number => 1.5 * (dtype === 'float64' ? 2 ** 52 : 2 ** 23);

/** Reshapes one value per element of an axis so that it is broadcast over a tensor of this rank. A single value fits any tensor. */
function alongAxis(call: Call, value: HostValue, x: Value): HostValue {
  if (value.size === 1) return new HostValue(value.type, [], value.data);
  const axis = call.axis(call.attributes.int('axis', 1), x.rank);
  if (value.rank !== 1)
    throw call.unsupported(`a scale of shape [${value.shape}]; supported are one value, or one for each element of an axis`);
  if (value.size !== x.shape[axis])
    throw call.error(`it has ${value.size} scales, expected ${x.shape[axis]}, one for each element of axis ${axis}`);
  const shape = x.shape.map((extent, i) => (i === axis ? extent : 1));
  return new HostValue(value.type, shape, value.data);
}

interface Scale {
  scale: HostValue;
  zero: HostValue | null;
}

/** Reads scale and zero point, and refuses what is not supported. */
function scaleOf(call: Call, x: Value): Scale {
  const { attributes } = call;
  if (attributes.int('block_size', 0) !== 0)
    throw call.unsupported('block_size is set; supported are one scale for the tensor, and one for each element of an axis');
  return { scale: alongAxis(call, call.host(1), x), zero: call.has(2) ? alongAxis(call, call.host(2), x) : null };
}

/** The integer type of the result of QuantizeLinear. */
function targetType(call: Call, { zero }: Scale): ElementType {
  const given = call.attributes.int('output_dtype', 0);
  const type = zero?.type ?? (given === 0 ? 'uint8' : elementType(given, 'the quantised tensor'));
  if (!QUANTISED.includes(type)) throw call.unsupported(`the quantised type ${type}; supported are ${QUANTISED.join(', ')}`);
  return type;
}

/** QuantizeLinear: saturate(round(x / scale) + zero_point). Opsets 10, 13, 19, 21. It has no gradient. */
function quantize(call: Call): readonly Value[] {
  const x = call.value(0);
  const s = scaleOf(call, x);
  const type = targetType(call, s);
  const [low, high] = integerRange(type);
  if (isHost(x)) {
    const steps = hostBinary('QuantizeLinear', x, s.scale, (value, scale) => roundHalfToEven(value / scale), 'float64');
    const shifted = s.zero ? hostBinary('QuantizeLinear', steps, s.zero, (value, zero) => value + zero, 'float64') : steps;
    return [hostMap(shifted, (value) => Math.min(Math.max(value, low), high), type)];
  }
  const limit = 2 ** 21;
  const steps = clamp(div(x, call.asTensor(s.scale, 'the scale')), -limit, limit);
  const offset = roundingOffset(x);
  const rounded = sub(add(steps, offset), offset);
  const shifted = s.zero ? add(rounded, call.asTensor(asFloats(s.zero), 'the zero point')) : rounded;
  return [cast(clamp(shifted, low, high), type === 'uint8' ? 'uint8' : 'int32')];
}

const asFloats = (value: HostValue): HostValue => hostMap(value, (number) => number, 'float32');

/** DequantizeLinear: (x − zero_point) · scale. Opsets 10, 13, 19, 21. */
function dequantize(call: Call): readonly Value[] {
  const x = call.value(0);
  const s = scaleOf(call, x);
  const type = call.attributes.int('output_dtype', FLOAT32);
  if (type !== FLOAT32 && type !== 0) throw call.unsupported(`output_dtype ${type}; supported is ${FLOAT32}, float32`);
  if (isHost(x)) {
    const shifted = s.zero ? hostBinary('DequantizeLinear', x, s.zero, (value, zero) => value - zero, 'float64') : x;
    return [hostBinary('DequantizeLinear', shifted, s.scale, (value, scale) => value * scale, 'float32')];
  }
  const values = cast(x, 'float32');
  const shifted = s.zero ? sub(values, call.asTensor(asFloats(s.zero), 'the zero point')) : values;
  return [reshape(mul(shifted, call.asTensor(s.scale, 'the scale')), x.shape)];
}

export const quantization = {
  QuantizeLinear: {
    run: quantize,
    receptiveWindow: 'point',
    host: [1, 2],
    since: 10,
    attributes: ['axis', 'saturate', 'block_size', 'output_dtype', 'precision'],
  },
  DequantizeLinear: {
    run: dequantize,
    receptiveWindow: 'point',
    host: [1, 2],
    integers: [0],
    since: 10,
    attributes: ['axis', 'block_size', 'output_dtype'],
  },
} satisfies Record<string, Operator>;
