/** The parts of a module: the modules and tensors among its properties, also in arrays, maps and plain objects. */
import { isPlainObject } from '../../backend/validate.js';
import { Tensor } from '../../tensor/index.js';

/** A module or a tensor that a module holds. */
export interface Member<Part> {
  /** Path of the property: `weight`, `blocks.0`. */
  name: string;
  value: Part;
  /** Puts another value in its place. */
  replace(value: Part): void;
}

/** The members of a module by kind. */
export interface Members<M> {
  modules: Member<M>[];
  /** Tensors that require a gradient, or did before they were frozen. */
  parameters: Member<Tensor>[];
  /** Other tensors that are properties of the module itself: saved but not trained. Results of recorded operations do not count. */
  buffers: Member<Tensor>[];
}

/**
 * Returns the members of a module in the order of its properties. Class instances other than modules and tensors are not searched.
 *
 * @param isModule tells modules from other objects
 */
export function membersOf<M extends object>(owner: M, isModule: (value: unknown) => value is M): Members<M> {
  const members: Members<M> = { modules: [], parameters: [], buffers: [] };
  const searched = new Set<unknown>();
  const visit = (value: unknown, name: string, direct: boolean, replace: (value: unknown) => void): void => {
    if (typeof value !== 'object' || value === null) return;
    if (isModule(value)) members.modules.push({ name, value, replace });
    else if (value instanceof Tensor) {
      if (value.isParameter) members.parameters.push({ name, value, replace });
      else if (direct && !value.node) members.buffers.push({ name, value, replace });
    } else if (!searched.has(value)) {
      searched.add(value);
      for (const [key, item, put] of itemsOf(value)) visit(item, `${name}.${key}`, false, put);
    }
  };
  const properties = owner as Record<string, unknown>;
  for (const key of Object.keys(owner))
    visit(properties[key], key, true, (value) => {
      properties[key] = value;
    });
  return members;
}

type Item = [key: string, value: unknown, put: (value: unknown) => void];

/** The values of an array, a map or a plain object, with functions that replace them; none for other objects. */
function itemsOf(holder: object): Item[] {
  if (holder instanceof Map) return [...holder].map(([key, value]): Item => [String(key), value, (next) => holder.set(key, next)]);
  if (!Array.isArray(holder) && !isPlainObject(holder)) return [];
  const values = holder as Record<string, unknown>;
  return Object.keys(holder).map(
    (key): Item => [
      key,
      values[key],
      (next) => {
        values[key] = next;
      },
    ],
  );
}
