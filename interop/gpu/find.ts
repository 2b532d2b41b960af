/**
 * Finds a WebGPU device for tests in Node: a GPU with its Vulkan driver if there is one, otherwise SwiftShader, the software device that
 * Debian's package chromium brings.
 */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { GpuLike } from '../../src/backend/webgpu/types.js';

/** Where packages and browsers put the Vulkan driver description of SwiftShader. */
const SWIFTSHADER = [
  '/usr/lib/chromium/vk_swiftshader_icd.json',
  '/usr/lib64/chromium-browser/vk_swiftshader_icd.json',
  '/opt/google/chrome/vk_swiftshader_icd.json',
  '/usr/share/vulkan/icd.d/vk_swiftshader_icd.json',
];

/** Returns the path of SwiftShader's driver description, if it is installed. */
export const softwareDriver = (): string | undefined => SWIFTSHADER.find((path) => existsSync(path));

/** Without this flag, Dawn rounds timestamps to 65 microseconds. */
const FLAGS = ['disable-dawn-features=timestamp_quantization'];

/** Implementations that were created. They must not be garbage-collected while one of their devices is in use. */
const alive: GpuLike[] = [];

/** Returns an implementation of WebGPU that has an adapter, or the reason why there is none. */
export async function findGpu(): Promise<{ gpu: GpuLike } | { reason: string }> {
  let create: (flags: readonly string[]) => GpuLike;
  try {
    const path = createRequire(import.meta.url).resolve('webgpu');
    ({ create } = await import(path));
  } catch {
    return { reason: 'the npm package webgpu is not installed; run npm install --prefix interop/gpu' };
  }
  const software = softwareDriver();
  const drivers = [process.env.VK_ICD_FILENAMES, undefined, software];
  const before = process.env.VK_ICD_FILENAMES;
  for (const driver of [...new Set(before === undefined ? drivers.slice(1) : drivers.slice(0, 1))]) {
    if (driver !== undefined) process.env.VK_ICD_FILENAMES = driver;
    const gpu = create(FLAGS);
    alive.push(gpu);
    if (await gpu.requestAdapter().catch(() => null)) return { gpu };
  }
  return { reason: 'there is no Vulkan driver; install the Debian packages chromium (for its SwiftShader) and libvulkan1' };
}
