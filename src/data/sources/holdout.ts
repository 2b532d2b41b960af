/** Holds out a share of the examples for validation where a source has none of its own. */
import { Hash } from '../files/hash.js';

/** Share held out unless another is asked for. */
export const DEFAULT_VAL_FRACTION = 0.1;

/**
 * Holds out the share `fraction` of every class, at least one example of each that has two, chosen by a hash of its name: so
 * an example stays on its side when others come or go, and on every machine.
 *
 * @param of the class of an example and a name that no other has
 * @returns both parts in the order of `items`
 */
export function holdOut<T>(
  items: readonly T[],
  fraction: number,
  of: (item: T) => { label: string | number; name: string },
): [train: T[], val: T[]] {
  const byClass = new Map<string | number, { place: number; name: string; key: number }[]>();
  for (const [place, item] of items.entries()) {
    const { label, name } = of(item);
    const member = { place, name, key: new Hash().add(name).word() };
    const members = byClass.get(label);
    if (members) members.push(member);
    else byClass.set(label, [member]);
  }
  const held = new Set<number>();
  for (const members of byClass.values()) {
    if (members.length < 2) continue;
    members.sort((a, b) => a.key - b.key || (a.name < b.name ? -1 : 1));
    const count = Math.min(members.length - 1, Math.max(1, Math.round(members.length * fraction)));
    for (const { place } of members.slice(0, count)) held.add(place);
  }
  return [items.filter((_, place) => !held.has(place)), items.filter((_, place) => held.has(place))];
}
