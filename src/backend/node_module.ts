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

/**
 * Node's `process` in the runtimes that have it. It is read from the global object, here and nowhere else: bundlers add polyfills to pages
 * whose scripts name the global variables `process` or `Buffer`.
 */
export const nodeProcess = (globalThis as { process?: NodeJS.Process }).process;

/** Whether the runtime has Node's built-in modules. */
export const hasNodeModules = (): boolean => !!nodeProcess?.versions?.node;

/** Returns a built-in module of Node, or null in other runtimes. */
export async function nodeModule<Name extends keyof NodeModules>(name: Name): Promise<NodeModules[Name] | null> {
  if (!hasNodeModules()) return null;
  try {
    return (nodeProcess?.getBuiltinModule?.(name) ??
      (await import(/* @vite-ignore */ /* webpackIgnore: true */ name))) as NodeModules[Name];
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
