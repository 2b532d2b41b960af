/** Reads and writes the elements of ONNX tensors: stored in typed lists, as raw bytes, or in external files. */
import { sizeOf, type TypedArray } from '../../../tensor/index.js';
import { brainToNumber, halfToNumber } from '../../half_floats.js';
import { OnnxError, UnsupportedError } from '../errors.js';
import { BYTES, type ElementType, elementType, hostArray, TYPE_NUMBERS } from './element_types.js';
import { HostValue, MAX_RANK } from './host_value.js';
import type { TensorProto, Written } from './schema.js';

/** Contents of the external data files of a model, by path. */
export type ExternalFiles = ReadonlyMap<string, Uint8Array>;

const isExternal = (proto: TensorProto): boolean => proto.dataLocation === 1;

/**
 * Returns the location of a tensor's external data, or null if its data are in the model file.
 *
 * @throws OnnxError for a path outside the model's folder
 */
export function externalLocation(proto: TensorProto): { path: string; offset: number; length: number | undefined } | null {
  if (!isExternal(proto)) return null;
  const entries = new Map(proto.externalData.map(({ key, value }) => [key ?? '', value ?? '']));
  const what = `external data of ${JSON.stringify(proto.name ?? '')}`;
  const path = entries.get('location');
  if (!path) throw new OnnxError(`onnx: ${what} has no location`);
  const parts = path.split('/');
  if (/[\\\0:]/.test(path) || parts.some((part) => part === '' || part === '..'))
    throw new OnnxError(`onnx: ${what} is at ${JSON.stringify(path)}; only paths inside the model's folder are allowed`);
  const number = (key: string): number | undefined => {
    const text = entries.get(key);
    if (text === undefined) return undefined;
    if (!/^\d{1,15}$/.test(text)) throw new OnnxError(`onnx: ${what} has ${key} ${JSON.stringify(text)}, expected a non-negative integer`);
    return Number(text);
  };
  return { path: parts.filter((part) => part !== '.').join('/'), offset: number('offset') ?? 0, length: number('length') };
}

/**
 * Creates a host value for a tensor of a file. Its elements are decoded on first use; aligned float32 data become a view of the file. The
 * shape is checked against the length of the data before memory is allocated.
 */
export function readTensor(proto: TensorProto, files: ExternalFiles = new Map()): HostValue {
  const what = `tensor ${JSON.stringify(proto.name ?? '')}`;
  const type = elementType(proto.dataType, what);
  const shape = proto.dims;
  if (proto.segment) throw new UnsupportedError(`onnx: ${what} comes in segments, which are not supported`);
  if (shape.length > MAX_RANK) throw new OnnxError(`onnx: ${what} has ${shape.length} axes, at most ${MAX_RANK} are allowed`);
  if (shape.some((extent) => !Number.isSafeInteger(extent) || extent < 0))
    throw new OnnxError(`onnx: ${what} has shape [${shape}], expected non-negative integers`);
  const size = sizeOf(shape);
  const short = (found: number, unit: string) =>
    new OnnxError(`onnx: ${what} of shape [${shape}] needs ${size} ${type} elements, the file has ${found} ${unit} of it`);
  const raw = rawBytes(proto, files);
  if (raw) {
    if (raw.length !== size * BYTES[type]) throw short(raw.length, 'bytes');
    return new HostValue(type, shape, () => fromRaw(raw, type));
  }
  if (type === 'float32' || type === 'float64') {
    const bytes = type === 'float32' ? proto.floatData : proto.doubleData;
    if (bytes.length !== size * BYTES[type]) throw short(bytes.length, 'bytes');
    return new HostValue(type, shape, () => fromRaw(bytes, type));
  }
  const list = type === 'int64' ? proto.int64Data : type === 'uint32' || type === 'uint64' ? proto.uint64Data : proto.int32Data;
  if (list.length !== size) throw short(list.length, 'elements');
  const data = hostArray(type, size);
  const decode =
    type === 'float16' ? halfToNumber : type === 'bfloat16' ? brainToNumber : type === 'uint64' ? unsigned : (value: number) => value;
  for (let i = 0; i < size; i++) data[i] = decode(list[i]);
  return new HostValue(type, shape, data);
}

const unsigned = (value: number): number => (value < 0 ? value + 2 ** 64 : value);

function rawBytes(proto: TensorProto, files: ExternalFiles): Uint8Array | null {
  const external = externalLocation(proto);
  if (!external) return proto.rawData ?? null;
  const { path, offset, length } = external;
  const file = files.get(path);
  const what = `external data of ${JSON.stringify(proto.name ?? '')}`;
  if (!file)
    throw new OnnxError(`onnx: ${what} is in the file ${JSON.stringify(path)}; pass loadOnnx(bytes, { externalData: (path) => bytes })`);
  const end = length === undefined ? file.length : offset + length;
  if (end > file.length || offset > end)
    throw new OnnxError(`onnx: ${what} is bytes ${offset} to ${end} of ${JSON.stringify(path)}, which has ${file.length}`);
  return file.subarray(offset, end);
}

const LITTLE_ENDIAN = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

function fromRaw(bytes: Uint8Array, type: ElementType): TypedArray {
  const { buffer, byteOffset, byteLength } = bytes;
  if (type === 'uint8') return bytes;
  if (LITTLE_ENDIAN && type === 'float32') {
    if (byteOffset % 4 === 0) return new Float32Array(buffer, byteOffset, byteLength / 4);
    const copy = new Float32Array(byteLength / 4);
    new Uint8Array(copy.buffer).set(bytes);
    return copy;
  }
  const view = new DataView(buffer, byteOffset, byteLength);
  const width = BYTES[type];
  const data = hostArray(type, byteLength / width);
  const read = READERS[type];
  for (let i = 0; i < data.length; i++) data[i] = read(view, i * width);
  return data;
}

const READERS: Readonly<Record<ElementType, (view: DataView, at: number) => number>> = {
  float32: (view, at) => view.getFloat32(at, true),
  float64: (view, at) => view.getFloat64(at, true),
  float16: (view, at) => halfToNumber(view.getUint16(at, true)),
  bfloat16: (view, at) => brainToNumber(view.getUint16(at, true)),
  uint8: (view, at) => view.getUint8(at),
  int8: (view, at) => view.getInt8(at),
  uint16: (view, at) => view.getUint16(at, true),
  int16: (view, at) => view.getInt16(at, true),
  uint32: (view, at) => view.getUint32(at, true),
  int32: (view, at) => view.getInt32(at, true),
  int64: (view, at) => Number(view.getBigInt64(at, true)),
  uint64: (view, at) => Number(view.getBigUint64(at, true)),
  bool: (view, at) => (view.getUint8(at) !== 0 ? 1 : 0),
};

/** Creates the message of a tensor: float32 as raw bytes, integers as an int64 list. */
export function writeTensor(name: string, shape: readonly number[], data: Float32Array | readonly number[]): Written<TensorProto> {
  if (!(data instanceof Float32Array)) return { name, dims: [...shape], dataType: TYPE_NUMBERS.int64, int64Data: [...data] };
  const rawData = LITTLE_ENDIAN ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength) : swapped(data);
  return { name, dims: [...shape], dataType: TYPE_NUMBERS.float32, rawData };
}

function swapped(data: Float32Array): Uint8Array {
  const bytes = new Uint8Array(data.length * 4);
  const view = new DataView(bytes.buffer);
  for (const [i, value] of data.entries()) view.setFloat32(i * 4, value, true);
  return bytes;
}
