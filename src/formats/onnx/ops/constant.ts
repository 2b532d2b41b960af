/** The operators Constant, ConstantOfShape and Cast. */
import { cast, reshape } from '../../../tensor/index.js';
import { convert, elementType, isFloat } from '../decoding/element_types.js';
import { HostValue, hostInts, isHost, makeHost, type Value } from '../decoding/host_value.js';
import type { Call, Operator } from '../operator.js';
import { hostMap } from '../running/host_ops.js';

/** Constant. The value is in one of several attributes: a tensor, or (from opset 12 on) a number or a list. */
function runConstant(call: Call): readonly Value[] {
  const { attributes } = call;
  const value = attributes.tensor('value');
  if (value) return [value];
  if (attributes.has('value_float')) return [new HostValue('float32', [], Float32Array.of(attributes.float('value_float', 0)))];
  if (attributes.has('value_int')) return [makeHost('int64', [], () => attributes.int('value_int', 0))];
  const floats = attributes.floats('value_floats');
  if (floats) return [new HostValue('float32', [floats.length], Float32Array.from(floats))];
  const ints = attributes.ints('value_ints');
  if (ints) return [hostInts(ints)];
  throw call.unsupported('it has no supported value attribute; supported are value, value_float, value_floats, value_int and value_ints');
}

/** ConstantOfShape. Fills the shape with one value, by default 0 as float32. */
function runConstantOfShape(call: Call): readonly Value[] {
  const shape = call.ints(0) ?? [];
  const value = call.attributes.tensor('value');
  if (value && value.size !== 1) throw call.error(`its value has ${value.size} elements, expected one`);
  const number = value?.data[0] ?? 0;
  return [makeHost(value?.type ?? 'float32', shape, () => number)];
}

/** Cast. A tensor that is cast to an integer type or to double becomes a host value; half precision is computed as float32. */
function runCast(call: Call): readonly Value[] {
  const to = elementType(call.attributes.int('to', 0), 'the cast’s target');
  const x = call.value(0);
  if (isHost(x)) return [hostMap(x, (value) => convert(value, to), to)];
  if (to === 'float64')
    return [x.dtype === 'float64' ? reshape(x, x.shape) : new HostValue('float64', x.shape, Float64Array.from(x.dataSync()))];
  if (isFloat(to)) return [x.dtype === 'float32' ? reshape(x, x.shape) : cast(x, 'float32')];
  const data = x.dataSync();
  return [makeHost(to, x.shape, (i) => convert(data[i], to))];
}

export const constants = {
  Constant: { run: runConstant },
  ConstantOfShape: { run: runConstantOfShape },
  Cast: { run: runCast, receptiveWindow: 'point' },
} satisfies Record<string, Operator>;
