/**
 * The mutable state of the engine, in one object: default backend, recording, scopes, spans and random numbers.
 *
 * The object is registered on `globalThis`, so that two copies of this file in one process (the ES module and the CommonJS build, or two
 * installed versions with the same layout of this state) share one engine.
 */
import type { Backend } from '../backend/backend.js';

/** Anything that the end of a scope can release. */
export interface Releasable {
  /** @internal Releases the reference to memory; `by` is named in the message of a later `DisposedError`. */
  release(by: string): void;
  /** @internal Exempt from being released at the end of a scope. */
  kept: boolean;
}

/** A buffer whose data is on the host and whose copy on the backend can be computed again. */
export interface Evictable {
  readonly backend: Backend;
  /** Releases the backend's copy. */
  evict(): void;
}

/** A running scope: the tensors created in it, and the buffers that it uploaded to the backend. */
export interface Scope {
  readonly members: Releasable[];
  readonly uploads: Evictable[];
  readonly parent: Scope | null;
}

/** Is notified of the beginning and end of each span. Spans are nested: an inner span ends before the outer one. */
export interface SpanListener {
  begin(name: string): void;
  end(): void;
}

/** State of a random number generator: its seed and the counter of its next random number. */
export interface GeneratorState {
  /** Key of the Philox stream. */
  seed: number;
  /** Index of the next block of four random words, from 0. */
  counter: number;
}

/**
 * Independent streams of one seed: general use, initial weights, dropout masks, order of the data, augmentation. They start 2^48 counts
 * apart, so that they do not overlap.
 */
export const STREAMS = { general: 0, init: 1, dropout: 2, order: 3, augment: 4 } as const;

/** @internal Returns the first state of a stream. */
export const firstState = (seed: number, stream: keyof typeof STREAMS): GeneratorState => ({ seed, counter: STREAMS[stream] * 2 ** 48 });

/** The state of the engine. Everything but the random numbers and the backend is restored when the function that changed it returns. */
export class Context {
  /** Backend of new tensors, unless an option names another; null before `init()`. */
  backend: Backend | null = null;
  /** The call of `init()` that is in effect: its options as text, and its backend. */
  engine: { options: string; wasm: unknown; backend: Promise<Backend> } | null = null;
  /** Backends that `init()` has created and that `shutdown()` disposes of. */
  readonly created = new Set<Backend>();
  /**
   * Whether operations on tensors that require a gradient are recorded for a backward pass: `auto`, except inside modules in evaluation
   * mode; `on` inside `recording`; `off` inside `noGrad`.
   */
  recording: 'auto' | 'on' | 'off' = 'auto';
  /** Whether every operation checks its output for NaN and infinities. */
  nanCheck = false;
  /** Name of the operation that allocates next, for the message of an `OutOfMemoryError`. */
  operation = 'allocate';
  /** The innermost scope that is running. */
  scope: Scope | null = null;
  /** Buffers that were uploaded outside of scopes since the last backward pass, by the object that owns the backend's copy. */
  readonly uploads = new Map<object, Evictable>();
  /** Number of live buffers of each backend, and the backends that are disposed of as soon as they have none. */
  readonly buffers = new WeakMap<Backend, number>();
  readonly retired = new Set<Backend>();
  /** Bytes of tensors above which `data()` lets finalisation callbacks run, by backend. */
  readonly pressure = new WeakMap<Backend, number>();
  /** Number of calls of `data()` that read from a backend. */
  reads = 0;
  /** Outputs of ReLUs, and gradients that are zero wherever the output of their ReLU is not positive; see `graph/relu_marks.ts`. */
  readonly reluOutputs = new WeakSet<object>();
  readonly maskedGradients = new WeakSet<object>();
  /** Tensors created by the backward step that is running. */
  step: Releasable[] | null = null;
  /** The profiler, if one is listening. */
  listener: SpanListener | null = null;
  /** Path of the layer that is running, such as `block1.conv2`; empty outside of all layers. */
  layer = '';
  /** States of the global random number generators. */
  random = { general: firstState(0, 'general'), dropout: firstState(0, 'dropout') };
}

/** The number is the version of the layout of `Context`. Copies of the engine with different layouts do not share their state. */
const KEY = Symbol.for('zfnet.context.1');

function registered(): Context {
  const global = globalThis as { [KEY]?: Context };
  global[KEY] ??= new Context();
  return global[KEY];
}

/** @internal The state of the engine in this process (in a worker thread: of that thread). */
export const context: Context = registered();
