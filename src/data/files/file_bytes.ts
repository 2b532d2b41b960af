/** Reads files and parts of files, regular ones only, and takes samples of their contents for fingerprints. */

import type { Stats } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import type { Hash } from './hash.js';
import { onDisk } from './paths.js';

/** What a path leads to, in words, where that is not a regular file. */
export function kindOfEntry(entry: Pick<Stats, 'isDirectory' | 'isFIFO' | 'isSocket' | 'isCharacterDevice' | 'isBlockDevice'>): string {
  if (entry.isDirectory()) return 'a folder';
  if (entry.isFIFO()) return 'a named pipe';
  if (entry.isSocket()) return 'a socket';
  return entry.isCharacterDevice() || entry.isBlockDevice() ? 'a device' : 'no regular file';
}

/**
 * Opens a regular file for reading. Throws for everything else: to open a named pipe would wait for its writer, and a device may
 * never end.
 */
async function openRegular(file: string): Promise<{ handle: FileHandle; size: number }> {
  const { open, constants } = await import('node:fs/promises');
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

/** Bytes of a regular file. */
export async function sizeOfFile(file: string): Promise<number> {
  const { handle, size } = await openRegular(file);
  await handle.close();
  return size;
}

/** All bytes of a regular file. Throws where it has more than `limit`. */
export async function readWhole(file: string, limit = 2 ** 31 - 1): Promise<Uint8Array<ArrayBuffer>> {
  const { handle, size } = await openRegular(file);
  try {
    if (size > limit) throw new Error(`it has ${size} bytes, expected ${limit} at most`);
    return await readInto(handle, 0, size);
  } finally {
    await handle.close();
  }
}

/** Bytes `start` to `end` of a regular file. Throws where the file ends before. */
export async function readRange(file: string, start: number, end: number): Promise<Uint8Array<ArrayBuffer>> {
  // Opened for each read: a data set may have more files than a process may hold open.
  const { handle, size } = await openRegular(file);
  try {
    // Before anything is allocated: a damaged file may ask for any number of bytes.
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
 * Adds `pieces` KiB of a file to a hash, evenly spread from its first to its last; all of it where it is no longer than that.
 * A file that cannot be read adds nothing: whoever reads it will say so.
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
