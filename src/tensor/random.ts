/** Seeded, counter-based random number generators. Their state is a seed and a counter, so it can be saved in a checkpoint. */
import { shareAcrossCopies } from '../backend/shared_class.js';
import { anything, checkArgument, checkOptions, instanceOf, integer, oneOf } from '../backend/validate.js';
import { context, firstState, type GeneratorState, STREAMS } from './context.js';

export { type GeneratorState, STREAMS };

const STATE_RULES = { seed: integer(), counter: integer() };

/**
 * A random number generator: the stream of Philox 4x32-10 (Salmon et al. 2011) with four 32-bit words per count. A kernel computes its
 * random numbers from seed and counter, and the generator advances the counter. The same calls in the same order therefore give the same
 * numbers on every backend and with any number of threads.
 *
 * @example randn([2, 3], { generator: new Generator(42) });
 */
export class Generator {
  private state: GeneratorState;

  constructor(seed: number, stream: keyof typeof STREAMS = 'general') {
    checkArgument('Generator', 'seed', seed, integer());
    checkArgument('Generator', 'stream', stream, oneOf(...Object.keys(STREAMS)));
    this.state = firstState(seed, stream);
  }

  /** The seed that the stream started from; it does not change as numbers are taken. */
  get seed(): number {
    return this.state.seed;
  }

  /** Reserves the next `count` words of the stream and returns the counter of the first one. */
  next(count: number): number {
    checkArgument('Generator', 'count', count, integer());
    const start = this.state.counter;
    this.state.counter += Math.ceil(count / 4);
    return start;
  }

  /** @deprecated The name of `next` before version 0.2. */
  take(count: number): number {
    return this.next(count);
  }

  /** Returns the state, from which `Generator.fromState` continues the stream. */
  getState(): GeneratorState {
    return { ...this.state };
  }

  /** Returns a generator that continues the stream of a saved state. */
  static fromState(state: GeneratorState): Generator {
    checkOptions('Generator.fromState', state ?? null, STATE_RULES);
    checkArgument('Generator.fromState', 'counter', state.counter, STATE_RULES.counter);
    return Generator.over({ seed: state.seed, counter: state.counter });
  }

  /** @internal Returns a generator that advances the given state itself, not a copy of it. */
  static over(state: GeneratorState): Generator {
    const generator = new Generator(state.seed);
    generator.state = state;
    return generator;
  }
}

shareAcrossCopies(Generator, 'generator');

/**
 * Seeds the global generators, which `randn`, `uniform` and dropout use by default. Their initial seed is 0. PyTorch `manual_seed`.
 *
 * @example
 * manualSeed(1);
 * const x = randn([2, 3]);
 */
export function manualSeed(seed: number): void {
  checkArgument('manualSeed', 'seed', seed, integer());
  context.random = { general: firstState(seed, 'general'), dropout: firstState(seed, 'dropout') };
}

/**
 * Returns the state of the global generators, for saving in a checkpoint.
 *
 * @example
 * const state = getRandomState();
 * const first = randn([2]);
 * setRandomState(state);
 * const again = randn([2]); // equals first
 */
export function getRandomState(): { general: GeneratorState; dropout: GeneratorState } {
  return { general: { ...context.random.general }, dropout: { ...context.random.dropout } };
}

/**
 * Restores the state of the global generators that `getRandomState` returned.
 *
 * @example setRandomState({ general: { seed: 1, counter: 0 }, dropout: { seed: 2, counter: 0 } });
 */
export function setRandomState(state: { general: GeneratorState; dropout: GeneratorState }): void {
  checkOptions('setRandomState', state ?? null, { general: anything, dropout: anything });
  const [general, dropout] = [Generator.fromState(state.general).getState(), Generator.fromState(state.dropout).getState()];
  context.random = { general, dropout };
}

/** @internal The rule for options that are a generator. */
export const generatorRule = instanceOf(Generator);

/** The global generator that `randn` and `uniform` use by default. */
export const defaultGenerator = (): Generator => Generator.over(context.random.general);
/** The global generator that dropout uses by default. */
export const dropoutGenerator = (): Generator => Generator.over(context.random.dropout);
