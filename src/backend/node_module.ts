/**
 * Access to Node's built-in modules in the runtimes that have them: Node, Bun and Deno. Written so that bundlers, which cannot know
 * whether the code will ever run, do not try to resolve the modules for a page.
 */
import { BackendError } from './errors.js';

/** The built-in modules that the library uses. */
interface NodeModules {
  'node:fs/promises': typeof import('node:fs/promises');
  'node:module': typeof import('node:module');
  'node:os': typeof import('node:os');
  'node:path': typeof import('node:path');
  'node:stream': typeof import('node:stream');
  'node:url': typeof import('node:url');
  'node:worker_threads': typeof import('node:worker_threads');
  'node:zlib': typeof import('node:zlib');
}

/** Returns a built-in module of Node, or null in other runtimes. */
export async function nodeModule<Name extends keyof NodeModules>(name: Name): Promise<NodeModules[Name] | null> {
  if (typeof process === 'undefined' || !process.versions?.node) return null;
  try {
    return (process.getBuiltinModule?.(name) ?? (await import(/* @vite-ignore */ /* webpackIgnore: true */ name))) as NodeModules[Name];
  } catch {
    return null;
  }
}

/** Returns a built-in module of Node. @throws BackendError in runtimes without it, such as browsers */
export async function neededNodeModule<Name extends keyof NodeModules>(name: Name): Promise<NodeModules[Name]> {
  const found = await nodeModule(name);
  if (!found)
    throw new BackendError(`${name} is not available in this runtime: reading files needs Node, Bun or Deno; pass the data instead`);
  return found;
}
