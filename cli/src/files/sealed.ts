/** Files with a checksum inside, for caches: a damaged file is recognised and computed again, whatever part of it is damaged. */
import { createHash } from 'node:crypto';
import { parseJson } from './json.js';

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

/** Returns a value as the bytes of a file: JSON with the value as text and the SHA-256 of that text. `unsealed` reads it. */
export function sealed(value: unknown): Uint8Array {
  const text = JSON.stringify(value);
  return new TextEncoder().encode(JSON.stringify({ sha256: sha256(text), text }));
}

/** Returns the value that `sealed` was given; undefined if the file is damaged. */
export function unsealed(bytes: Uint8Array): unknown {
  const { sha256: recorded, text } = (parseJson(bytes).value ?? {}) as Partial<Record<string, unknown>>;
  return typeof text === 'string' && sha256(text) === recorded ? parseJson(text).value : undefined;
}
