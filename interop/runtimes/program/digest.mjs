// Digests of results, bit by bit, and results as text.

/** The only bits that a NaN counts with: which NaN an instruction gives is not part of WebAssembly's definition. */
const NAN = 0x7fc00000;

/** Digest of numbers in the order in which they are added. */
export class Digest {
  #state = 0x811c9dc5;

  add(arrays) {
    for (const numbers of arrays) {
      this.#mix(numbers.length);
      if (numbers instanceof Float32Array) {
        const words = new Uint32Array(numbers.buffer, numbers.byteOffset, numbers.length);
        for (let i = 0; i < words.length; i++) this.#mix(Number.isNaN(numbers[i]) ? NAN : words[i]);
      } else for (const number of numbers) this.#mix(number);
    }
    return this;
  }

  #mix(word) {
    const product = Math.imul(this.#state ^ word, 0x01000193);
    this.#state = (product ^ (product >>> 15)) | 0;
  }

  text() {
    return (this.#state >>> 0).toString(16).padStart(8, '0');
  }
}

/** Number of elements of an array that `encode` keeps. */
const KEPT = 1000;

/** Returns up to 1000 evenly spaced elements of an array as base64 of little-endian float32. */
export function encode(numbers) {
  const stride = Math.max(1, numbers.length / KEPT);
  const kept = Float32Array.from({ length: Math.min(numbers.length, KEPT) }, (_, i) => numbers[Math.floor(i * stride)]);
  const bytes = new Uint8Array(kept.buffer);
  let text = '';
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}

/** Reads what `encode` wrote. */
export function decode(text) {
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  return new Float32Array(bytes.buffer);
}
