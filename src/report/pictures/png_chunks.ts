/** Checks the chunks of a PNG file (https://www.w3.org/TR/png-3/) before a decoder sees them. */
import { Unzlib } from 'fflate';
import { FormatError } from '../../formats/errors.js';

const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
/** Number of bytes of a chunk besides its data: length, type and checksum. */
const CHUNK_FRAME = 12;
const HEADER_LENGTH = 13;
/** Pictures with more pixels than this are refused. */
const MAX_PIXELS = 100_000_000;
/** Largest ratio of inflated to compressed bytes in Deflate. */
const MAX_INFLATION = 1032;
/** Number of compressed bytes that are inflated between two checks of the count: at most 16 MiB of pixels. */
const SLICE = 16 * 1024;

/** Number of channels of the supported colour types. */
const CHANNELS: Readonly<Record<number, 1 | 3>> = { 0: 1, 2: 3 };
/** Descriptions of the other colour types, for messages. */
const OTHER_TYPES: Readonly<Record<number, string>> = { 3: 'a palette', 4: '2 channels', 6: '4 channels' };

interface Chunk {
  readonly type: string;
  readonly data: Uint8Array;
  /** The chunk with its length, type and checksum. */
  readonly whole: Uint8Array;
}

interface Header {
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 3;
  readonly interlaced: boolean;
}

export interface CheckedPng extends Header {
  /** The file reduced to the chunks of the pixels: IHDR, IDAT and IEND. */
  readonly plain: Uint8Array;
}

const fail = (found: string): FormatError => new FormatError(`decodePng: ${found}`);
const damaged = (found: string): FormatError => fail(`${found}; the file is truncated or damaged, write or fetch it again`);

/**
 * Checks that a file is a complete 8-bit PNG, grey or in colour, whose pixels inflate to the size that its header states.
 *
 * @throws FormatError that says what was found
 */
export function checkPng(bytes: Uint8Array): CheckedPng {
  if (SIGNATURE.some((byte, i) => bytes[i] !== byte))
    throw fail(`the ${bytes.length} bytes do not begin as a PNG file does, expected the bytes of a PNG file`);
  const chunks = [...chunksOf(bytes)];
  const [first] = chunks;
  if (first?.type !== 'IHDR' || chunks.filter(({ type }) => type === 'IHDR').length > 1)
    throw damaged('the file does not begin with its one IHDR chunk');
  const header = readHeader(first.data);
  const pixels = chunks.filter(({ type }) => type === 'IDAT');
  checkInflated(
    pixels.map(({ data }) => data),
    bytesOf(header),
  );
  const kept = [first, ...pixels, chunks[chunks.length - 1]].map(({ whole }) => whole);
  return { ...header, plain: joined([bytes.subarray(0, SIGNATURE.length), ...kept]) };
}

/** Yields the chunks up to IEND. Bytes after it are ignored, as other readers do. */
function* chunksOf(bytes: Uint8Array): Generator<Chunk> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = SIGNATURE.length; ; ) {
    const left = bytes.length - at - CHUNK_FRAME;
    if (left < 0) throw damaged(`the file ends at byte ${bytes.length} without an IEND chunk`);
    const length = view.getUint32(at);
    const type = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    if (length > left) throw damaged(`the chunk at byte ${at} claims ${length} bytes, ${left} are left`);
    const whole = bytes.subarray(at, at + CHUNK_FRAME + length);
    yield { type, data: whole.subarray(8, 8 + length), whole };
    if (type === 'IEND') return;
    at += whole.length;
  }
}

function readHeader(data: Uint8Array): Header {
  if (data.length !== HEADER_LENGTH) throw damaged(`its IHDR chunk has ${data.length} bytes, expected ${HEADER_LENGTH}`);
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const [width, height] = [view.getUint32(0), view.getUint32(4)];
  const [depth, colour, compression, filter, interlace] = data.subarray(8);
  if (width === 0 || height === 0) throw damaged(`the picture is ${width}×${height} pixels, expected at least 1×1`);
  if (width * height > MAX_PIXELS)
    throw fail(`the picture is ${width}×${height} pixels, expected at most ${MAX_PIXELS} pixels; reduce it first`);
  const channels = CHANNELS[colour];
  if (channels === undefined)
    throw fail(`the picture has ${OTHER_TYPES[colour] ?? `colour type ${colour}`}, expected 1 or 3 channels; convert it to RGB or grey`);
  if (depth !== 8) throw fail(`the picture has ${depth} bits per channel, expected 8; convert it to 8 bits`);
  if (compression !== 0 || filter !== 0 || interlace > 1)
    throw damaged(`its IHDR chunk has compression ${compression}, filter ${filter} and interlace ${interlace}, which no PNG file has`);
  return { width, height, channels, interlaced: interlace === 1 };
}

/** The seven passes of Adam7: first column and row, and the steps between columns and rows. */
const PASSES = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
] as const;

/** Returns the number of bytes of the inflated pixels: one filter byte per row, then the row. */
function bytesOf({ width, height, channels, interlaced }: Header): number {
  const size = (columns: number, rows: number) => (columns > 0 && rows > 0 ? rows * (1 + columns * channels) : 0);
  if (!interlaced) return size(width, height);
  return PASSES.reduce((sum, [x, y, dx, dy]) => sum + size(Math.ceil((width - x) / dx), Math.ceil((height - y) / dy)), 0);
}

/** Inflates the pixels piece by piece without keeping them, and throws unless they are `expected` bytes. */
function checkInflated(parts: readonly Uint8Array[], expected: number): void {
  const compressed = parts.reduce((sum, part) => sum + part.length, 0);
  if (expected > compressed * MAX_INFLATION)
    throw damaged(`its header states ${expected} bytes of pixels, more than its ${compressed} compressed bytes can inflate to`);
  let count = 0;
  const inflator = new Unzlib((piece) => {
    count += piece.length;
  });
  try {
    for (const part of parts) {
      for (let at = 0; at < part.length && count <= expected; at += SLICE) inflator.push(part.subarray(at, at + SLICE));
    }
    if (count <= expected) inflator.push(new Uint8Array(0), true);
  } catch (error) {
    throw new FormatError(`decodePng: its pixels cannot be inflated: ${(error as Error).message}; the file is truncated or damaged`, {
      cause: error,
    });
  }
  if (count !== expected)
    throw damaged(`its pixels inflate to ${count > expected ? 'more than' : `${count} bytes, expected`} ${expected} bytes`);
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
