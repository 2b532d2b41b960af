/** Reads parts of files, and takes samples of their contents for fingerprints. */
import type { Hash } from './hash.js';

/** Bytes `start` to `end` of a file. Throws where the file ends before. */
export async function readRange(file: string, start: number, end: number): Promise<Uint8Array<ArrayBuffer>> {
  const { open } = await import('node:fs/promises');
  // Opened for each read: a data set may have more files than a process may hold open.
  const handle = await open(file, 'r');
  try {
    const bytes = new Uint8Array(end - start);
    for (let done = 0; done < bytes.length; ) {
      const { bytesRead } = await handle.read(bytes, done, bytes.length - done, start + done);
      if (bytesRead === 0) throw new Error(`it ends at byte ${start + done}, expected ${end} bytes or more`);
      done += bytesRead;
    }
    return bytes;
  } finally {
    await handle.close();
  }
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
