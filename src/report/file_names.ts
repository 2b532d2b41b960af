/** Converts names of layers, maps, classes and runs, which may contain any character, to file names. */
import { checkArgument, text } from '../backend/validate.js';

/** Names that Windows reserves for devices, with any extension. */
const RESERVED = /^(con|prn|aux|nul|com[0-9]|lpt[0-9]|conin\$|conout\$)(\.|$)/;
/** Names that need no change. They are lower case, so that they stay distinct on file systems that ignore case. */
const PLAIN = /^[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?$/;
const HASHED = /-[0-9a-z]{13}$/;
/** Largest number of bytes of a name. File systems allow 255, and callers add a prefix and an extension. */
const MOST_BYTES = 80;

/**
 * Returns a file name, without an extension, for any name: letters from a to z, digits, dots, hyphens and underscores, at most 80 bytes. A
 * plain lower-case name such as `conv1` is returned unchanged. In any other name, forbidden characters become `_` and a hash of the whole
 * name is appended, so that distinct names give distinct files on every file system. The same name always gives the same file name.
 */
export function safeFileName(name: string): string {
  checkArgument('safeFileName', 'name', name, text);
  if (name.length <= MOST_BYTES && PLAIN.test(name) && !RESERVED.test(name) && !HASHED.test(name)) return name;
  const readable = name
    .replace(/[^A-Za-z0-9._-]+|\.{2,}/g, '_')
    .replace(/_{2,}/g, '_')
    .slice(0, MOST_BYTES - 15)
    .replace(/^[._-]+|[._-]+$/g, '');
  const start = RESERVED.test(readable.toLowerCase()) ? `_${readable}` : readable || 'name';
  return `${start}-${hash(name)}`;
}

/** Returns a 64-bit hash of a name as 13 characters in base 36: two 32-bit hashes of its UTF-16 units (FNV-1a with a final mix). */
function hash(name: string): string {
  let [a, b] = [0x811c9dc5, 0x9e3779b9];
  for (let i = 0; i < name.length; i++) {
    const unit = name.charCodeAt(i);
    a = Math.imul(a ^ unit, 0x01000193);
    b = Math.imul(b ^ (unit + i), 0x85ebca6b);
    b ^= b >>> 13;
  }
  const mix = (h: number) => {
    h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
    h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
    return BigInt((h ^ (h >>> 16)) >>> 0);
  };
  return ((mix(a ^ b) << 32n) | mix(b)).toString(36).padStart(13, '0');
}
