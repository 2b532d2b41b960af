/** Safetensors: valid files of every type, their bytes changed, or their headers rewritten around the same data. */
import { type HostTensor, readSafetensors, saveSafetensors } from '../../../src/formats/safetensors.js';
import { expectThat, type Files, type Format } from '../format.js';
import { concat, mutateBytes } from '../mutate_bytes.js';
import { mutateJson } from '../mutate_json.js';
import type { Random } from '../random.js';

const FILE = 'model.safetensors';

/** A safetensors file from the text of its header. */
export function assemble(header: Uint8Array, data: Uint8Array): Uint8Array {
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, BigInt(header.length), true);
  return concat(length, header, data);
}

/** The header's text and the data of a valid file. */
export function partsOf(bytes: Uint8Array): { header: string; data: Uint8Array } {
  const length = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
  return { header: new TextDecoder().decode(bytes.subarray(8, 8 + length)), data: bytes.subarray(8 + length) };
}

const SIZES: Readonly<Record<string, number>> = { F32: 4, F64: 8, I32: 4, U8: 1, BOOL: 1, F16: 2, BF16: 2, I8: 1, I16: 2, U16: 2, I64: 8 };

/** A file with one tensor of each type, all with small values. */
function everyType(): Uint8Array {
  let at = 0;
  const entries = Object.entries(SIZES).map(([dtype, bytes]) => {
    const range = [at, at + 6 * bytes];
    at = range[1];
    return [`a.${dtype}`, { dtype, shape: [2, 3], data_offsets: range }];
  });
  return assemble(new TextEncoder().encode(JSON.stringify(Object.fromEntries(entries))), new Uint8Array(at).fill(0));
}

function seeds(): Uint8Array[] {
  const numbers = (length: number) => Float32Array.from({ length }, (_, i) => Math.sin(i));
  return [
    saveSafetensors({ weight: { shape: [3, 4], data: numbers(12) }, bias: { shape: [3], data: numbers(3) } }, { note: 'a note' }),
    saveSafetensors({ x: { shape: [2, 0, 3], data: new Float32Array(0) }, y: { shape: [], data: Float64Array.of(1.5) } }),
    saveSafetensors({
      labels: { shape: [5], data: Int32Array.of(1, 2, 3, 4, 5) },
      pixels: { shape: [2, 2], data: Uint8Array.of(1, 2, 3, 4) },
    }),
    saveSafetensors({}),
    everyType(),
  ];
}

export function mutateSafetensors(bytes: Uint8Array, random: Random, others: readonly Uint8Array[]): Uint8Array {
  if (random.chance(0.5)) return mutateBytes(bytes, random, others);
  const { header, data } = partsOf(bytes);
  return assemble(mutateJson(header, random), data);
}

/** The data that were read must fit their shapes, and be the same after writing and reading them again. */
function check(bytes: Uint8Array): void {
  const { tensors, metadata } = readSafetensors(bytes);
  let total = 0;
  for (const [name, { shape, data }] of Object.entries(tensors)) {
    const size = shape.reduce((product, extent) => product * extent, 1);
    expectThat(size === data.length, () => `${name} has shape [${shape}] and ${data.length} numbers`);
    total += data.length;
  }
  expectThat(total <= bytes.length, () => `${total} numbers were read from ${bytes.length} bytes`);
  const again = readSafetensors(saveSafetensors(tensors as Record<string, HostTensor>, metadata)).tensors;
  for (const [name, { data }] of Object.entries(tensors))
    expectThat(
      data.every((value, i) => Object.is(value, again[name]?.data[i])),
      () => `${name} does not come back when it is written and read again`,
    );
}

export const safetensors: Format = {
  async open() {
    const valid = seeds();
    return {
      make: (random): Files => ({ [FILE]: mutateSafetensors(random.pick(valid), random, valid) }),
      attempt: async (files) => check(files[FILE]),
    };
  },
};
