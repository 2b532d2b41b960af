/** Mutations of bytes: the kinds of damage that files meet, and the edits by which a file lies about its lengths. */
import type { Random } from './random.js';

/** Changes bytes and says how. `others` are further valid inputs, to splice with. */
type Mutator = (bytes: Uint8Array, random: Random, others: readonly Uint8Array[]) => Uint8Array;

/** Numbers at which lengths and counts go wrong. */
export const EDGES = [0, 1, 2, 127, 128, 255, 256, 65535, 65536, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 53, -1, -2] as const;

export const concat = (...parts: readonly Uint8Array[]): Uint8Array => Uint8Array.from(Buffer.concat(parts));

/** A range of at least one byte, as a rule a short one. */
function range(bytes: Uint8Array, random: Random): [start: number, end: number] {
  const start = random.below(bytes.length);
  const longest = random.chance(0.7) ? 64 : bytes.length;
  return [start, Math.min(bytes.length, start + 1 + random.below(longest))];
}

export const noise = (length: number, random: Random): Uint8Array => Uint8Array.from({ length }, () => random.bits() & 0xff);

const prefix: Mutator = (bytes, random) => bytes.slice(0, random.below(bytes.length));

const flip: Mutator = (bytes, random) => {
  const copy = bytes.slice();
  const flips = random.chance(0.6) ? 1 : 1 + random.below(16);
  for (let i = 0; i < flips && copy.length > 0; i++) copy[random.below(copy.length)] ^= 1 << random.below(8);
  return copy;
};

const setBytes: Mutator = (bytes, random) => {
  const copy = bytes.slice();
  const [start, end] = range(copy, random);
  copy.fill(random.pick([0, 0xff, 0x7f, 0x80, 0x20, random.below(256)]), start, random.chance(0.5) ? start + 1 : end);
  return copy;
};

/** Overwrites a random position with a limiting value of any width and byte order, or adds a small number to the value there. */
const lengthField: Mutator = (bytes, random) => {
  const width = random.pick([1, 2, 4, 8]);
  if (bytes.length < width) return bytes.slice();
  const copy = bytes.slice();
  const view = new DataView(copy.buffer);
  // Most formats have lengths at the beginning, some at the end.
  const places = bytes.length - width + 1;
  const at = random.pick([random.below(Math.min(64, places)), random.below(places), places - 1 - random.below(Math.min(64, places))]);
  const little = random.chance(0.6);
  const old =
    width === 8
      ? view.getBigUint64(at, little)
      : BigInt(width === 1 ? copy[at] : width === 2 ? view.getUint16(at, little) : view.getUint32(at, little));
  const value = random.chance(0.3) ? old + BigInt(random.below(5) - 2) : BigInt(random.pick(EDGES));
  if (width === 8) view.setBigUint64(at, BigInt.asUintN(64, value), little);
  else if (width === 4) view.setUint32(at, Number(BigInt.asUintN(32, value)), little);
  else if (width === 2) view.setUint16(at, Number(BigInt.asUintN(16, value)), little);
  else copy[at] = Number(BigInt.asUintN(8, value));
  return copy;
};

/** Puts a variable-length number, as protocol buffers and Thrift write them, in the place of a byte. */
const varint: Mutator = (bytes, random) => {
  const at = random.below(bytes.length);
  let value = BigInt.asUintN(64, BigInt(random.pick(EDGES)));
  const coded: number[] = [];
  for (; value >= 0x80n; value >>= 7n) coded.push(Number(value & 0x7fn) | 0x80);
  coded.push(Number(value));
  return concat(bytes.subarray(0, at), Uint8Array.from(coded), bytes.subarray(at + (random.chance(0.7) ? 1 : 0)));
};

const splice: Mutator = (bytes, random, others) => {
  const other = random.pick(others) ?? bytes;
  const cut = random.below(bytes.length + 1);
  const from = random.chance(0.5) ? Math.min(cut, other.length) : random.below(other.length + 1);
  return concat(bytes.subarray(0, cut), other.subarray(from));
};

const duplicate: Mutator = (bytes, random) => {
  const [start, end] = range(bytes, random);
  const times = random.chance(0.8) ? 1 : 1 + random.below(200);
  const chunk = bytes.subarray(start, end);
  const chunks = Array.from({ length: chunk.length * times > 200_000 ? 1 : times }, () => chunk);
  return concat(bytes.subarray(0, end), ...chunks, bytes.subarray(end));
};

const remove: Mutator = (bytes, random) => {
  const [start, end] = range(bytes, random);
  return concat(bytes.subarray(0, start), bytes.subarray(end));
};

const swap: Mutator = (bytes, random) => {
  const [start, end] = range(bytes, random);
  const middle = start + random.below(end - start);
  return concat(bytes.subarray(0, start), bytes.subarray(middle, end), bytes.subarray(start, middle), bytes.subarray(end));
};

const junk: Mutator = (bytes, random) => {
  const added = noise(1 + random.below(random.chance(0.8) ? 16 : 2000), random);
  if (random.chance(0.5)) return concat(bytes, added);
  const at = random.below(bytes.length + 1);
  return concat(bytes.subarray(0, at), added, bytes.subarray(at));
};

/** Replaces one number that is written in digits. */
const digits: Mutator = (bytes, random) => {
  const text = Buffer.from(bytes).toString('latin1');
  const found = [...text.slice(0, 20_000).matchAll(/\d+/g)];
  if (found.length === 0) return flip(bytes, random, []);
  const { index, 0: old } = random.pick(found);
  const value = random.pick([...EDGES, 1e21, 1.5, 1e-7]);
  return Uint8Array.from(Buffer.from(text.slice(0, index) + String(value) + text.slice(index + old.length), 'latin1'));
};

const MUTATORS: readonly [Mutator, weight: number][] = [
  [prefix, 3],
  [flip, 5],
  [setBytes, 3],
  [lengthField, 5],
  [varint, 2],
  [splice, 2],
  [duplicate, 2],
  [remove, 2],
  [swap, 1],
  [junk, 2],
  [digits, 1],
];
const WEIGHTED = MUTATORS.flatMap(([mutator, weight]) => Array.from({ length: weight }, () => mutator));

/** One mutation, or, in one case of five, two or three on top of each other. */
export function mutateBytes(bytes: Uint8Array, random: Random, others: readonly Uint8Array[]): Uint8Array {
  const times = random.chance(0.8) ? 1 : 2 + random.below(2);
  let mutated = bytes;
  for (let i = 0; i < times; i++) {
    const mutator = random.pick(WEIGHTED);
    mutated = mutated.length === 0 ? noise(random.below(64), random) : mutator(mutated, random, others);
  }
  return mutated;
}
