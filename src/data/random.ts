/**
 * Random numbers for data sets. Each purpose uses its own range of Philox counters, so that the random numbers of one purpose do not
 * depend on how many were generated for another.
 */
import { philox } from '../backend/philox.js';

/** Number of counters per stream; each counter gives four 32-bit words. The ranges do not overlap those of tensor operations. */
const STREAM_LENGTH = 2 ** 48;
const STREAMS = { order: 7, sceneLabels: 8, scenes: 9, masks: 10, samples: 11 } as const;
/** Number of counters that one item of a stream may use. */
const ITEM_LENGTH = { order: 2 ** 28, sceneLabels: 2 ** 5, scenes: 2 ** 5, masks: 2 ** 20, samples: 2 ** 28 } as const;
/** Number of counters per part (split) of a stream. */
const PART_LENGTH = 2 ** 44;

/** A random number generator whose sequence depends only on seed, stream, part and item. */
export class RandomStream {
  private readonly block = new Uint32Array(4);
  private used = this.block.length;
  private counter: number;

  constructor(
    private readonly seed: number,
    stream: keyof typeof STREAMS,
    item: number,
    part = 0,
  ) {
    this.counter = STREAMS[stream] * STREAM_LENGTH + part * PART_LENGTH + item * ITEM_LENGTH[stream];
  }

  /** Returns the next 32-bit word. */
  word(): number {
    if (this.used === this.block.length) {
      philox(this.seed, this.counter++, this.block);
      this.used = 0;
    }
    return this.block[this.used++];
  }

  /** Returns a uniform random number in [low, high). */
  between(low: number, high: number): number {
    return low + (high - low) * (this.word() / 2 ** 32);
  }

  /** Returns a random integer in [0, n). */
  below(n: number): number {
    return Math.floor((this.word() / 2 ** 32) * n);
  }

  /** Returns true or false with equal probability. */
  coin(): boolean {
    return this.word() >= 2 ** 31;
  }

  /** Shuffles `values` in place (Fisher–Yates) and returns them. */
  shuffle<T extends Int32Array | number[]>(values: T): T {
    for (let i = values.length - 1; i > 0; i--) {
      const j = this.below(i + 1);
      const kept = values[i];
      values[i] = values[j];
      values[j] = kept;
    }
    return values;
  }
}
