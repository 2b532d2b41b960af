/** Base class of layers and networks: named parameters, training and evaluation mode, saving and loading of the state. */
import {
  boolean,
  checkArgument,
  checkOptions,
  firstNames,
  indexOfNonFinite,
  isPlainObject,
  isTypedArray,
  oneOf,
  rule,
  show,
} from '../backend/validate.js';
import { inferring } from '../tensor/graph/autograd.js';
import { inLayer } from '../tensor/graph/spans.js';
import { type Backend, BackendError, type DType, type Shape, ShapeError, Tensor, type TypedArray, ZfnetError } from '../tensor/index.js';
import { addDisposeMethod, type DisposeMethod } from '../tensor/memory/using.js';
import { backendRule, checkFloat, isFloat } from '../tensor/tensor.js';

/** Thrown when a saved state does not fit: names are missing or unknown, shapes differ, or values are not finite. */
export class StateError extends ZfnetError {
  override name = 'StateError';
}

/** Window that a layer slides over its input, per axis [vertical, horizontal]. Receptive fields are computed from it. */
export interface WindowGeometry {
  kernel: readonly [number, number];
  stride: readonly [number, number];
  /** Padding at the top and at the left. */
  padding: readonly [number, number];
  dilation: readonly [number, number];
}

/**
 * Inputs that one output activation of a layer depends on: `'point'` for the input at the same position, `'global'` for the whole
 * input, otherwise a sliding window.
 */
export type ReceptiveWindow = 'point' | 'global' | WindowGeometry;

/** @deprecated The name of `ReceptiveWindow` before version 0.2. */
export type Reach = ReceptiveWindow;

/** The elements of a parameter or buffer on the host: see `Module.stateDictData`. */
export interface StateEntry {
  shape: Shape;
  dtype: DType;
  /** The elements in row-major order. */
  data: TypedArray;
}

/** Makes a tensor a parameter and returns it: it requires a gradient, and scopes do not free it. PyTorch `Parameter`. */
export function parameter(tensor: Tensor): Tensor {
  checkFloat('parameter', tensor);
  tensor.requiresGrad = true;
  return tensor.keep();
}

/** PyTorch saves the number of batches that a normalisation layer has processed. Loading ignores it. */
const UNUSED_STATE = /(^|\.)num_batches_tracked$/;

/**
 * A layer or a network. PyTorch `Module`. A subclass stores its parameters (tensors that require a gradient), its buffers (other
 * tensors: saved but not trained) and its submodules as properties. The names of the properties form the names in the state
 * dictionary, as in PyTorch: `conv1.weight`, `bn1.running_mean`.
 *
 * ```ts
 * class Scale extends Module {
 *   factor = parameter(tensor([1]));
 *   forward(x: Tensor) { return x.mul(this.factor); }
 * }
 * ```
 */
// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: `addDisposeMethod` adds the method that the interface declares.
export abstract class Module {
  /** Whether the module is in training mode, in which dropout is active. Set by `train()` and `eval()`. */
  training = true;

  constructor() {
    recordOnlyIfNeeded(this);
  }

  /** Computes the output for an input batch. */
  abstract forward(x: Tensor): Tensor;

  /**
   * Output shape for an input shape, without computing the output.
   *
   * @throws ShapeError if the module does not accept the input shape
   */
  outputShape(input: Shape): Shape {
    return input;
  }

  /** Window of the input that one output activation depends on. */
  receptiveWindow(): ReceptiveWindow {
    return this.reach === Module.prototype.reach ? 'point' : this.reach();
  }

  /** @deprecated The name of `receptiveWindow` before version 0.2. A layer that overrides it is still understood. */
  reach(): ReceptiveWindow {
    return this.receptiveWindow === Module.prototype.receptiveWindow ? 'point' : this.receptiveWindow();
  }

  /** Number of multiply-adds of one forward pass for an input shape. */
  multiplyAdds(_input: Shape): number {
    return 0;
  }

  /** Name of the layer type for tables, such as `Conv2d`. */
  get kind(): string {
    return this.constructor.name;
  }

  /** Direct submodules by name. */
  children(): [string, Module][] {
    return Object.entries(this).filter((entry): entry is [string, Module] => entry[1] instanceof Module);
  }

  /** Parameters by name. Those of a submodule are prefixed with its name and a dot. */
  namedParameters(): [string, Tensor][] {
    const own = Object.entries(this).filter((entry): entry is [string, Tensor] => entry[1] instanceof Tensor && entry[1].requiresGrad);
    const inner = this.children().flatMap(([name, child]) =>
      child.namedParameters().map(([key, value]): [string, Tensor] => [`${name}.${key}`, value]),
    );
    return [...own, ...inner];
  }

  /** Buffers by name: tensors that are saved but not trained, such as running means. */
  namedBuffers(): [string, Tensor][] {
    const own = Object.entries(this).filter((entry): entry is [string, Tensor] => entry[1] instanceof Tensor && !entry[1].requiresGrad);
    const inner = this.children().flatMap(([name, child]) =>
      child.namedBuffers().map(([key, value]): [string, Tensor] => [`${name}.${key}`, value]),
    );
    return [...own, ...inner];
  }

  /** All parameters, in the order of `namedParameters()`. */
  parameters(): Tensor[] {
    return this.namedParameters().map(([, value]) => value);
  }

  /** Switches this module and all submodules to training mode, or to evaluation mode if `on` is false. */
  train(on = true): this {
    checkArgument('train', 'the argument', on, boolean);
    this.training = on;
    for (const [, child] of this.children()) child.train(on);
    return this;
  }

  /**
   * Switches this module and all submodules to evaluation mode: dropout is inactive, and `forward` keeps no graph. It records operations
   * only if an input requires a gradient or inside `recording(fn)`, and it frees every tensor that it created except its result and
   * those that are properties of the module.
   */
  eval(): this {
    return this.train(false);
  }

  /** Parameters and buffers by name. The tensors are the module's own, not copies. */
  stateDict(): Record<string, Tensor> {
    return Object.fromEntries([...this.namedParameters(), ...this.namedBuffers()]);
  }

  /**
   * Copies of the parameters and buffers by name, on the host. Works on every backend, also on one without synchronous reads. The result
   * is what `saveSafetensors` and `loadStateDict` take.
   *
   * @example await writeFile('model.safetensors', saveSafetensors(await model.stateDictData()));
   */
  async stateDictData(): Promise<Record<string, StateEntry>> {
    const entries = Object.entries(this.stateDict()).map(async ([name, value]): Promise<[string, StateEntry]> => {
      const { shape, dtype } = value;
      return [name, { shape, dtype, data: await value.data<TypedArray>() }];
    });
    return Object.fromEntries(await Promise.all(entries));
  }

  /**
   * Copies values into the parameters and buffers. If a name or a shape does not fit, nothing is changed.
   *
   * @param state tensors or typed arrays by name, as from `stateDict()`, `stateDictData()`, `loadSafetensors` or PyTorch
   * @param options.strict whether missing and unknown names are errors (default true)
   * @throws StateError naming the entries that do not fit, or a tensor that contains a NaN or an infinity
   * @throws BackendError for a tensor on another backend that only reads asynchronously; pass `await other.stateDictData()`
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
        problems.push(`${name} has shape [${source.shape}] but ${source.data.length} values`);
    }
    const surplus = Object.keys(state).filter((name) => !own.has(name) && !UNUSED_STATE.test(name));
    if (surplus.length > 0) problems.push(`unknown: ${firstNames(surplus, 6)}`);
    const fatal = options.strict === false ? problems.filter((problem) => problem.includes(' has shape ')) : problems;
    if (fatal.length > 0)
      throw new StateError(
        `loadStateDict: the state does not fit this network: ${fatal.slice(0, 6).join('; ')}${fatal.length > 6 ? '; …' : ''}`,
      );
    const copies: (() => void)[] = [];
    for (const [name, target] of own) {
      const source = Object.hasOwn(state, name) ? state[name] : undefined;
      if (source) copies.push(prepareCopy(name, target, source));
    }
    for (const copy of copies) copy();
  }

  /**
   * Moves the parameters and buffers to another backend or element type, and returns the module. Whole numbers keep their type. Gradients
   * and the state of optimisers are not moved: create the optimiser afterwards. Nothing has changed until the promise resolves, and
   * nothing changes if it rejects.
   *
   * @example const model = await zfnet('a').to({ backend: gpu });
   * @param where.backend default: each tensor's own backend
   * @param where.dtype `float32` or `float64`. Default: each tensor's own element type
   */
  async to(where: { backend?: Backend; dtype?: DType }): Promise<this> {
    checkOptions('to', where ?? null, { backend: backendRule, dtype: oneOf('float32', 'float64') });
    const { backend, dtype } = where;
    const slots = tensorSlots(this);
    const copies = new Map<Tensor, Tensor>();
    try {
      for (const value of new Set(slots.map(({ value }) => value))) {
        const copy = await value.to({ backend, dtype: isFloat(value.dtype) ? dtype : undefined });
        copies.set(value, value.requiresGrad ? parameter(copy) : copy.keep());
      }
    } catch (error) {
      for (const copy of copies.values()) copy.dispose();
      throw error;
    }
    for (const { owner, key, value } of slots) Object.assign(owner, { [key]: copies.get(value) });
    for (const value of copies.keys()) value.dispose();
    return this;
  }

  /** Frees the memory of the parameters and buffers. */
  dispose(): void {
    for (const value of Object.values(this.stateDict())) value.dispose();
  }
}

export interface Module extends DisposeMethod {}

addDisposeMethod(Module.prototype);

type Forward = ((this: Module, ...inputs: unknown[]) => unknown) & { [CHECKED]?: true };

/** Marks a `forward` that `recordOnlyIfNeeded` has made. */
const CHECKED: unique symbol = Symbol('forward in evaluation mode');

/**
 * Replaces the method `forward` of a module's class, once, by one that in evaluation mode records nothing unless it has to. It is replaced
 * in the class, and not in the instance, so that `layer.forward === ReLU.prototype.forward` still tells layers apart.
 */
function recordOnlyIfNeeded(module: Module): void {
  let owner: Module = Object.getPrototypeOf(module);
  while (!Object.hasOwn(owner, 'forward') && owner !== Module.prototype) owner = Object.getPrototypeOf(owner);
  const original = owner.forward as Forward | undefined;
  if (!original || original[CHECKED]) return;
  const forward: Forward = function (this: Module, ...inputs: unknown[]): unknown {
    if (this.training) return original.apply(this, inputs);
    return inferring(
      inputs,
      () => Object.values(this),
      () => original.apply(this, inputs),
    );
  };
  forward[CHECKED] = true;
  Object.defineProperty(owner, 'forward', { value: forward, writable: true, configurable: true });
}

/** A property of a module or of one of its submodules that holds a tensor. */
interface TensorSlot {
  owner: Module;
  key: string;
  value: Tensor;
}

function tensorSlots(module: Module): TensorSlot[] {
  const own = Object.entries(module).filter((entry): entry is [string, Tensor] => entry[1] instanceof Tensor);
  return [...own.map(([key, value]) => ({ owner: module, key, value })), ...module.children().flatMap(([, child]) => tensorSlots(child))];
}

/**
 * Checks the values for a parameter or buffer, and returns a function that copies them. Data that only a backend has is copied there; a
 * backend without synchronous reads reports values that are not finite later.
 */
function prepareCopy(name: string, target: Tensor, source: Tensor | { data: TypedArray }): () => void {
  if (source instanceof Tensor && !source.buffer.onHost() && !source.backend.capabilities.syncRead) {
    if (source.backend !== target.backend)
      throw new BackendError(
        `loadStateDict: ${name} is on the ${source.backend.name} backend, which only reads asynchronously; pass await module.stateDictData()`,
      );
    if (isFloat(source.dtype)) source.backend.checkFinite(source.storage, `loadStateDict: ${name}`);
    if (source.buffer === target.buffer) return () => undefined;
    return () => target.backend.cast(target.writable, source.storage);
  }
  const data = source instanceof Tensor ? source.dataSync<TypedArray>() : source.data;
  const bad = indexOfNonFinite(data);
  if (bad >= 0)
    throw new StateError(`loadStateDict: ${name} holds ${data[bad]} at index ${bad}, expected finite values; load another file`);
  return () => target.set(data);
}

const sourceRule = rule('a tensor or { shape, data }', (value) => {
  if (value instanceof Tensor) return true;
  const { shape, data } = (value ?? {}) as { shape?: unknown; data?: unknown };
  return Array.isArray(shape) && isTypedArray(data);
});

/** @throws StateError unless the state is an object of tensors or of `{ shape, data }` entries */
function checkState(state: unknown): void {
  if (!isPlainObject(state)) throw new StateError(`loadStateDict: the state is ${show(state)}, expected an object of tensors by name`);
  for (const [name, value] of Object.entries(state)) {
    checkArgument('loadStateDict', name, value, sourceRule, StateError);
    if (value instanceof Tensor) value.checkAlive();
  }
}

/**
 * Returns the result of `fn`, run on behalf of a layer: profiles show its kernels under the layer's name, and the message of a
 * `ShapeError` is prefixed with that name.
 */
export function namingLayer<T>(name: string, fn: () => T): T {
  try {
    return inLayer(name, fn);
  } catch (error) {
    if (error instanceof ShapeError && !error.message.startsWith('layer '))
      throw new ShapeError(`layer ${name}: ${error.message}`, { cause: error });
    throw error;
  }
}
