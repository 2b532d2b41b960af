/** Names that no other value or node of a graph has. */
export class UniqueNames {
  /** The next suffix to try for a name that is taken. */
  private readonly suffixes = new Map<string, number>();

  /** @param taken names that exist; claimed names are added to it */
  constructor(private readonly taken = new Set<string>()) {}

  /** Returns the name, with a suffix if it is taken, and takes it. */
  claim(name: string): string {
    let free = name;
    for (let suffix = this.suffixes.get(name) ?? 2; this.taken.has(free); suffix++) {
      free = `${name}_${suffix}`;
      this.suffixes.set(name, suffix + 1);
    }
    this.taken.add(free);
    return free;
  }
}
