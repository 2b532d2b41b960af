/** Seeded, counter-based randomness: a generator is a seed and a place in its stream, so it can be saved and resumed. */
import { anything, checkArgument, checkOptions, instanceOf, integer, oneOf } from '../backend/validate.js';

/** Streams of one seed, 2^48 counts apart and so far enough never to meet: initial weights, dropout masks, order of the data, augmentation. */
export const STREAMS = { general: 0, init: 1, dropout: 2, order: 3, augment: 4 } as const;
const STREAM_LENGTH = 2 ** 48;
const STATE_RULES = { seed: integer(), counter: integer() };

export interface GeneratorState {
  seed: number;
  counter: number;
}

/**
 * Philox 4x32-10 (Salmon et al. 2011) seen as a stream: four 32-bit words a count. Kernels draw at (seed, counter) and the
 * generator moves on, so the same calls in the same order give the same numbers on every backend and for any thread count.
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

  /** Takes the next `count` words and returns the counter at which they start. */
  take(count: number): number {
    checkArgument('Generator', 'count', count, integer());
    const start = this.counter;
    this.counter += Math.ceil(count / 4);
    return start;
  }

  getState(): GeneratorState {
    return { seed: this.seed, counter: this.counter };
  }

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

/** Seeds what `randn`, `uniform` and dropout draw from when they are given no generator. The seed is 0 at the start. */
export function manualSeed(seed: number): void {
  checkArgument('manualSeed', 'seed', seed, integer());
  general = new Generator(seed);
  dropoutMasks = new Generator(seed, 'dropout');
}

/** The default generators, for those who save and resume: `{ general, dropout }`. */
export function getRandomState(): { general: GeneratorState; dropout: GeneratorState } {
  return { general: general.getState(), dropout: dropoutMasks.getState() };
}

export function setRandomState(state: { general: GeneratorState; dropout: GeneratorState }): void {
  checkOptions('setRandomState', state ?? null, { general: anything, dropout: anything });
  const [first, second] = [Generator.fromState(state.general), Generator.fromState(state.dropout)];
  general = first;
  dropoutMasks = second;
}

/** @internal The rule for options that take a generator. */
export const generatorRule = instanceOf(Generator);

export const defaultGenerator = (): Generator => general;
export const dropoutGenerator = (): Generator => dropoutMasks;
