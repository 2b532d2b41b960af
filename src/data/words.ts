/** Small words for messages. */

/** `1 file`, `3 files`; the first word takes the plural where `what` has several: `2 folders of a run`. */
export function plural(count: number, what: string): string {
  if (count === 1) return `1 ${what}`;
  const [, noun, rest] = /^((?:named |symbolic )?\S+)(.*)$/.exec(what) as unknown as [string, string, string];
  return `${count} ${noun}s${rest}`;
}

/** The first of some names, and how many more there are. */
export function listed(names: readonly (string | number)[], most = 5): string {
  return names.slice(0, most).join(', ') + (names.length > most ? ` and ${names.length - most} more` : '');
}
