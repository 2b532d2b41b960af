/**
 * The builds of the kernels, {simd, relaxed} × {single, shared memory}, and the detection of what this runtime supports. Only the chosen
 * build is loaded, inflated and compiled.
 */
import type { Kernels } from '../../../../build/kernels.js';
import { BackendError, ValueError } from '../../errors.js';
import { nodeModule } from '../../node_module.js';
import { quote } from '../../validate.js';

const BUILDS = {
  simd: () => import('../../../../build/simd.js'),
  'simd-shared': () => import('../../../../build/simd-shared.js'),
  relaxed: () => import('../../../../build/relaxed.js'),
  'relaxed-shared': () => import('../../../../build/relaxed-shared.js'),
};

export type BuildName = keyof typeof BUILDS;

/** Returns whether the runtime accepts a module with one function that consists of these instructions. */
function accepts(instructions: readonly number[]): boolean {
  const body = [0, ...instructions, 0x0b]; // no locals, …, end
  const header = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];
  const type = [1, 4, 1, 0x60, 0, 0];
  const functions = [3, 2, 1, 0];
  const code = [10, body.length + 2, 1, body.length, ...body];
  return WebAssembly.validate(new Uint8Array([...header, ...type, ...functions, ...code]));
}

const I32_CONST_0 = [0x41, 0];
const I8X16_SPLAT = [0xfd, 0x0f];
const DROP = 0x1a;
const vector = [...I32_CONST_0, ...I8X16_SPLAT];

const hasSimd = () => accepts([...vector, DROP]);
/** `f32x4.relaxed_madd`. */
const hasRelaxedSimd = () => accepts([...vector, ...vector, ...vector, 0xfd, 0x85, 0x02, DROP]);

/** @throws BackendError if the runtime lacks WebAssembly or SIMD */
export function checkRuntime(): void {
  if (typeof WebAssembly === 'undefined') {
    throw new BackendError('wasm: this runtime has no WebAssembly; use init({ backend: "reference" })');
  }
  if (!hasSimd()) throw new BackendError('wasm: this runtime has no WebAssembly SIMD; use init({ backend: "reference" })');
}

/** Returns the reason why memory cannot be shared with other threads, or undefined if it can. */
export function sharingOffBecause(): string | undefined {
  if (globalThis.crossOriginIsolated === false) {
    return 'this page is not cross-origin isolated, so memory cannot be shared; serve it with the headers Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp';
  }
  return typeof SharedArrayBuffer === 'undefined' ? 'this runtime has no SharedArrayBuffer' : undefined;
}

/** Returns the build for a mode. Only fast mode uses relaxed instructions, since they may round differently on different machines. */
export const chooseBuild = (mode: 'strict' | 'fast', shared: boolean): BuildName => {
  const base = mode === 'fast' && hasRelaxedSimd() ? 'relaxed' : 'simd';
  return shared ? `${base}-shared` : base;
};

/** Inflates a build, with zlib if available: in Node, creating web streams takes longer than the rest of `init()`. */
async function inflate(deflated: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  const zlib = await nodeModule('node:zlib');
  if (zlib) return new Uint8Array(zlib.inflateRawSync(deflated));
  if (typeof DecompressionStream === 'undefined') {
    throw new BackendError(
      'wasm: this runtime has no DecompressionStream to unpack the kernels; pass zfnet/simd.wasm, which is not packed, as init({ wasm })',
    );
  }
  const inflated = new Blob([deflated]).stream().pipeThrough(new DecompressionStream('deflate-raw'));
  return new Uint8Array(await new Response(inflated).arrayBuffer());
}

const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** Imports a build. It fails in service workers, which have no `import()`, and where the bundle's files are not all served. */
async function load(name: BuildName): Promise<{ deflated: string }> {
  try {
    return await BUILDS[name]();
  } catch (error) {
    throw new BackendError(
      `wasm: the kernels could not be loaded (${reasonOf(error)}); serve every file of the bundle, or bundle it into one file (a service worker has no import()), or serve zfnet/simd.wasm and pass its address as init({ wasm })`,
    );
  }
}

async function compile(bytes: BufferSource): Promise<WebAssembly.Module> {
  try {
    return await WebAssembly.compile(bytes);
  } catch (error) {
    const reason = reasonOf(error);
    throw new BackendError(
      /\bcsp\b|content security policy|unsafe-eval/i.test(reason)
        ? "wasm: the page's content security policy forbids WebAssembly; add 'wasm-unsafe-eval' to its script-src, for example: script-src 'self' 'wasm-unsafe-eval'"
        : `wasm: this runtime does not compile WebAssembly (${reason}); import a compiled module and pass it as init({ wasm })`,
    );
  }
}

export async function compileBuild(name: BuildName): Promise<WebAssembly.Module> {
  const { deflated } = await load(name);
  return compile(await inflate(Uint8Array.from(atob(deflated), (character) => character.charCodeAt(0))));
}

/** A build of the kernels that the user passes: compiled, as bytes, or its address. */
export type GivenBuild = WebAssembly.Module | BufferSource | URL | string;

/** Compiles a build that the user passes. @throws ValueError if its address cannot be loaded */
export async function compileGiven(given: GivenBuild): Promise<WebAssembly.Module> {
  if (given instanceof WebAssembly.Module) return given;
  if (typeof given !== 'string' && !(given instanceof URL)) return compile(given);
  return compile(await fetched(String(given)));
}

/** Returns the bytes at an address; Node's `fetch` does not read files. */
async function fetched(address: string): Promise<BufferSource> {
  try {
    if (address.startsWith('file:')) {
      const files = await nodeModule('node:fs/promises');
      if (files) return new Uint8Array(await files.readFile(new URL(address)));
    }
    const response = await fetch(address);
    if (!response.ok) throw new Error(`the server answers ${response.status}`);
    return await response.arrayBuffer();
  } catch (error) {
    throw new ValueError(
      `init: wasm is ${quote(address)}, which could not be loaded (${reasonOf(error)}); serve the file zfnet/simd.wasm there`,
    );
  }
}

/** Returns the kernels of a compiled build with `memory`. Throws unless both use shared memory, or neither does. */
export async function instantiate(module: WebAssembly.Module, memory: WebAssembly.Memory): Promise<Kernels> {
  const { exports } = await WebAssembly.instantiate(module, { env: { memory } });
  return exports as unknown as Kernels;
}
