/** Formats counts for messages. */

/** Formats a count with its noun: `1 file`, `3 files`. In a longer phrase the noun takes the plural: `2 folders of a run`. */
export function plural(count: number, what: string): string {
  if (count === 1) return `1 ${what}`;
  const [, noun, rest] = /^((?:named |symbolic )?\S+)(.*)$/.exec(what) as unknown as [string, string, string];
  return `${count} ${noun}s${rest}`;
}
