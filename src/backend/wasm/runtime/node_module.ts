/** Access to Node's built-in modules in the runtimes that have them: Node, Bun and Deno. */

/** Returns a built-in module of Node, or null in other runtimes. Written so that bundlers do not try to resolve the import. */
export async function nodeModule<T>(name: string): Promise<T | null> {
  if (typeof process === 'undefined' || !process.versions?.node) return null;
  try {
    return (process.getBuiltinModule?.(name) ?? (await import(/* @vite-ignore */ /* webpackIgnore: true */ name))) as T;
  } catch {
    return null;
  }
}
