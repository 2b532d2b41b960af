/** The base of layers and networks: parameters by name, training and evaluation mode, state to save and load. */
import {
  boolean,
  checkArgument,
  checkOptions,
  indexOfNonFinite,
  isPlainObject,
  isTypedArray,
  oneOf,
  rule,
  show,
} from '../backend/validate.js';
import { inLayer } from '../tensor/graph/spans.js';
import {
  type Backend,
  type DType,
  defaultBackend,
  type Shape,
  ShapeError,
  Tensor,
  type TypedArray,
  tensor,
  ZfnetError,
} from '../tensor/index.js';
import { backendRule, checkFloat } from '../tensor/tensor.js';

/** A state dictionary does not fit the module: names are missing, left over, or of another shape. */
export class StateError extends ZfnetError {
  override name = 'StateError';
}

/** How a layer moves a window over an image, for receptive fields: kernel, stride, padding and dilation per axis. */
export interface WindowGeometry {
  kernel: readonly [number, number];
  stride: readonly [number, number];
  /** Top and left. */
  padding: readonly [number, number];
  dilation: readonly [number, number];
}

/** What one activation of a layer depends on: itself alone, a window, or everything. */
export type Reach = 'point' | 'global' | WindowGeometry;

/** Marks a tensor as a parameter: it requires a gradient and outlives every scope. */
export function parameter(tensor: Tensor): Tensor {
  checkFloat('parameter', tensor);
  tensor.requiresGrad = true;
  return tensor.keep();
}

/** PyTorch counts the batches that a normalisation has seen; nothing here needs the count. */
const UNUSED_STATE = /(^|\.)num_batches_tracked$/;

/**
 * A layer or a network. A subclass keeps its parameters (tensors that require a gradient), its buffers (tensors that do
 * not: state that is saved but not learned) and its parts (modules) as properties; their names make the names in the state, as in
 * PyTorch: `conv1.weight`, `bn1.running_mean`.
 */
export abstract class Module {
  /** Whether dropout is active. Set by `train()` and `eval()`. */
  training = true;

  abstract forward(x: Tensor): Tensor;

  /** The shape of the output for an input shape, without computing. Throws `ShapeError` where the input does not fit. */
  outputShape(input: Shape): Shape {
    return input;
  }

  /** What of its input one output activation sees. */
  reach(): Reach {
    return 'point';
  }

  /** Multiply-adds for an input shape. */
  multiplyAdds(_input: Shape): number {
    return 0;
  }

  /** What sort of layer this is, for tables. */
  get kind(): string {
    return this.constructor.name;
  }

  /** The parts by name. */
  children(): [string, Module][] {
    return Object.entries(this).filter((entry): entry is [string, Module] => entry[1] instanceof Module);
  }

  /** Parameters by name, those of parts behind the part's name and a dot. */
  namedParameters(): [string, Tensor][] {
    const own = Object.entries(this).filter((entry): entry is [string, Tensor] => entry[1] instanceof Tensor && entry[1].requiresGrad);
    const inner = this.children().flatMap(([name, child]) =>
      child.namedParameters().map(([key, value]): [string, Tensor] => [`${name}.${key}`, value]),
    );
    return [...own, ...inner];
  }

  /** Buffers by name: what is state but not learned, such as running means. */
  namedBuffers(): [string, Tensor][] {
    const own = Object.entries(this).filter((entry): entry is [string, Tensor] => entry[1] instanceof Tensor && !entry[1].requiresGrad);
    const inner = this.children().flatMap(([name, child]) =>
      child.namedBuffers().map(([key, value]): [string, Tensor] => [`${name}.${key}`, value]),
    );
    return [...own, ...inner];
  }

  parameters(): Tensor[] {
    return this.namedParameters().map(([, value]) => value);
  }

  /** Switches dropout on, here and in all parts. */
  train(on = true): this {
    checkArgument('train', 'the argument', on, boolean);
    this.training = on;
    for (const [, child] of this.children()) child.train(on);
    return this;
  }

  /** Switches dropout off, here and in all parts. */
  eval(): this {
    return this.train(false);
  }

  /** The parameters and buffers themselves by name (not copies). */
  stateDict(): Record<string, Tensor> {
    return Object.fromEntries([...this.namedParameters(), ...this.namedBuffers()]);
  }

  /**
   * Copies numbers into the parameters and buffers. Nothing is changed unless everything fits.
   *
   * @param state tensors or typed arrays by name, as from `stateDict()`, `loadSafetensors` or PyTorch
   * @param options.strict whether missing and superfluous names are errors (default true)
   * @throws StateError naming what does not fit, or a tensor that holds a NaN or an infinity
   */
  loadStateDict(state: Record<string, Tensor | { shape: Shape; data: TypedArray }>, options: { strict?: boolean } = {}): void {
    checkOptions('loadStateDict', options, { strict: boolean });
    checkState(state);
    const own = new Map(Object.entries(this.stateDict()));
    const problems: string[] = [];
    for (const [name, target] of own) {
      const source = Object.hasOwn(state, name) ? state[name] : undefined;
      if (!source) problems.push(`${name} is missing`);
      else if (source.shape.join() !== target.shape.join())
        problems.push(`${name} has shape [${source.shape}], expected [${target.shape}]`);
      else if (!(source instanceof Tensor) && source.data.length !== target.size)
        problems.push(`${name} has shape [${source.shape}] but ${source.data.length} numbers`);
    }
    const surplus = Object.keys(state).filter((name) => !own.has(name) && !UNUSED_STATE.test(name));
    if (surplus.length > 0)
      problems.push(`unknown: ${surplus.slice(0, 6).join(', ')}${surplus.length > 6 ? `, … (${surplus.length} in all)` : ''}`);
    const fatal = options.strict === false ? problems.filter((problem) => problem.includes(' has shape ')) : problems;
    if (fatal.length > 0)
      throw new StateError(
        `loadStateDict: the state does not fit this network: ${fatal.slice(0, 6).join('; ')}${fatal.length > 6 ? '; …' : ''}`,
      );
    const sources = new Map<string, TypedArray>();
    for (const [name] of own) {
      const source = Object.hasOwn(state, name) ? state[name] : undefined;
      if (source) sources.set(name, source instanceof Tensor ? source.dataSync() : source.data);
    }
    for (const [name, data] of sources) {
      const bad = indexOfNonFinite(data);
      if (bad >= 0)
        throw new StateError(`loadStateDict: ${name} holds ${data[bad]} at place ${bad}, expected finite numbers; take another file`);
    }
    for (const [name, data] of sources) own.get(name)?.set(data);
  }

  /** Moves the parameters and buffers to another backend or number type. Gradients are dropped. */
  to(where: { backend?: Backend; dtype?: DType }): this {
    checkOptions('to', where ?? null, { backend: backendRule, dtype: oneOf('float32', 'float64') });
    for (const [key, value] of Object.entries(this)) {
      if (!(value instanceof Tensor)) continue;
      const backend = where.backend ?? defaultBackend();
      const isFloat = value.dtype === 'float32' || value.dtype === 'float64';
      const copy = tensor(value.dataSync(), value.shape, { backend, dtype: isFloat ? where.dtype : value.dtype });
      Object.assign(this, { [key]: value.requiresGrad ? parameter(copy) : copy.keep() });
      value.dispose();
    }
    for (const [, child] of this.children()) child.to(where);
    return this;
  }

  /** Gives the memory of parameters and buffers back. */
  dispose(): void {
    for (const value of Object.values(this.stateDict())) value.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

const sourceRule = rule('a tensor or { shape, data }', (value) => {
  if (value instanceof Tensor) return true;
  const { shape, data } = (value ?? {}) as { shape?: unknown; data?: unknown };
  return Array.isArray(shape) && isTypedArray(data);
});

/** @throws StateError unless it is an object of tensors, or of shapes with typed arrays */
function checkState(state: unknown): void {
  if (!isPlainObject(state)) throw new StateError(`loadStateDict: the state is ${show(state)}, expected an object of tensors by name`);
  for (const [name, value] of Object.entries(state)) {
    checkArgument('loadStateDict', name, value, sourceRule, StateError);
    if (value instanceof Tensor) value.checkAlive();
  }
}

/** Runs `fn` as the work of a layer: profiles show it under that name, and a `ShapeError` inside is thrown again with the name in front. */
export function namingLayer<T>(name: string, fn: () => T): T {
  try {
    return inLayer(name, fn);
  } catch (error) {
    if (error instanceof ShapeError && !error.message.startsWith('layer '))
      throw new ShapeError(`layer ${name}: ${error.message}`, { cause: error });
    throw error;
  }
}
