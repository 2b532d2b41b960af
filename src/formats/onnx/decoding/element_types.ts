/**
 * The element types of ONNX and their representation in this library. Floating-point types of up to 32 bits become float32 tensors; all
 * other types are host values, with integers as JavaScript numbers (exact up to 2^53).
 */
import { ELEMENT_BYTES } from '../../../backend/backend.js';
import { UnsupportedError } from '../errors.js';

export type ElementType =
  | 'float32'
  | 'uint8'
  | 'int8'
  | 'uint16'
  | 'int16'
  | 'int32'
  | 'int64'
  | 'bool'
  | 'float16'
  | 'float64'
  | 'uint32'
  | 'uint64'
  | 'bfloat16';

/** `TensorProto.DataType` by number. */
const NUMBERS: Readonly<Record<number, ElementType>> = {
  1: 'float32',
  2: 'uint8',
  3: 'int8',
  4: 'uint16',
  5: 'int16',
  6: 'int32',
  7: 'int64',
  9: 'bool',
  10: 'float16',
  11: 'float64',
  12: 'uint32',
  13: 'uint64',
  16: 'bfloat16',
};

/** Names of the ONNX types that are not supported, for messages. */
const UNSUPPORTED: Readonly<Record<number, string>> = {
  8: 'string',
  14: 'complex64',
  15: 'complex128',
  17: 'float8e4m3fn',
  18: 'float8e4m3fnuz',
  19: 'float8e5m2',
  20: 'float8e5m2fnuz',
  21: 'uint4',
  22: 'int4',
  23: 'float4e2m1',
};

export const TYPE_NUMBERS: Readonly<Record<ElementType, number>> = Object.fromEntries(
  Object.entries(NUMBERS).map(([number, name]) => [name, Number(number)]),
) as Record<ElementType, number>;

/**
 * Returns the element type with a number of `TensorProto.DataType`.
 *
 * @param where description of the tensor or node in the error message
 * @throws UnsupportedError for other types
 */
export function elementType(number: number | undefined, where: string): ElementType {
  const name = number !== undefined && Object.hasOwn(NUMBERS, number) ? NUMBERS[number] : undefined;
  if (name) return name;
  throw new UnsupportedError(
    `onnx: ${where} has type ${number === undefined ? 'nothing' : (UNSUPPORTED[number] ?? `number ${number}`)}, which is not supported; supported are ${Object.values(NUMBERS).join(', ')}`,
  );
}

export const isFloat = (type: ElementType): boolean =>
  type === 'float32' || type === 'float16' || type === 'bfloat16' || type === 'float64';

/** Bytes per element in `raw_data`. */
export const BYTES: Readonly<Record<ElementType, number>> = {
  ...ELEMENT_BYTES,
  int8: 1,
  uint16: 2,
  int16: 2,
  int64: 8,
  bool: 1,
  float16: 2,
  uint32: 4,
  uint64: 8,
  bfloat16: 2,
};

/** Minimum and maximum of the integer types up to 32 bits. */
const RANGES: Partial<Record<ElementType, readonly [number, number]>> = {
  uint8: [0, 255],
  int8: [-128, 127],
  uint16: [0, 65535],
  int16: [-32768, 32767],
  int32: [-(2 ** 31), 2 ** 31 - 1],
  uint32: [0, 2 ** 32 - 1],
};

/** Returns the minimum and maximum of an integer type of up to 32 bits. */
export function integerRange(type: ElementType): readonly [number, number] {
  const range = RANGES[type];
  if (!range) throw new UnsupportedError(`onnx: ${type} has no range of integers; supported are ${Object.keys(RANGES).join(', ')}`);
  return range;
}

/** Creates the typed array for host values of a type. Half precision is stored as float32, 64-bit integers as float64. */
export function hostArray(type: ElementType, size: number): Float32Array | Float64Array | Int32Array | Uint8Array {
  if (type === 'float32' || type === 'float16' || type === 'bfloat16') return new Float32Array(size);
  if (type === 'bool' || type === 'uint8') return new Uint8Array(size);
  if (type === 'int32' || type === 'int16' || type === 'int8' || type === 'uint16') return new Int32Array(size);
  return new Float64Array(size);
}

/** Converts a number to another type: fractions are truncated, bool is 1 for any value but 0, and integers wrap around. */
export function convert(value: number, to: ElementType): number {
  if (isFloat(to)) return value;
  if (to === 'bool') return value !== 0 ? 1 : 0;
  const whole = Number.isFinite(value) ? Math.trunc(value) : 0;
  const range = RANGES[to];
  if (!range) return whole;
  const span = range[1] - range[0] + 1;
  return ((((whole - range[0]) % span) + span) % span) + range[0];
}
