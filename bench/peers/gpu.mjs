/** Gives this process `navigator.gpu` and WebGPU's global classes, which browsers have, from the npm package `webgpu` (Dawn). */
import { create, globals } from 'webgpu';

/** Dawn needs this object as long as its devices live. */
const gpu = create(['disable-dawn-features=timestamp_quantization']);

export function provideGpu() {
  Object.assign(globalThis, globals);
  Object.defineProperty(globalThis, 'navigator', { value: { gpu, userAgent: 'node', language: 'en' }, configurable: true });
  return gpu;
}
