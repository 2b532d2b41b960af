/**
 * The checksum of a safetensors file. The metadata entry `zfnet.sha256` contains the SHA-256 of the whole file, computed with the 64
 * digits of the entry itself set to `0`. It covers every byte: header, metadata, shapes and tensor data.
 */
import { FormatError } from './errors.js';
import { sha256 } from './sha256.js';

/** The metadata key. */
export const CHECKSUM = 'zfnet.sha256';
const DIGITS = 64;
/** Value of the entry while the digest is computed. */
export const NO_CHECKSUM = '0'.repeat(DIGITS);

/** The encoded value; computed when it is needed, since some test environments lack `TextEncoder`. */
const encodedZeros = () => new TextEncoder().encode(NO_CHECKSUM);

/**
 * Computes the digest of an encoded file and writes it into the checksum entry, in place.
 *
 * @param file bytes of a safetensors file whose metadata has `zfnet.sha256` with the value `NO_CHECKSUM`
 */
export function setChecksum(file: Uint8Array): void {
  const at = placeOfDigits(file);
  file.set(new TextEncoder().encode(sha256(file)), at);
}

/**
 * Verifies a file against the checksum in its metadata.
 *
 * @throws FormatError if they differ, because a byte of the file has changed since it was written
 */
export function verifyChecksum(file: Uint8Array, recorded: string): void {
  const at = placeOfDigits(file);
  const computed = sha256(file.subarray(0, at), encodedZeros(), file.subarray(at + DIGITS));
  if (computed === recorded) return;
  throw new FormatError(
    `safetensors: the checksum of the file is ${computed.slice(0, 12)}…, its metadata records ${recorded.slice(0, 12)}…: the file was damaged or changed after it was written; restore it from a copy`,
  );
}

/** Finds the digits in the header. Quotation marks within JSON strings are escaped, so only the entry itself matches the pattern. */
function placeOfDigits(file: Uint8Array): number {
  const length = new DataView(file.buffer, file.byteOffset, 8).getUint32(0, true);
  const header = latin1(file.subarray(8, 8 + length));
  const found = [...header.matchAll(/"zfnet\.sha256"[ \t\r\n]*:[ \t\r\n]*"[0-9a-f]{64}"/g)];
  if (found.length !== 1)
    throw new FormatError(`safetensors: ${CHECKSUM} in its metadata is not ${DIGITS} hexadecimal digits; restore the file from a copy`);
  return 8 + found[0].index + found[0][0].length - 1 - DIGITS;
}

/** Decodes one character per byte, so that offsets in the text are offsets in the bytes. */
function latin1(bytes: Uint8Array): string {
  const parts: string[] = [];
  for (let at = 0; at < bytes.length; at += 8192) parts.push(String.fromCharCode(...bytes.subarray(at, at + 8192)));
  return parts.join('');
}
