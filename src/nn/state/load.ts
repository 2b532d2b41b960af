/** Loading of a saved state into the tensors of a module. */
import { checkArgument, firstNames, indexOfNonFinite, isPlainObject, isTypedArray, rule, show } from '../../backend/validate.js';
import { BackendError, type DType, type Shape, Tensor, type TypedArray, ZfnetError } from '../../tensor/index.js';
import { isFloat } from '../../tensor/tensor.js';

/** Thrown when a saved state does not fit: names are missing or unknown, shapes differ, or values are not finite. */
export class StateError extends ZfnetError {
  override name = 'StateError';
}

/** Tensors or arrays with their shapes, by name. */
export type State = Record<string, Tensor | { shape: Shape; data: TypedArray }>;

/** The elements of a parameter or buffer on the host: see `Module.stateDictData`. */
export interface StateEntry {
  shape: Shape;
  dtype: DType;
  /** The elements in row-major order. */
  data: TypedArray;
}

/** Copies tensors to the host. */
export async function readState(tensors: Readonly<Record<string, Tensor>>): Promise<Record<string, StateEntry>> {
  const entries = Object.entries(tensors).map(async ([name, value]): Promise<[string, StateEntry]> => {
    const { shape, dtype } = value;
    return [name, { shape, dtype, data: await value.data<TypedArray>() }];
  });
  return Object.fromEntries(await Promise.all(entries));
}

/** PyTorch saves the number of batches that a normalisation layer has processed. Loading ignores it. */
const UNUSED_STATE = /(^|\.)num_batches_tracked$/;

/**
 * Copies values into tensors. If a name or a shape does not fit, nothing is changed.
 *
 * @param own tensors by name
 * @param aliases further names of the same tensors, which a state may contain: PyTorch saves a shared tensor under each of its names
 * @throws StateError as `Module.loadStateDict`
 */
export function loadState(own: ReadonlyMap<string, Tensor>, aliases: ReadonlySet<string>, state: State, strict: boolean): void {
  checkState(state);
  const fitting = new Map<string, State[string]>();
  const problems: string[] = [];
  const missing: string[] = [];
  for (const [name, target] of own) {
    const source = Object.hasOwn(state, name) ? state[name] : undefined;
    if (!source) missing.push(`${name} is missing`);
    else if (source.shape.join() !== target.shape.join()) problems.push(`${name} has shape [${source.shape}], expected [${target.shape}]`);
    else if (!(source instanceof Tensor) && source.data.length !== target.size)
      problems.push(`${name} has shape [${source.shape}] but ${source.data.length} values`);
    else fitting.set(name, source);
  }
  const surplus = Object.keys(state).filter((name) => !own.has(name) && !aliases.has(name) && !UNUSED_STATE.test(name));
  const unknown = surplus.length > 0 ? [`unknown: ${firstNames(surplus, 6)}`] : [];
  const fatal = strict ? [...problems, ...missing, ...unknown] : problems;
  if (fatal.length > 0)
    throw new StateError(
      `loadStateDict: the state does not fit this network: ${fatal.slice(0, 6).join('; ')}${fatal.length > 6 ? '; …' : ''}`,
    );
  const copies = [...fitting].map(([name, source]) => prepareCopy(name, own.get(name)!, source));
  for (const copy of copies) copy();
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
