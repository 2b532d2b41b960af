/** Reads regular files, whole or in parts, and samples their contents for fingerprints. */

import type { Stats } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { neededNodeModule } from '../../backend/node_module.js';
import type { Hash } from './hash.js';
import { onDisk } from './paths.js';

/** Names the kind of a file system entry that is not a regular file, for messages: `a folder`, `a named pipe`. */
export function kindOfEntry(entry: Pick<Stats, 'isDirectory' | 'isFIFO' | 'isSocket' | 'isCharacterDevice' | 'isBlockDevice'>): string {
  if (entry.isDirectory()) return 'a folder';
  if (entry.isFIFO()) return 'a named pipe';
  if (entry.isSocket()) return 'a socket';
  return entry.isCharacterDevice() || entry.isBlockDevice() ? 'a device' : 'no regular file';
}

/**
 * Opens a regular file for reading. Throws for other kinds of entries: opening a named pipe would wait for its writer, and reading a
 * device may never end.
 */
async function openRegular(file: string): Promise<{ handle: FileHandle; size: number }> {
  const { open, constants } = await neededNodeModule('node:fs/promises');
  const handle = await open(onDisk(file), constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  try {
    const found = await handle.stat();
    if (!found.isFile()) throw new Error(`it is ${kindOfEntry(found)}, expected a regular file`);
    return { handle, size: found.size };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** Returns the length of a regular file in bytes. */
export async function sizeOfFile(file: string): Promise<number> {
  const { handle, size } = await openRegular(file);
  await handle.close();
  return size;
}

/** Reads a regular file. Throws if it has more than `limit` bytes. */
export async function readWhole(file: string, limit = 2 ** 31 - 1): Promise<Uint8Array<ArrayBuffer>> {
  const { handle, size } = await openRegular(file);
  try {
    if (size > limit) throw new Error(`it has ${size} bytes, expected ${limit} at most`);
    return await readInto(handle, 0, size);
  } finally {
    await handle.close();
  }
}

/** Reads the bytes `start` (inclusive) to `end` (exclusive) of a regular file. Throws if the file is shorter than `end` bytes. */
export async function readRange(file: string, start: number, end: number): Promise<Uint8Array<ArrayBuffer>> {
  // The file is opened for each read, because a data set may have more files than a process may keep open.
  const { handle, size } = await openRegular(file);
  try {
    // Checked before the allocation, because a range read from a damaged file may be of any size.
    if (!(start >= 0) || !(end >= start)) throw new Error(`there are no bytes ${start} to ${end}`);
    if (end > size) throw new Error(`it ends at byte ${size}, expected ${end} bytes or more`);
    return await readInto(handle, start, end - start);
  } finally {
    await handle.close();
  }
}

async function readInto(handle: FileHandle, start: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(length);
  for (let done = 0; done < length; ) {
    const { bytesRead } = await handle.read(bytes, done, length - done, start + done);
    if (bytesRead === 0) throw new Error(`it ends at byte ${start + done}, expected ${start + length} bytes or more`);
    done += bytesRead;
  }
  return bytes;
}
const PIECE = 1024;

/**
 * Adds `pieces` evenly spaced blocks of 1 KiB to a hash, from the first KiB of a file to its last; a file of at most that length is
 * added whole. A file that cannot be read adds nothing: the error is reported when its image is read.
 */
export async function addSample(hash: Hash, file: string, bytes: number, pieces: number): Promise<void> {
  const ranges: [start: number, end: number][] =
    bytes <= pieces * PIECE
      ? [[0, bytes]]
      : Array.from({ length: pieces }, (_, i) => {
          const start = Math.floor((i * (bytes - PIECE)) / Math.max(pieces - 1, 1));
          return [start, start + PIECE];
        });
  for (const [start, end] of ranges) {
    const piece = await readRange(file, start, end).catch(() => undefined);
    if (piece) hash.add(piece);
  }
}
