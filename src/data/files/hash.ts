/** A small non-cryptographic hash with the same result in every runtime, for fingerprints and for splits by path. */

/** A 64-bit hash: two FNV-1a hashes with different primes, finished by the mixing function of MurmurHash3. */
export class Hash {
  private a = 0x811c9dc5 | 0;
  private b = 0x2f0b4a27 | 0;

  add(part: string | number | Uint8Array): this {
    const bytes = part instanceof Uint8Array ? part : new TextEncoder().encode(`${part}\0`);
    let { a, b } = this;
    for (let i = 0; i < bytes.length; i++) {
      a = Math.imul(a ^ bytes[i], 0x01000193);
      b = Math.imul(b ^ bytes[i], 0x01000197) + 1;
    }
    this.a = a;
    this.b = b | 0;
    return this;
  }

  /** Returns the first 32 bits of the hash as an integer from 0 to 2^32 - 1. */
  word(): number {
    return mix(this.a ^ Math.imul(this.b, 0x9e3779b1));
  }

  /** Returns the hash as 16 hexadecimal digits. */
  hex(): string {
    const high = mix(this.a ^ Math.imul(this.b, 0x9e3779b1));
    const low = mix(this.b ^ Math.imul(this.a, 0x85ebca77));
    return high.toString(16).padStart(8, '0') + low.toString(16).padStart(8, '0');
  }
}

function mix(h: number): number {
  h ^= h >>> 16;
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  h ^= h >>> 16;
  return h >>> 0;
}
