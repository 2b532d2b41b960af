/** Random numbers that depend only on a text, so that each fuzz input can be reproduced. */
export class Random {
  private state: number;

  /** @param seed any text, such as `7/onnx/123` */
  constructor(seed: string) {
    // FNV-1a.
    let hash = 0x811c9dc5;
    for (let i = 0; i < seed.length; i++) hash = Math.imul(hash ^ seed.charCodeAt(i), 0x01000193);
    this.state = hash >>> 0;
  }

  /** 32 random bits (mulberry32). */
  bits(): number {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let word = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    word = (word + Math.imul(word ^ (word >>> 7), 61 | word)) ^ word;
    return (word ^ (word >>> 14)) >>> 0;
  }

  /** A whole number from 0 to `bound` - 1; 0 where `bound` is 0. */
  below(bound: number): number {
    return bound > 0 ? Math.floor((this.bits() / 2 ** 32) * bound) : 0;
  }

  chance(probability: number): boolean {
    return this.bits() < probability * 2 ** 32;
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)];
  }
}
