/** Random numbers of the data room: each purpose has its own stretch of Philox counters, so no draw depends on another. */
import { philox } from '../backend/philox.js';

/** Stretches of 2^48 counts of four words, clear of those that tensors draw from. */
const STREAM_LENGTH = 2 ** 48;
const STREAMS = { order: 7, sceneLabels: 8, scenes: 9, masks: 10, samples: 11 } as const;
/** Counts that one item of a stream may use. */
const ITEM_LENGTH = { order: 2 ** 28, sceneLabels: 2 ** 5, scenes: 2 ** 5, masks: 2 ** 20, samples: 2 ** 28 } as const;
/** Counts between the parts (splits) of a stream. */
const PART_LENGTH = 2 ** 44;

/** A run of numbers that depends on (seed, stream, part, item) alone. */
export class Draws {
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

  /** The next 32-bit word. */
  word(): number {
    if (this.used === this.block.length) {
      philox(this.seed, this.counter++, this.block);
      this.used = 0;
    }
    return this.block[this.used++];
  }

  /** A number in [low, high). */
  between(low: number, high: number): number {
    return low + (high - low) * (this.word() / 2 ** 32);
  }

  /** A whole number in [0, n). */
  below(n: number): number {
    return Math.floor((this.word() / 2 ** 32) * n);
  }

  coin(): boolean {
    return this.word() >= 2 ** 31;
  }

  /** Shuffles in place (Fisher and Yates). */
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
