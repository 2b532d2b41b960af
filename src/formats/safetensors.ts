/**
 * Reads and writes safetensors files, a common format for exchanging weights (https://github.com/huggingface/safetensors).
 *
 * A file consists of eight bytes with the length of the header (little-endian), a JSON header with the type, shape and byte range of
 * each tensor, and the elements of the tensors, row-major and little-endian. Files are not trusted: every length is checked against
 * the length of the file before memory is allocated for it.
 */

import { arrayOf, checkArgument, either, instanceOf, integer, objectWith, recordOf, text as textRule } from '../backend/validate.js';
import { BackendError, fromHost, type Shape, sizeOf, Tensor, type TypedArray } from '../tensor/index.js';
import { CHECKSUM, NO_CHECKSUM, setChecksum, verifyChecksum } from './checksum.js';
import { FormatError } from './errors.js';
import { brainToNumber, halfToNumber } from './half_floats.js';
import { parseJson } from './json.js';

export { FormatError } from './errors.js';

/** The elements of a tensor in row-major order, as a typed array, with their shape. */
export interface HostTensor {
  /** Sizes of the axes; their product is the length of `data`. */
  readonly shape: Shape;
  /** Elements in row-major order; the kind of the array gives the element type. */
  readonly data: TypedArray;
}

/** The contents of a safetensors file. */
export interface Safetensors {
  /** Tensors by name. */
  tensors: Record<string, HostTensor>;
  /** Free texts of the header's `__metadata__`; empty if there are none. */
  metadata: Record<string, string>;
}

/** Longest accepted header in bytes, as in the reference implementation. */
const MAX_HEADER = 100_000_000;
/** The header is padded with spaces so that the tensor data start at a multiple of this number of bytes. */
const ALIGNMENT = 8;

const NAMES = { float32: 'F32', float64: 'F64', int32: 'I32', uint8: 'U8' } as const;

interface Encoding {
  bytes: number;
  /** @param bytes a copy of the tensor's bytes, at the start of its own buffer */
  decode(bytes: Uint8Array, name: string): TypedArray;
}

const view = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** Creates an encoding that converts element by element, for types without a corresponding typed array. */
const each = <T extends TypedArray>(
  bytes: number,
  Made: new (length: number) => T,
  read: (v: DataView, at: number, name: string) => number,
) => ({
  bytes,
  decode(source: Uint8Array, name: string): T {
    const from = view(source);
    const to = new Made(source.length / bytes);
    for (let i = 0; i < to.length; i++) to[i] = read(from, i * bytes, name);
    return to;
  },
});

const ENCODINGS: Readonly<Record<string, Encoding>> = {
  F32: { bytes: 4, decode: (bytes) => new Float32Array(bytes.buffer) },
  F64: { bytes: 8, decode: (bytes) => new Float64Array(bytes.buffer) },
  I32: { bytes: 4, decode: (bytes) => new Int32Array(bytes.buffer) },
  U8: { bytes: 1, decode: (bytes) => bytes },
  BOOL: { bytes: 1, decode: (bytes) => bytes },
  F16: each(2, Float32Array, (v, at) => halfToNumber(v.getUint16(at, true))),
  BF16: each(2, Float32Array, (v, at) => brainToNumber(v.getUint16(at, true))),
  I8: each(1, Int32Array, (v, at) => v.getInt8(at)),
  I16: each(2, Int32Array, (v, at) => v.getInt16(at, true)),
  U16: each(2, Int32Array, (v, at) => v.getUint16(at, true)),
  I64: each(8, Int32Array, (v, at, name) => int32(v.getBigInt64(at, true), name)),
};

const hostTensor = objectWith('{ shape, data: Float32Array, Float64Array, Int32Array or Uint8Array }', {
  shape: arrayOf(integer()),
  data: instanceOf(Float32Array, Float64Array, Int32Array, Uint8Array),
});

/**
 * Encodes tensors as the bytes of a safetensors file: float32 as F32, float64 as F64, int32 as I32, uint8 as U8.
 *
 * @example await writeFile('model.safetensors', saveSafetensors(await model.stateDictData()));
 * @param tensors tensors, or typed arrays with a shape, by name
 * @param metadata strings by name, stored in the header. Default: none
 * @throws FormatError if a shape does not match the number of elements, or a tensor is named `__metadata__`
 * @throws BackendError for a tensor on a backend that only reads asynchronously
 */
export function saveSafetensors(
  tensors: Readonly<Record<string, Tensor | HostTensor>>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  checkArgument('saveSafetensors', 'tensors', tensors, recordOf(either(instanceOf(Tensor), hostTensor)));
  checkArgument('saveSafetensors', 'metadata', metadata, recordOf(textRule));
  const parts: { data: TypedArray; at: number }[] = [];
  const header: [string, unknown][] = [];
  if (Object.keys(metadata).length > 0) header.push(['__metadata__', metadata]);
  let at = 0;
  // Tensors with the widest elements come first, as in the reference implementation, so that every tensor is aligned to its type.
  const entries = Object.entries(tensors).map(([name, value]): [string, HostTensor] => [name, onHost(name, value)]);
  entries.sort(([, a], [, b]) => b.data.BYTES_PER_ELEMENT - a.data.BYTES_PER_ELEMENT);
  for (const [name, { shape, data }] of entries) {
    if (name === '__metadata__') throw new FormatError("safetensors: a tensor cannot be named '__metadata__'");
    if (sizeOf(shape) !== data.length)
      throw new FormatError(`safetensors: ${name} has ${data.length} elements, expected ${sizeOf(shape)} for shape [${shape}]`);
    header.push([name, { dtype: typeName(data), shape: [...shape], data_offsets: [at, at + data.byteLength] }]);
    parts.push({ data, at });
    at += data.byteLength;
  }
  const text = new TextEncoder().encode(JSON.stringify(Object.fromEntries(header)));
  const headerLength = Math.ceil(text.length / ALIGNMENT) * ALIGNMENT;
  const file = new Uint8Array(8 + headerLength + at);
  view(file).setBigUint64(0, BigInt(headerLength), true);
  file.set(text, 8);
  file.fill(0x20, 8 + text.length, 8 + headerLength);
  for (const { data, at } of parts) file.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), 8 + headerLength + at);
  return file;
}

/** Encodes tensors like `saveSafetensors`, and adds a checksum of the file to the metadata; see `checksum.ts`. */
export function saveWithChecksum(
  tensors: Readonly<Record<string, Tensor | HostTensor>>,
  metadata: Readonly<Record<string, string>>,
): Uint8Array {
  const file = saveSafetensors(tensors, { ...metadata, [CHECKSUM]: NO_CHECKSUM });
  setChecksum(file);
  return file;
}

/**
 * Decodes the tensors of a safetensors file. F16 and BF16 become float32; BOOL becomes uint8; I8, I16, U16 and I64 become int32. The
 * elements are uploaded to the backend when a tensor is first used. If the metadata contain a checksum (`zfnet.sha256`, as in every
 * checkpoint), it is verified.
 *
 * @example
 * const bytes = saveSafetensors(await model.stateDictData());
 * model.loadStateDict(loadSafetensors(bytes));
 * @throws FormatError if the file is truncated or malformed, or does not match its checksum
 * @throws BackendError before `await init()`; use `readSafetensors` without a backend
 */
export function loadSafetensors(bytes: Uint8Array): Record<string, Tensor> {
  const { tensors } = readSafetensors(bytes);
  return Object.fromEntries(Object.entries(tensors).map(([name, { shape, data }]) => [name, fromHost(data, shape)]));
}

/**
 * Decodes a safetensors file like `loadSafetensors`, but returns typed arrays and the metadata, and needs no backend.
 *
 * @example const { tensors, metadata } = readSafetensors(saveSafetensors(await model.stateDictData()));
 */
export function readSafetensors(bytes: Uint8Array): Safetensors {
  checkArgument('loadSafetensors', 'bytes', bytes, instanceOf(Uint8Array));
  const { header, start } = readHeader(bytes);
  const metadata = readMetadata(header.__metadata__);
  const entries = Object.entries(header)
    .filter(([name]) => name !== '__metadata__')
    .map(([name, entry]) => readEntry(name, entry, bytes.length - start));
  checkCoverage(entries, bytes.length - start);
  if (Object.hasOwn(metadata, CHECKSUM)) verifyChecksum(bytes, metadata[CHECKSUM]);
  const tensors: [string, HostTensor][] = entries.map(({ name, encoding, shape, from, to }) => [
    name,
    { shape, data: encoding.decode(copyOf(bytes.subarray(start + from, start + to)), name) },
  ]);
  return { tensors: Object.fromEntries(tensors), metadata };
}

interface Entry {
  name: string;
  encoding: Encoding;
  shape: number[];
  from: number;
  to: number;
}

function readHeader(bytes: Uint8Array): { header: Record<string, unknown>; start: number } {
  if (bytes.length < 8)
    throw new FormatError(
      `safetensors: the file has ${bytes.length} bytes, expected at least 8; it is truncated or not a safetensors file`,
    );
  const length = view(bytes).getBigUint64(0, true);
  if (length > MAX_HEADER)
    throw new FormatError(
      `safetensors: the header claims ${length} bytes, more than the ${MAX_HEADER} allowed; this is not a safetensors file`,
    );
  if (length > bytes.length - 8)
    throw new FormatError(
      `safetensors: the header claims ${length} bytes, the file has ${bytes.length - 8} after its length; it is truncated`,
    );
  const start = 8 + Number(length);
  let header: unknown;
  try {
    header = parseJson(new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(8, start)));
  } catch (error) {
    throw new FormatError(`safetensors: the header is not JSON (${(error as Error).message})`, { cause: error });
  }
  if (!isRecord(header)) throw new FormatError('safetensors: the header is not a JSON object');
  return { header, start };
}

function readMetadata(value: unknown): Record<string, string> {
  if (value === undefined || value === null) return {};
  if (!isRecord(value) || Object.values(value).some((text) => typeof text !== 'string'))
    throw new FormatError('safetensors: __metadata__ is not an object of strings');
  return value as Record<string, string>;
}

function readEntry(name: string, value: unknown, available: number): Entry {
  const fail = (what: string) => new FormatError(`safetensors: tensor ${JSON.stringify(name)}: ${what}`);
  if (!isRecord(value)) throw fail('its entry is not an object');
  const { dtype, shape, data_offsets: offsets } = value;
  const encoding = typeof dtype === 'string' && Object.hasOwn(ENCODINGS, dtype) ? ENCODINGS[dtype] : undefined;
  if (!encoding) throw fail(`type ${JSON.stringify(dtype)} is not supported, expected one of ${Object.keys(ENCODINGS).join(', ')}`);
  if (!isCounts(shape)) throw fail(`shape ${JSON.stringify(shape)} is not a list of non-negative integers`);
  if (!isCounts(offsets) || offsets.length !== 2) throw fail(`data_offsets ${JSON.stringify(offsets)} are not two non-negative integers`);
  const [from, to] = offsets;
  if (from > to || to > available)
    throw fail(`bytes ${from} to ${to} are outside the ${available} bytes of data; the file is truncated or damaged`);
  const expected = shape.reduce((product, extent) => product * extent, encoding.bytes);
  if (to - from !== expected) throw fail(`it has ${to - from} bytes, expected ${expected} for ${dtype} elements of shape [${shape}]`);
  return { name, encoding, shape, from, to };
}

/** Throws unless the tensors cover the data without gaps and overlaps, as the format requires. */
function checkCoverage(entries: readonly Entry[], available: number): void {
  let end = 0;
  for (const { name, from, to } of [...entries].sort((a, b) => a.from - b.from || a.to - b.to)) {
    if (from < end)
      throw new FormatError(
        `safetensors: tensor ${JSON.stringify(name)} starts at byte ${from}, inside the previous tensor, which ends at byte ${end}`,
      );
    if (from > end) throw new FormatError(`safetensors: bytes ${end} to ${from} before tensor ${JSON.stringify(name)} belong to no tensor`);
    end = to;
  }
  if (end !== available) throw new FormatError(`safetensors: the tensors end at byte ${end}, the data at ${available}`);
}

/** Copies bytes. `slice()` does not always copy: that of a Node `Buffer` shares its memory. */
function copyOf(bytes: Uint8Array): Uint8Array {
  const copy = new Uint8Array(bytes.length);
  copy.set(bytes);
  return copy;
}

function onHost(name: string, value: Tensor | HostTensor): HostTensor {
  if (!(value instanceof Tensor)) return value;
  if (!value.buffer.onHost() && !value.backend.capabilities.syncRead)
    throw new BackendError(
      `saveSafetensors: ${name} is on the ${value.backend.name} backend, which only reads asynchronously; pass await module.stateDictData()`,
    );
  return { shape: value.shape, data: value.dataSync() };
}

function typeName(data: TypedArray): string {
  if (data instanceof Float32Array) return NAMES.float32;
  if (data instanceof Float64Array) return NAMES.float64;
  if (data instanceof Int32Array) return NAMES.int32;
  if (data instanceof Uint8Array) return NAMES.uint8;
  throw new FormatError(`safetensors: got ${Object.prototype.toString.call(data).slice(8, -1)}, expected float32, float64, int32 or uint8`);
}

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);

const isCounts = (value: unknown): value is number[] => Array.isArray(value) && value.every((n) => Number.isSafeInteger(n) && n >= 0);

function int32(value: bigint, name: string): number {
  const small = Number(BigInt.asIntN(32, value));
  if (BigInt(small) !== value)
    throw new FormatError(`safetensors: tensor ${JSON.stringify(name)} has the value ${value}, which does not fit into int32`);
  return small;
}
