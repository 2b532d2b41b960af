/** Base class of layers and networks: named parameters, training and evaluation mode, saving and loading of the state. */
import { shareAcrossCopies } from '../backend/shared_class.js';
import { boolean, checkArgument, checkOptions, oneOf } from '../backend/validate.js';
import { inferring } from '../tensor/graph/autograd.js';
import { inLayer } from '../tensor/graph/spans.js';
import { type Backend, type DType, type Shape, ShapeError, type Tensor } from '../tensor/index.js';
import { addDisposeMethod, type DisposeMethod } from '../tensor/memory/using.js';
import { backendRule, checkFloat, isFloat } from '../tensor/tensor.js';
import { loadState, readState, type State, type StateEntry, StateError } from './state/load.js';
import { type Member, membersOf } from './state/members.js';

export { type StateEntry, StateError };

/** Window that a layer slides over its input, per axis [vertical, horizontal]. Receptive fields are computed from it. */
export interface WindowGeometry {
  /** Size of the window in inputs of this layer, before dilation. */
  kernel: readonly [number, number];
  /** Step of the window between neighbouring outputs. */
  stride: readonly [number, number];
  /** Padding at the top and at the left. */
  padding: readonly [number, number];
  /** Distance between neighbouring elements of the window; 1 for a dense window. */
  dilation: readonly [number, number];
}

/**
 * Inputs that one output activation of a layer depends on: `'point'` for the input at the same position, `'global'` for the whole
 * input, otherwise a sliding window.
 */
export type ReceptiveWindow = 'point' | 'global' | WindowGeometry;

/** @deprecated The name of `ReceptiveWindow` before version 0.2. */
export type Reach = ReceptiveWindow;

/**
 * Makes a tensor a parameter and returns it: it requires a gradient, and scopes do not free it. PyTorch `Parameter`.
 *
 * @example const factor = parameter(tensor([1]));
 */
export function parameter(tensor: Tensor): Tensor {
  checkFloat('parameter', tensor);
  tensor.requiresGrad = true;
  return tensor.keep();
}

/**
 * A layer or a network. PyTorch `Module`. A subclass stores its parameters (tensors that require a gradient, or did before they were
 * frozen), its buffers (other tensors: saved but not trained) and its submodules as properties; parameters and submodules also in arrays,
 * maps and plain objects. The names of the properties form the names in the state dictionary, as in PyTorch: `conv1.weight`,
 * `bn1.running_mean`, `blocks.0.conv.weight`. A module or tensor that is found twice has the first of its names.
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
  /** Whether a walk through the submodules has reached this module, which may contain itself. */
  #visited = false;

  constructor() {
    recordOnlyIfNeeded(this);
  }

  /** Computes the output for an input batch. */
  abstract forward(x: Tensor): Tensor;

  /**
   * Output shape for an input shape, without computing the output; null if the module does not say.
   *
   * @throws ShapeError if the module does not accept the input shape
   */
  outputShape(_input: Shape): Shape | null {
    return null;
  }

  /** Window of the input that one output activation depends on; null if the module does not say. */
  receptiveWindow(): ReceptiveWindow | null {
    return this.reach === Module.prototype.reach ? null : this.reach();
  }

  /** @deprecated The name of `receptiveWindow` before version 0.2. A layer that overrides it is still understood. */
  reach(): ReceptiveWindow | null {
    return this.receptiveWindow === Module.prototype.receptiveWindow ? null : this.receptiveWindow();
  }

  /** Number of multiply-adds of one forward pass for an input shape; by default 0 if the output shape is known, else null (unknown). */
  multiplyAdds(input: Shape): number | null {
    return this.outputShape(input) ? 0 : null;
  }

  /** How the module combines its submodules, if it is one of the known containers; null for a layer. */
  structure(): Structure | null {
    return null;
  }

  /** Name of the layer type for tables, such as `Conv2d`. */
  get kind(): string {
    return this.constructor.name;
  }

  /** Direct submodules by name. */
  children(): [string, Module][] {
    return membersOf<Module>(this, isModule).modules.map(({ name, value }) => [name, value]);
  }

  /** Parameters by name, frozen ones included. Those of a submodule are prefixed with its name and a dot. */
  namedParameters(): [string, Tensor][] {
    return firstNamesOf(namedTensors(this, 'parameters'));
  }

  /** Buffers by name: tensors that are saved but not trained, such as running means. */
  namedBuffers(): [string, Tensor][] {
    return firstNamesOf(namedTensors(this, 'buffers'));
  }

  /** All parameters, in the order of `namedParameters()`. */
  parameters(): Tensor[] {
    return this.namedParameters().map(([, value]) => value);
  }

  /** Switches this module and all submodules to training mode, or to evaluation mode if `on` is false. */
  train(on = true): this {
    checkArgument('train', 'the argument', on, boolean);
    if (this.#visited) return this;
    this.#visited = true;
    try {
      this.training = on;
      for (const [, child] of this.children()) child.train(on);
    } finally {
      this.#visited = false;
    }
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
    return await readState(this.stateDict());
  }

  /**
   * Copies values into the parameters and buffers. If a name or a shape does not fit, nothing is changed.
   *
   * @param state tensors or typed arrays by name, as from `stateDict()`, `stateDictData()`, `loadSafetensors` or PyTorch
   * @param options.strict whether missing and unknown names are errors (default true)
   * @throws StateError naming the entries that do not fit, or a tensor that contains a NaN or an infinity
   * @throws BackendError for a tensor on another backend that only reads asynchronously; pass `await other.stateDictData()`
   */
  loadStateDict(state: State, options: { strict?: boolean } = {}): void {
    checkOptions('loadStateDict', options, { strict: boolean });
    const all = [...namedTensors(this, 'parameters'), ...namedTensors(this, 'buffers')];
    loadState(new Map(Object.entries(this.stateDict())), new Set(all.map(([name]) => name)), state, options.strict ?? true);
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
    const { slots, others } = movable(this);
    const copies = new Map<Tensor, Tensor>();
    try {
      for (const { value } of slots) if (!copies.has(value)) copies.set(value, await copyOf(value, where));
    } catch (error) {
      for (const copy of copies.values()) copy.dispose();
      throw error;
    }
    for (const { value, replace } of slots) replace(copies.get(value)!);
    for (const value of copies.keys()) value.dispose();
    for (const other of others) await other.to(where);
    return this;
  }

  /** Frees the memory of the parameters and buffers. */
  dispose(): void {
    for (const value of Object.values(this.stateDict())) value.dispose();
  }
}

export interface Module extends DisposeMethod {}

addDisposeMethod(Module.prototype);
shareAcrossCopies(Module, 'module');

/**
 * How a container combines its submodules. Code that walks through networks (exporters, summaries, receptive fields) needs no other
 * knowledge of containers. Names are those of `children()`; a container whose submodules have no prefix in the state has the name ''.
 * - `sequence`: each layer computes from the output of the one before
 * - `branches`: each branch computes from the input (null: the input itself); the outputs are concatenated along axis 1 or added, and
 *   `activation` is applied to the result
 */
export type Structure =
  | { kind: 'sequence'; layers: readonly (readonly [name: string, layer: Module])[] }
  | {
      kind: 'branches';
      branches: readonly (readonly [name: string, branch: Module | null])[];
      join: 'concat' | 'add';
      activation: readonly [name: string, layer: Module] | null;
    };

/** A layer that computes each output activation from the input activation at the same place, so that it keeps the shape. */
export abstract class Pointwise extends Module {
  override outputShape(input: Shape): Shape {
    return input;
  }

  override receptiveWindow(): ReceptiveWindow {
    return 'point';
  }
}

/** @internal Returns whether a value is a module, of this copy of the engine or of another one in the process. */
export const isModule = (value: unknown): value is Module => value instanceof Module;

/** Tensors of a module and its submodules with their names. A tensor that is found twice appears twice; each module is visited once. */
function namedTensors(root: Module, kind: 'parameters' | 'buffers'): [string, Tensor][] {
  const method = kind === 'parameters' ? 'namedParameters' : 'namedBuffers';
  const found: [string, Tensor][] = [];
  const visited = new Map<Module, [string, Tensor][]>();
  const visit = (module: Module, prefix: string): void => {
    const known = visited.get(module);
    if (known) {
      found.push(...known.map(([name, value]): [string, Tensor] => [prefix + name, value]));
      return;
    }
    const start = found.length;
    visited.set(module, []);
    const isOther = module !== root && module[method] !== Module.prototype[method];
    const own = isOther ? module[method]() : membersOf<Module>(module, isModule)[kind].map(({ name, value }) => [name, value] as const);
    for (const [name, value] of own) found.push([prefix + name, value]);
    if (!isOther) for (const [name, child] of module.children()) visit(child, `${prefix}${name}.`);
    visited.set(
      module,
      found.slice(start).map(([name, value]) => [name.slice(prefix.length), value]),
    );
  };
  visit(root, '');
  return found;
}

/** Leaves each tensor its first name. */
function firstNamesOf(named: readonly [string, Tensor][]): [string, Tensor][] {
  const seen = new Set<Tensor>();
  return named.filter(([, value]) => !seen.has(value) && seen.add(value));
}

/** The tensors of a module and its submodules, and the submodules that move their tensors themselves. */
function movable(root: Module): { slots: Member<Tensor>[]; others: Module[] } {
  const slots: Member<Tensor>[] = [];
  const others: Module[] = [];
  const visited = new Set<Module>();
  const visit = (module: Module): void => {
    if (visited.has(module)) return;
    visited.add(module);
    if (module !== root && module.to !== Module.prototype.to) {
      others.push(module);
      return;
    }
    const { parameters, buffers } = membersOf<Module>(module, isModule);
    slots.push(...parameters, ...buffers);
    for (const [, child] of module.children()) visit(child);
  };
  visit(root);
  return { slots, others };
}

async function copyOf(value: Tensor, { backend, dtype }: { backend?: Backend; dtype?: DType }): Promise<Tensor> {
  const copy = await value.to({ backend, dtype: isFloat(value.dtype) ? dtype : undefined });
  if (!value.isParameter) return copy.keep();
  parameter(copy).requiresGrad = value.requiresGrad;
  return copy;
}

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

/**
 * Returns the result of `fn`, run on behalf of a layer: profiles show its kernels under the layer's name, and the message of a
 * `ShapeError` is prefixed with that name.
 *
 * @throws ShapeError of `fn`, with the name of the layer before its message
 */
export function namingLayer<T>(name: string, fn: () => T): T {
  // A part of a container that has no name of its own.
  if (name === '') return fn();
  try {
    return inLayer(name, fn);
  } catch (error) {
    if (error instanceof ShapeError && !error.message.startsWith('layer '))
      throw new ShapeError(`layer ${name}: ${error.message}`, { cause: error });
    throw error;
  }
}
