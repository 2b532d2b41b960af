/** Safetensors: written files are read back, types of other writers are read, and malformed files are refused. */
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { createReferenceBackend } from '../../src/backend/reference/index.js';
import { FormatError, type HostTensor, loadSafetensors, readSafetensors, saveSafetensors } from '../../src/formats/safetensors.js';
import { setDefaultBackend, tensor } from '../../src/tensor/index.js';

beforeAll(() => setDefaultBackend(createReferenceBackend()));

/** A file put together by hand, as another writer would. */
function file(header: unknown, data: Uint8Array = new Uint8Array(), claimed?: bigint): Uint8Array {
  const text = new TextEncoder().encode(typeof header === 'string' ? header : JSON.stringify(header));
  const bytes = new Uint8Array(8 + text.length + data.length);
  new DataView(bytes.buffer).setBigUint64(0, claimed ?? BigInt(text.length), true);
  bytes.set(text, 8);
  bytes.set(data, 8 + text.length);
  return bytes;
}

const bytesOf = (data: ArrayBufferView): Uint8Array => new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

describe('saveSafetensors and loadSafetensors', () => {
  it('preserve names, shapes, types, values and metadata', async () => {
    const saved = saveSafetensors(
      {
        'conv1.weight': tensor([1.5, -2, 3, 4, 5, 6], [2, 3]),
        bytes: { shape: [3], data: Uint8Array.of(1, 2, 255) },
        doubles: { shape: [2], data: Float64Array.of(Math.PI, -1e300) },
        whole: { shape: [], data: Int32Array.of(-7) },
        nothing: { shape: [0, 4], data: new Float32Array() },
      },
      { epoch: '3', größe: 'ä' },
    );
    const { tensors, metadata } = readSafetensors(saved);
    expect(metadata).toEqual({ epoch: '3', größe: 'ä' });
    expect(tensors['conv1.weight']).toEqual({ shape: [2, 3], data: Float32Array.of(1.5, -2, 3, 4, 5, 6) });
    expect(tensors.bytes).toEqual({ shape: [3], data: Uint8Array.of(1, 2, 255) });
    expect(tensors.doubles).toEqual({ shape: [2], data: Float64Array.of(Math.PI, -1e300) });
    expect(tensors.whole).toEqual({ shape: [], data: Int32Array.of(-7) });
    expect(tensors.nothing.shape).toEqual([0, 4]);

    const loaded = loadSafetensors(saved);
    expect(loaded['conv1.weight'].shape).toEqual([2, 3]);
    expect(await loaded['conv1.weight'].data()).toEqual(Float32Array.of(1.5, -2, 3, 4, 5, 6));
  });

  it('preserve any tensors', () => {
    const entry: fc.Arbitrary<HostTensor> = fc
      .tuple(fc.array(fc.nat(4), { maxLength: 4 }), fc.constantFrom(Float32Array, Float64Array, Int32Array, Uint8Array), fc.nat())
      .map(([shape, Type, seed]) => {
        const size = shape.reduce((product, extent) => product * extent, 1);
        return { shape, data: new Type(Array.from({ length: size }, (_, i) => (seed + 31 * i) % 251)) };
      });
    fc.assert(
      fc.property(fc.dictionary(fc.string(), entry), fc.dictionary(fc.string(), fc.string()), (tensors, metadata) => {
        fc.pre(!('__metadata__' in tensors));
        const { tensors: back, metadata: strings } = readSafetensors(saveSafetensors(tensors, metadata));
        expect(new Map(Object.entries(back))).toEqual(new Map(Object.entries(tensors)));
        expect(new Map(Object.entries(strings))).toEqual(new Map(Object.entries(metadata)));
      }),
    );
  });

  it('follow the layout of the format: an eight-byte length, JSON, and aligned data', () => {
    const saved = saveSafetensors({ small: { shape: [1], data: Uint8Array.of(9) }, large: { shape: [1], data: Float64Array.of(0.5) } });
    const length = Number(new DataView(saved.buffer).getBigUint64(0, true));
    const header = JSON.parse(new TextDecoder().decode(saved.subarray(8, 8 + length)));
    expect(length % 8).toBe(0);
    expect(header).toEqual({
      large: { dtype: 'F64', shape: [1], data_offsets: [0, 8] },
      small: { dtype: 'U8', shape: [1], data_offsets: [8, 9] },
    });
    expect(saved.length).toBe(8 + length + 9);
    expect(saved.at(-1)).toBe(9);
  });

  it('read a Node Buffer with an unaligned offset', () => {
    const saved = saveSafetensors({ x: { shape: [2], data: Float32Array.of(1, 2) } });
    const pool = Buffer.alloc(saved.length + 3);
    pool.set(saved, 3);
    const { tensors } = readSafetensors(pool.subarray(3));
    pool.fill(0);
    expect(tensors.x.data).toEqual(Float32Array.of(1, 2));
  });

  it('convert types without a counterpart', () => {
    const halves = Uint16Array.of(0x3c00, 0xc000, 0x7bff, 0x0001, 0x7c00, 0x7e00, 0x8000);
    const read = (dtype: string, data: ArrayBufferView, count: number) =>
      readSafetensors(file({ x: { dtype, shape: [count], data_offsets: [0, data.byteLength] } }, bytesOf(data))).tensors.x.data;
    expect([...read('F16', halves, 7)]).toEqual([1, -2, 65504, 2 ** -24, Number.POSITIVE_INFINITY, Number.NaN, -0]);
    expect([...read('BF16', Uint16Array.of(0x3f80, 0xc2f7), 2)]).toEqual([1, -123.5]);
    expect(read('I64', BigInt64Array.of(5n, -2147483648n), 2)).toEqual(Int32Array.of(5, -2147483648));
    expect(read('I8', Int8Array.of(-128, 127), 2)).toEqual(Int32Array.of(-128, 127));
    expect(read('U16', Uint16Array.of(65535), 1)).toEqual(Int32Array.of(65535));
    expect(() => read('I64', BigInt64Array.of(2n ** 31n), 1)).toThrow(/does not fit into int32/);
  });

  it('refuse to write data that do not fill their shape, and the reserved name', () => {
    expect(() => saveSafetensors({ x: { shape: [3], data: new Float32Array(2) } })).toThrow(FormatError);
    expect(() => saveSafetensors({ __metadata__: { shape: [1], data: new Float32Array(1) } })).toThrow(FormatError);
  });
});

describe('a malformed file is a FormatError', () => {
  const four = new Uint8Array(16);
  const f32 = (shape: unknown, offsets: unknown, dtype: unknown = 'F32') => ({ x: { dtype, shape, data_offsets: offsets } });
  const cases: [string, Uint8Array, RegExp][] = [
    ['nothing at all', new Uint8Array(), /0 bytes/],
    ['a length alone, cut off', new Uint8Array(7), /7 bytes/],
    ['a header cut off', file(f32([4], [0, 16])).subarray(0, 20), /truncated/],
    ['a length beyond any file', file('{}', undefined, 2n ** 63n), /claims 9223372036854775808 bytes/],
    ['a length just beyond the file', file('{}', undefined, 3n), /truncated/],
    ['no JSON', file('{"x":'), /not JSON/],
    ['bytes that are no UTF-8', file('xx').fill(0xff, 8), /not JSON/],
    ['an array', file('[]'), /not a JSON object/],
    ['metadata with numbers', file({ __metadata__: { epoch: 1 } }), /object of strings/],
    ['an entry that is no object', file({ x: 3 }), /not an object/],
    ['an unknown type', file(f32([4], [0, 16], 'F4'), four), /"F4"/],
    ['a type from the prototype', file(f32([4], [0, 16], 'constructor'), four), /"constructor"/],
    ['a negative extent', file(f32([-4], [0, 16]), four), /non-negative integers/],
    ['a broken extent', file(f32([1.5], [0, 6]), four), /non-negative integers/],
    ['a huge extent', file(f32([2 ** 52, 2 ** 52], [0, 16]), four), /it has 16 bytes, expected/],
    ['three offsets', file(f32([4], [0, 8, 16]), four), /two non-negative integers/],
    ['offsets the wrong way round', file(f32([4], [16, 0]), four), /outside/],
    ['offsets beyond the data', file(f32([4], [0, 16]), four.subarray(0, 12)), /truncated or damaged/],
    ['offsets that do not fit the shape', file(f32([3], [0, 16]), four), /expected 12/],
    [
      'tensors that overlap',
      file({ a: { dtype: 'F32', shape: [3], data_offsets: [0, 12] }, b: { dtype: 'F32', shape: [2], data_offsets: [8, 16] } }, four),
      /inside the previous tensor/,
    ],
    ['a hole between tensors', file({ a: { dtype: 'F32', shape: [1], data_offsets: [4, 8] } }, four.subarray(0, 8)), /belong to no tensor/],
    ['one name twice', file(`{"x":{"dtype":"F32","shape":[4],"data_offsets":[0,16]},"\\u0078":{}}`, four), /the key 'x' occurs twice/],
    ['one dtype twice', file(`{"x":{"dtype":"F32","dtype":"I32","shape":[4],"data_offsets":[0,16]}}`, four), /'dtype' occurs twice/],
    ['one metadata key twice', file(`{"__metadata__":{"a":"1","a":"2"}}`), /'a' occurs twice/],
    ['data that belongs to no tensor', file(f32([3], [0, 12]), four), /end at byte 12/],
  ];
  it.each(cases)('%s', (_, bytes, message) => {
    expect(() => readSafetensors(bytes)).toThrow(FormatError);
    expect(() => readSafetensors(bytes)).toThrow(message);
  });

  it('for any flipped bytes and any truncation', () => {
    const good = saveSafetensors(
      { a: { shape: [2, 2], data: Float32Array.of(1, 2, 3, 4) }, b: { shape: [3], data: Uint8Array.of(1, 2, 3) } },
      { k: 'v' },
    );
    fc.assert(
      fc.property(fc.nat(good.length - 1), fc.integer({ min: 0, max: 255 }), fc.nat(good.length), (at, value, length) => {
        const bad = good.slice(0, length);
        if (at < length) bad[at] = value;
        try {
          readSafetensors(bad);
        } catch (error) {
          expect(error).toBeInstanceOf(FormatError);
        }
      }),
      { numRuns: 500 },
    );
  });
});
