/** The operators Constant, ConstantOfShape and Cast. */
import { cast, equal, sub, type Tensor } from '../../../tensor/index.js';
import type { Attributes } from '../decoding/attributes.js';
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

/**
 * Cast. Half precision is computed as float32. A tensor that is cast to an integer type or to double becomes a host value, because int32
 * would not hold all results, and backends need not support double.
 */
function runCast(call: Call): readonly Value[] {
  const to = elementType(call.attributes.int('to', 0), 'the cast’s target');
  const x = call.value(0);
  if (isHost(x)) return [hostMap(x, (value) => convert(value, to), to)];
  if (to === 'bool') return [cast(x.dtype === 'uint8' ? x : sub(1, equal(x, 0)), 'uint8')];
  return [cast(x, to === 'float64' ? 'float64' : 'float32')];
}

/** Whether `Cast` computes its result on the host. */
function castsOnHost(attributes: Attributes, x: Tensor): boolean {
  const to = elementType(attributes.int('to', 0), 'the cast’s target');
  return to === 'float64' ? x.dtype !== 'float64' : to !== 'bool' && !isFloat(to);
}

export const constants = {
  Constant: { run: runConstant },
  ConstantOfShape: { run: runConstantOfShape, host: [0] },
  Cast: { run: runCast, receptiveWindow: 'point', host: (attributes, x) => (castsOnHost(attributes, x) ? [0] : []), integers: 'all' },
} satisfies Record<string, Operator>;
