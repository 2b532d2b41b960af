/** Node's own modules, in the runtimes that have them: Node, Bun and Deno. */

/** A module of Node's, where there is one, out of bundlers' sight. */
export async function nodeModule<T>(name: string): Promise<T | null> {
  if (typeof process === 'undefined' || !process.versions?.node) return null;
  try {
    return (process.getBuiltinModule?.(name) ?? (await import(/* @vite-ignore */ /* webpackIgnore: true */ name))) as T;
  } catch {
    return null;
  }
}
