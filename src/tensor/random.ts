/** Seeded, counter-based random number generators. Their state is a seed and a counter, so it can be saved in a checkpoint. */
import { anything, checkArgument, checkOptions, instanceOf, integer, oneOf } from '../backend/validate.js';

/**
 * Independent streams of one seed: general use, initial weights, dropout masks, order of the data, augmentation. They start 2^48 counts
 * apart, so that they do not overlap.
 */
export const STREAMS = { general: 0, init: 1, dropout: 2, order: 3, augment: 4 } as const;
const STREAM_LENGTH = 2 ** 48;
const STATE_RULES = { seed: integer(), counter: integer() };

/** State of a generator: its seed and the counter of its next random number. */
export interface GeneratorState {
  seed: number;
  counter: number;
}

/**
 * A random number generator: the stream of Philox 4x32-10 (Salmon et al. 2011) with four 32-bit words per count. A kernel computes its
 * random numbers from seed and counter, and the generator advances the counter. The same calls in the same order therefore give the same
 * numbers on every backend and with any number of threads.
 *
 * @example randn([2, 3], { generator: new Generator(42) });
 */
export class Generator {
  private counter: number;

  constructor(
    readonly seed: number,
    stream: keyof typeof STREAMS = 'general',
  ) {
    checkArgument('Generator', 'seed', seed, integer());
    checkArgument('Generator', 'stream', stream, oneOf(...Object.keys(STREAMS)));
    this.counter = STREAMS[stream] * STREAM_LENGTH;
  }

  /** Reserves the next `count` words of the stream and returns the counter of the first one. */
  next(count: number): number {
    checkArgument('Generator', 'count', count, integer());
    const start = this.counter;
    this.counter += Math.ceil(count / 4);
    return start;
  }

  /** @deprecated The name of `next` before version 0.2. */
  take(count: number): number {
    return this.next(count);
  }

  /** Returns the state, from which `Generator.fromState` continues the stream. */
  getState(): GeneratorState {
    return { seed: this.seed, counter: this.counter };
  }

  /** Returns a generator that continues the stream of a saved state. */
  static fromState(state: GeneratorState): Generator {
    checkOptions('Generator.fromState', state ?? null, STATE_RULES);
    checkArgument('Generator.fromState', 'counter', state.counter, STATE_RULES.counter);
    const generator = new Generator(state.seed);
    generator.counter = state.counter;
    return generator;
  }
}

let general = new Generator(0);
let dropoutMasks = new Generator(0, 'dropout');

/** Seeds the global generators, which `randn`, `uniform` and dropout use by default. Their initial seed is 0. PyTorch `manual_seed`. */
export function manualSeed(seed: number): void {
  checkArgument('manualSeed', 'seed', seed, integer());
  general = new Generator(seed);
  dropoutMasks = new Generator(seed, 'dropout');
}

/** Returns the state of the global generators, for saving in a checkpoint. */
export function getRandomState(): { general: GeneratorState; dropout: GeneratorState } {
  return { general: general.getState(), dropout: dropoutMasks.getState() };
}

/** Restores the state of the global generators that `getRandomState` returned. */
export function setRandomState(state: { general: GeneratorState; dropout: GeneratorState }): void {
  checkOptions('setRandomState', state ?? null, { general: anything, dropout: anything });
  const [first, second] = [Generator.fromState(state.general), Generator.fromState(state.dropout)];
  general = first;
  dropoutMasks = second;
}

/** @internal The rule for options that are a generator. */
export const generatorRule = instanceOf(Generator);

/** The global generator that `randn` and `uniform` use by default. */
export const defaultGenerator = (): Generator => general;
/** The global generator that dropout uses by default. */
export const dropoutGenerator = (): Generator => dropoutMasks;
