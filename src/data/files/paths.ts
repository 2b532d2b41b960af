/**
 * Paths whose bytes are not valid UTF-8. They are represented as strings in which each invalid byte is a lone surrogate from U+DC80 to
 * U+DCFF (like Python's `surrogateescape`), so that they can be sorted, joined and sent to workers. `onDisk` converts them back.
 */
const STRAY = /[\udc80-\udcff]/;
/** A lone surrogate of that range: with the flag u, the halves of a pair do not match. */
const LONE_STRAY = /[\udc80-\udcff]/gu;

/** Decodes a path that the file system returned as bytes. */
export function pathOf(bytes: Uint8Array): string {
  const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  try {
    return strict.decode(bytes);
  } catch {
    // The path has invalid bytes: decode it character by character below.
  }
  let text = '';
  for (let at = 0; at < bytes.length; ) {
    const length = sequenceLength(bytes[at]);
    try {
      if (length === 0 || at + length > bytes.length) throw new RangeError('no character begins here');
      text += strict.decode(bytes.subarray(at, at + length));
      at += length;
    } catch {
      text += String.fromCharCode(0xdc00 + bytes[at++]);
    }
  }
  return text;
}

/** Returns the length of the UTF-8 sequence that starts with `byte`, or 0 if `byte` cannot start one. */
function sequenceLength(byte: number): number {
  if (byte < 0x80) return 1;
  if (byte >= 0xc2 && byte < 0xe0) return 2;
  if (byte >= 0xe0 && byte < 0xf0) return 3;
  return byte >= 0xf0 && byte < 0xf5 ? 4 : 0;
}

/** Whether a path has bytes that are not valid UTF-8. */
export const isStray = (path: string): boolean => STRAY.test(path) && path.replace(LONE_STRAY, '') !== path;

/**
 * Converts a path for `node:fs`: to the same string, or to bytes if it is not valid UTF-8. The global `Buffer` is not named, because
 * bundlers would add a polyfill of it to pages.
 */
export function onDisk(path: string): string | Buffer {
  if (!isStray(path)) return path;
  const encoder = new TextEncoder();
  const bytes: number[] = [];
  let from = 0;
  for (const { index } of path.matchAll(LONE_STRAY)) {
    bytes.push(...encoder.encode(path.slice(from, index)), path.charCodeAt(index) - 0xdc00);
    from = index + 1;
  }
  bytes.push(...encoder.encode(path.slice(from)));
  return Uint8Array.from(bytes) as Buffer;
}

/** Converts a path for messages and class names: bytes that are not valid UTF-8 are written as `\xe9`. */
export const shownPath = (path: string): string =>
  path.replace(LONE_STRAY, (character) => `\\x${(character.charCodeAt(0) - 0xdc00).toString(16)}`);
