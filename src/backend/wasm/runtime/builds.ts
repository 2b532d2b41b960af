/**
 * The builds of the kernels, {simd, relaxed} × {single, shared memory}, and the detection of what this runtime supports. Only the chosen
 * build is loaded, inflated and compiled.
 */
import type { Kernels } from '../../../../build/kernels.js';
import { BackendError } from '../../errors.js';
import { nodeModule } from '../../node_module.js';

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
      'wasm: this runtime has no DecompressionStream to unpack the kernels; import a compiled module and pass it as init({ wasm })',
    );
  }
  const inflated = new Blob([deflated]).stream().pipeThrough(new DecompressionStream('deflate-raw'));
  return new Uint8Array(await new Response(inflated).arrayBuffer());
}

export async function compileBuild(name: BuildName): Promise<WebAssembly.Module> {
  const { deflated } = await BUILDS[name]();
  const bytes = await inflate(Uint8Array.from(atob(deflated), (character) => character.charCodeAt(0)));
  try {
    return await WebAssembly.compile(bytes);
  } catch (error) {
    throw new BackendError(
      `wasm: this runtime does not compile WebAssembly (${error instanceof Error ? error.message : error}); import a compiled module and pass it as init({ wasm })`,
    );
  }
}

/** Returns the kernels of a compiled build with `memory`. Throws unless both use shared memory, or neither does. */
export async function instantiate(module: WebAssembly.Module, memory: WebAssembly.Memory): Promise<Kernels> {
  const { exports } = await WebAssembly.instantiate(module, { env: { memory } });
  return exports as unknown as Kernels;
}
