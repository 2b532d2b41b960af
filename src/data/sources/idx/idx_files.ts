/** Finds and reads the files of an idx folder: with the names of MNIST, EMNIST or Kaggle's archives, optionally gzipped. */
import type { Gunzip } from 'node:zlib';
import { neededNodeModule } from '../../../backend/node_module.js';
import { DataError, reasonOf } from '../../errors.js';
import { readRange, readWhole, sizeOfFile } from '../../files/file_bytes.js';

/** Type code of unsigned bytes in an idx header (http://yann.lecun.com/exdb/mnist/): two zero bytes, the type, the number of axes. */
const UNSIGNED_BYTE = 0x08;

export interface IdxArray {
  readonly file: string;
  readonly shape: readonly number[];
  readonly data: Uint8Array;
}

export type IdxPart = 'train' | 't10k';

/** Matches names such as `train-images-idx3-ubyte` and `emnist-letters-test-labels-idx1-ubyte.gz`. */
const NAME = /^(.*?)(train|t10k|test)-(images|labels)[-.]idx\d-ubyte(\.gz)?$/;

export interface IdxFiles {
  /** Prefix of the names before `train` and `t10k`, such as `emnist-letters-`. */
  readonly prefix: string;
  /** Returns the path of a file, or undefined if it does not exist. */
  find(part: IdxPart, kind: 'images' | 'labels'): string | undefined;
}

/**
 * Finds the idx files in a folder. The source `DIR/PREFIX` selects the files of DIR that start with PREFIX.
 *
 * @throws DataError if the folder contains the files of several data sets
 */
export async function findIdxFiles(source: string): Promise<IdxFiles> {
  const { basename, dirname, join } = await neededNodeModule('node:path');
  let folder = source;
  let names = await filesIn(folder);
  let wanted: string | undefined;
  if (names === undefined) {
    [folder, wanted] = [dirname(source), basename(source)];
    names = await filesIn(folder);
  }
  const found = (names ?? []).flatMap(({ name, file }) => {
    const match = NAME.exec(name);
    return match ? [{ prefix: match[1], part: match[2] === 'train' ? 'train' : 't10k', kind: match[3], zipped: !!match[4], file }] : [];
  });
  const fitting = wanted === undefined ? found : found.filter(({ prefix }) => prefix.replace(/[-_.]$/, '') === wanted);
  const prefixes = [...new Set(fitting.map(({ prefix }) => prefix))].sort();
  // MNIST's names, which have no prefix, take precedence.
  const prefix = prefixes.includes('') ? '' : (prefixes[0] ?? '');
  if (prefix !== '' && prefixes.length > 1)
    throw new DataError(
      `idx:${source}: contains the files of ${prefixes.map((each) => each.replace(/[-_.]$/, '')).join(', ')}; name one of them: idx:${join(folder, prefix.replace(/[-_.]$/, ''))}`,
      source,
    );
  const own = fitting.filter((each) => each.prefix === prefix).sort((a, b) => Number(a.zipped) - Number(b.zipped));
  return { prefix, find: (part, kind) => own.find((each) => each.part === part && each.kind === kind)?.file };
}

/**
 * Lists the files of a folder, and the files in subfolders that are named like an idx file, which some archives unpack to. Returns
 * undefined if there is no such folder.
 */
async function filesIn(folder: string): Promise<{ name: string; file: string }[] | undefined> {
  const { readdir, stat } = await neededNodeModule('node:fs/promises');
  const { join } = await neededNodeModule('node:path');
  const names = await readdir(folder).catch(() => undefined);
  const plain: { name: string; file: string }[] = [];
  const inner: { name: string; file: string }[] = [];
  for (const name of [...(names ?? [])].sort()) {
    const file = join(folder, name);
    const isFolder = await stat(file).then(
      (found) => found.isDirectory(),
      () => false,
    );
    if (!isFolder) plain.push({ name, file });
    else if (NAME.test(name)) for (const each of await readdir(file).catch(() => [])) inner.push({ name: each, file: join(file, each) });
  }
  return names && [...plain, ...inner];
}

/** Limits of decompression: bytes of an array; bytes that are always allowed; and the compression ratio beyond those. */
const MOST_BYTES = 2 ** 30;
const FREE_BYTES = 64 * 2 ** 20;
const MOST_RATIO = 100;
/** Longest header in bytes: four bytes and the sizes of four axes. */
const MOST_HEADER = 20;

/** Reads the array of an idx file. Throws `DataError` for a damaged file. */
export async function readIdx(file: string): Promise<IdxArray> {
  try {
    const length = await sizeOfFile(file);
    const start = await readRange(file, 0, Math.min(MOST_HEADER, length));
    if (start[0] !== 0x1f || start[1] !== 0x8b) {
      const { shape, header, size } = parseHeader(file, start, length);
      checkLength(file, length, header, size, shape);
      return { file, shape, data: (await readWhole(file)).subarray(header) };
    }
    const zipped = await readWhole(file, MOST_BYTES);
    const head = await inflated(file, zipped, MOST_HEADER);
    const { shape, header, size } = parseHeader(file, head, head.length);
    const most = Math.min(MOST_BYTES, Math.max(FREE_BYTES, MOST_RATIO * length));
    if (header + size > most)
      throw new DataError(
        `${file}: its header [${shape}] declares ${header + size} bytes in ${length} bytes of gzip, more than the limit of ${most}`,
        file,
      );
    const bytes = await inflated(file, zipped, header + size + 1);
    checkLength(file, bytes.length, header, size, shape);
    return { file, shape, data: bytes.subarray(header) };
  } catch (error) {
    throw error instanceof DataError ? error : new DataError(`${file}: cannot be read: ${reasonOf(error)}`, file, error);
  }
}

/** Decompresses at most the first `most` bytes of gzipped data. */
async function inflated(file: string, zipped: Uint8Array, most: number): Promise<Uint8Array> {
  const { createGunzip } = await neededNodeModule('node:zlib');
  const { Readable } = await neededNodeModule('node:stream');
  const parts: Uint8Array[] = [];
  let length = 0;
  const unpacking: Gunzip = Readable.from(piecesOf(zipped)).pipe(createGunzip());
  try {
    for await (const part of unpacking as AsyncIterable<Uint8Array>) {
      parts.push(part);
      length += part.length;
      if (length >= most) break;
    }
  } catch (error) {
    throw new DataError(`${file}: cannot be unpacked: ${reasonOf(error)}; it may be truncated, fetch it again`, file, error);
  } finally {
    unpacking.destroy();
  }
  const bytes = new Uint8Array(Math.min(length, most));
  let at = 0;
  for (const part of parts) {
    bytes.set(part.subarray(0, bytes.length - at), at);
    at = Math.min(at + part.length, bytes.length);
  }
  return bytes;
}

const PIECE = 64 * 1024;

function* piecesOf(bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += PIECE) yield bytes.subarray(at, at + PIECE);
}

/** @param length known length of the (decompressed) file in bytes, for error messages */
function parseHeader(file: string, bytes: Uint8Array, length: number): { shape: number[]; header: number; size: number } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 8 || bytes[0] !== 0 || bytes[1] !== 0) {
    const start = [...bytes.subarray(0, 4)].map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
    throw new DataError(`${file}: starts with ${start || 'nothing'}, expected an idx header (00 00 08 and the number of axes)`, file);
  }
  if (bytes[2] !== UNSIGNED_BYTE)
    throw new DataError(`${file}: contains values of type 0x${bytes[2].toString(16)}, expected unsigned bytes (0x08)`, file);
  const axes = bytes[3];
  const header = 4 + 4 * axes;
  if (axes < 1 || axes > 4 || bytes.length < header)
    throw new DataError(`${file}: has ${axes} axes in a file of ${length} bytes, expected 1 to 4 and their sizes`, file);
  const shape = Array.from({ length: axes }, (_, i) => view.getUint32(4 + 4 * i));
  return { shape, header, size: shape.reduce((product, extent) => product * extent, 1) };
}

function checkLength(file: string, length: number, header: number, size: number, shape: readonly number[]): void {
  if (length === header + size) return;
  throw new DataError(
    `${file}: has ${length} bytes, its header [${shape}] requires ${header + size}; it is truncated or damaged, fetch it again`,
    file,
  );
}
