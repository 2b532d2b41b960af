/** Holds out a fraction of the examples for validation if a source has no validation split. */
import { Hash } from '../files/hash.js';

/** Default of `OpenOptions.valFraction`. */
export const DEFAULT_VAL_FRACTION = 0.1;

/**
 * Holds out the fraction `fraction` of every class, and at least one example of each class that has two. The examples are chosen by a
 * hash of their names, so that the division is the same on every machine, and changes little when examples are added or removed.
 *
 * @param of returns the class and the unique name of an example
 * @returns both parts, in the order of `items`
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
