/**
 * Finds an implementation of WebGPU for `--backend webgpu`. Deno has one. In Node and Bun it is the optional package `webgpu`, which is
 * looked for in the user's project first, then where the command line is installed.
 */
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { BackendError, type InitOptions } from 'zfnet';

type Gpu = NonNullable<InitOptions['gpu']>;

/** The exports of the package `webgpu`. */
interface DawnPackage {
  create(flags: readonly string[]): Gpu;
}

const PACKAGE = 'webgpu';

/** Dawn rounds timestamps to 65.5 µs to hide the user's behaviour from pages; a command line has nothing to hide from its user. */
const DAWN_FLAGS = ['disable-dawn-features=timestamp_quantization'];

/** Keeps the object of `create()`: Dawn ends the process with an error if it is collected before its devices. */
let found: Gpu | undefined;

/**
 * Returns the implementation of WebGPU to pass to `init({ gpu })`, or undefined where `navigator.gpu` exists.
 *
 * @param project folder of the user's project
 * @param own address of a file of the command line
 * @throws BackendError if the package `webgpu` is not installed or cannot be loaded
 */
export async function findGpu(project: string = process.cwd(), own: string = import.meta.url): Promise<Gpu | undefined> {
  const { navigator } = globalThis as { navigator?: { gpu?: unknown } };
  if (navigator?.gpu) return undefined;
  found ??= await loadDawn([pathToFileURL(join(project, 'package.json')).href, own]);
  return found;
}

async function loadDawn(places: readonly string[]): Promise<Gpu> {
  const path = places.map(resolvedFrom).find((each) => each !== undefined);
  if (path === undefined)
    throw new BackendError(
      `--backend webgpu: the optional package ${PACKAGE} is not installed; run \`npm install ${PACKAGE}\` in your project, ` +
        'or leave out --backend to use wasm',
    );
  try {
    const { create } = (await import(pathToFileURL(path).href)) as DawnPackage;
    return create(DAWN_FLAGS);
  } catch (error) {
    throw new BackendError(
      `--backend webgpu: ${path} could not be loaded (${error instanceof Error ? error.message : error}); ` +
        `the package ${PACKAGE} needs a 64-bit processor, and on Linux glibc 2.34`,
      { cause: error },
    );
  }
}

/** Returns the path of the package as a file at `place` would import it, or undefined. */
function resolvedFrom(place: string): string | undefined {
  try {
    return createRequire(place).resolve(PACKAGE);
  } catch {
    return undefined;
  }
}
