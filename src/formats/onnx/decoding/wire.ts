/**
 * Decodes and encodes protocol buffer messages described by tables of fields, with the wire format reader and writer of protobuf-es.
 *
 * Decoding does not copy bytes: `bytes` fields and packed numbers of fixed width are views of the file, so that the weights of a model
 * are in memory only once. The reader checks all lengths before memory is allocated.
 */
import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { OnnxError } from '../errors.js';

type Scalar = 'int' | 'float' | 'string' | 'bytes';
/** `fixed32` and `fixed64` are the raw little-endian bytes of packed numbers; `ints` is a list of variable-length integers. */
type FieldKind = Scalar | 'ints' | 'fixed32' | 'fixed64' | 'strings' | 'bytesList' | Message | readonly [Message];

export interface Field {
  key: string;
  kind: FieldKind;
}

/** A message type: its fields by number. Other fields are skipped. */
export interface Message {
  name: string;
  fields: Readonly<Record<number, Field>>;
}

const isRepeated = (kind: FieldKind): kind is readonly [Message] => Array.isArray(kind);
const isMessage = (kind: FieldKind): kind is Message => typeof kind === 'object' && !isRepeated(kind);

/** Maximum nesting depth of messages. A graph in an attribute of a node is three levels deeper than the graph of the node. */
const MAX_DEPTH = 64;

/** Value of a missing list field. It is shared, so that a file with many empty messages needs little memory. */
const EMPTY: readonly never[] = Object.freeze([]);
const NO_BYTES = new Uint8Array(0);

/**
 * Decodes a message to an object with the fields that are present. Repeated fields are always arrays, packed numbers of fixed width
 * always bytes. Do not modify the lists.
 */
export function decodeMessage(message: Message, bytes: Uint8Array): Record<string, unknown> {
  try {
    return decode(message, bytes, 0);
  } catch (error) {
    if (error instanceof OnnxError) throw error;
    throw new OnnxError(
      `onnx: these bytes are not a ${message.name}: ${(error as Error).message}; the file is truncated, damaged or of another format`,
      {
        cause: error,
      },
    );
  }
}

const blanks = new WeakMap<Message, Readonly<Record<string, unknown>>>();

/** Returns the decoded form of an empty message, which `decode` copies and fills in. */
function blankOf(message: Message): Readonly<Record<string, unknown>> {
  const known = blanks.get(message);
  if (known) return known;
  const result: Record<string, unknown> = {};
  for (const { key, kind } of Object.values(message.fields)) {
    if (isRepeated(kind) || kind === 'ints' || kind === 'strings' || kind === 'bytesList') result[key] = EMPTY;
    if (kind === 'fixed32' || kind === 'fixed64') result[key] = NO_BYTES;
  }
  blanks.set(message, result);
  return result;
}

/** Returns the list of a repeated field, which is created with its first element. */
function listOf<T>(result: Record<string, unknown>, key: string): T[] {
  if (result[key] === EMPTY) result[key] = [];
  return result[key] as T[];
}

function decode(message: Message, bytes: Uint8Array, depth: number): Record<string, unknown> {
  if (depth > MAX_DEPTH) throw new Error(`messages are nested more than ${MAX_DEPTH} deep`);
  const result = { ...blankOf(message) };
  if (bytes.length === 0) return result;
  const chunks = new Map<string, Uint8Array[]>();
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [number, wire] = reader.tag();
    if (wire === WireType.EndGroup) throw new Error('unexpected end of a group');
    const field = Object.hasOwn(message.fields, number) ? message.fields[number] : undefined;
    if (!field) {
      reader.skip(wire, number);
      continue;
    }
    const { key, kind } = field;
    const expect = (...allowed: WireType[]) => {
      if (!allowed.includes(wire)) throw new Error(`field ${key} has wire type ${wire}`);
    };
    if (isMessage(kind)) {
      expect(WireType.LengthDelimited);
      result[key] = decode(kind, reader.bytes(), depth + 1);
    } else if (isRepeated(kind)) {
      expect(WireType.LengthDelimited);
      listOf(result, key).push(decode(kind[0], reader.bytes(), depth + 1));
    } else if (kind === 'int') {
      expect(WireType.Varint);
      result[key] = Number(reader.int64());
    } else if (kind === 'float') {
      expect(WireType.Bit32);
      result[key] = reader.float();
    } else if (kind === 'string' || kind === 'bytes') {
      expect(WireType.LengthDelimited);
      result[key] = kind === 'string' ? reader.string() : reader.bytes();
    } else if (kind === 'strings' || kind === 'bytesList') {
      expect(WireType.LengthDelimited);
      listOf(result, key).push(kind === 'strings' ? reader.string() : reader.bytes());
    } else if (kind === 'ints') {
      expect(WireType.Varint, WireType.LengthDelimited);
      const into = listOf<number>(result, key);
      if (wire === WireType.Varint) into.push(Number(reader.int64()));
      else for (const packed = new BinaryReader(reader.bytes()); packed.pos < packed.len; ) into.push(Number(packed.int64()));
    } else {
      const [single, width] = kind === 'fixed32' ? [WireType.Bit32, 4] : [WireType.Bit64, 8];
      expect(single, WireType.LengthDelimited);
      const parts = chunks.get(key) ?? [];
      chunks.set(key, parts);
      if (wire === WireType.LengthDelimited) parts.push(reader.bytes());
      else {
        const from = reader.pos;
        reader.skip(wire, number);
        parts.push(bytes.subarray(from, from + width));
      }
    }
  }
  for (const [key, parts] of chunks) result[key] = joined(parts);
  return result;
}

/** Concatenates parts; a single part is returned without a copy. */
function joined(parts: readonly Uint8Array[]): Uint8Array {
  if (parts.length === 1) return parts[0];
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** Encodes a message; undefined fields and empty lists are omitted. */
export function encodeMessage(message: Message, value: object): Uint8Array {
  const writer = new BinaryWriter();
  encode(message, value as Record<string, unknown>, writer);
  return writer.finish();
}

function encode(message: Message, value: Record<string, unknown>, writer: BinaryWriter): void {
  for (const [text, { key, kind }] of Object.entries(message.fields)) {
    const number = Number(text);
    const given = value[key];
    if (given === undefined) continue;
    if (isMessage(kind) || isRepeated(kind)) {
      const [inner, list] = isRepeated(kind) ? [kind[0], given as Record<string, unknown>[]] : [kind, [given as Record<string, unknown>]];
      for (const item of list) {
        writer.tag(number, WireType.LengthDelimited).fork();
        encode(inner, item, writer);
        writer.join();
      }
    } else if (kind === 'int') writer.tag(number, WireType.Varint).int64(given as number);
    else if (kind === 'float') writer.tag(number, WireType.Bit32).float(given as number);
    else if (kind === 'string') writer.tag(number, WireType.LengthDelimited).string(given as string);
    else if (kind === 'strings') for (const item of given as string[]) writer.tag(number, WireType.LengthDelimited).string(item);
    else if (kind === 'bytesList') for (const item of given as Uint8Array[]) writer.tag(number, WireType.LengthDelimited).bytes(item);
    else if (kind === 'ints') {
      if ((given as number[]).length === 0) continue;
      writer.tag(number, WireType.LengthDelimited).fork();
      for (const item of given as number[]) writer.int64(item);
      writer.join();
    } else if ((given as Uint8Array).length > 0) writer.tag(number, WireType.LengthDelimited).bytes(given as Uint8Array);
    else if (kind === 'bytes') writer.tag(number, WireType.LengthDelimited).bytes(given as Uint8Array);
  }
}
