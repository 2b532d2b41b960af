/** Finds the device: `navigator.gpu` in browsers and Deno, the npm package `webgpu` in Node and Bun. */
import type { DeviceInfo } from '../backend.js';
import { BackendError } from '../errors.js';
import { hasNodeModules } from '../node_module.js';
import type { KernelLimits } from './kernel.js';
import type { GpuAdapterInfoLike, GpuAdapterLike, GpuDeviceLike, GpuLike } from './types.js';

/** A device that is ready to use. */
export interface OpenDevice {
  readonly device: GpuDeviceLike;
  readonly info: DeviceInfo;
  readonly limits: KernelLimits;
  /** Whether the device measures the duration of passes. */
  readonly timestamps: boolean;
}

/** Limits that are raised to those of the adapter; the defaults of WebGPU are too small for ZFNet. */
const RAISED = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
  'maxComputeWorkgroupStorageSize',
  'maxComputeWorkgroupsPerDimension',
] as const;

/** Defaults of the WebGPU standard, for implementations that do not report a limit. */
const DEFAULTS: Readonly<Record<string, number>> = {
  maxBufferSize: 2 ** 28,
  maxStorageBufferBindingSize: 2 ** 27,
  maxComputeInvocationsPerWorkgroup: 256,
  maxComputeWorkgroupStorageSize: 16384,
  maxComputeWorkgroupsPerDimension: 65535,
};
/** Offsets are 32-bit numbers in shaders, and sizes multiples of 16 bytes. */
const MOST_BYTES = 2 ** 32 - 16;
const SOFTWARE = /swiftshader|llvmpipe|lavapipe|softpipe|software|basic render|\bwarp\b/i;

/** What the package `webgpu` returned. It must not be garbage-collected while a device of it is in use. */
let inNode: Promise<GpuLike> | undefined;

/** Loads the npm package `webgpu`. @throws BackendError if it is not installed */
async function loadPackage(): Promise<GpuLike> {
  // A computed name keeps bundlers from resolving the optional package.
  const name = 'webgpu';
  let create: (flags: readonly string[]) => GpuLike;
  try {
    ({ create } = await import(/* @vite-ignore */ /* webpackIgnore: true */ name));
  } catch (error) {
    throw new BackendError(
      `init: this runtime has no WebGPU, and its npm package could not be loaded; run "npm install webgpu", or pass the option gpu (${error instanceof Error ? error.message : error})`,
    );
  }
  // Without this flag, timestamps are rounded to 65 microseconds.
  return create(['disable-dawn-features=timestamp_quantization']);
}

/** Returns the implementation of WebGPU of this runtime. */
async function findGpu(): Promise<GpuLike> {
  const { gpu } = (globalThis.navigator ?? {}) as { gpu?: GpuLike };
  if (gpu) return gpu;
  if (!hasNodeModules())
    throw new BackendError(
      'init: this browser or context has no WebGPU (navigator.gpu is missing: it needs https or localhost); leave `backend` out to use wasm',
    );
  inNode ??= loadPackage();
  try {
    return await inNode;
  } catch (error) {
    inNode = undefined;
    throw error;
  }
}

async function requestAdapter(gpu: GpuLike): Promise<GpuAdapterLike> {
  const adapter = (await gpu.requestAdapter({ powerPreference: 'high-performance' })) ?? (await gpu.requestAdapter());
  if (!adapter)
    throw new BackendError(
      'init: WebGPU found no adapter; check the driver of the GPU (on Linux: its Vulkan driver and the loader libvulkan1; VK_ICD_FILENAMES names the JSON file of the driver if it is in an unusual place), or leave `backend` out to use wasm',
    );
  return adapter as GpuAdapterLike;
}

const features = (adapter: GpuAdapterLike) => ['timestamp-query'].filter((name) => adapter.features.has(name));

/** Requests a device with the limits of the adapter; with the standard's limits if the implementation refuses. */
async function requestDevice(gpu: GpuLike): Promise<{ device: GpuDeviceLike; adapter: GpuAdapterLike }> {
  const adapter = await requestAdapter(gpu);
  const limits = RAISED.map((name) => [name, adapter.limits[name]] as const).filter(([, value]) => value !== undefined);
  try {
    const requiredLimits = Object.fromEntries(limits);
    return { device: await adapter.requestDevice({ label: 'zfnet', requiredFeatures: features(adapter), requiredLimits }), adapter };
  } catch {
    // An adapter gives one device only.
    const again = await requestAdapter(gpu);
    try {
      return { device: await again.requestDevice({ label: 'zfnet' }), adapter: again };
    } catch (error) {
      throw new BackendError(`init: WebGPU gave no device: ${error instanceof Error ? error.message : error}`);
    }
  }
}

function describe(adapter: GpuAdapterLike): DeviceInfo {
  const info: GpuAdapterInfoLike = adapter.info ?? {};
  const { vendor = '', architecture = '', device = '', description = '' } = info;
  const text = [vendor, architecture, device, description].join(' ');
  const software = info.isFallbackAdapter === true || adapter.isFallbackAdapter === true || SOFTWARE.test(text);
  return { vendor, architecture, description: description || device, software };
}

/** Opens a device. @throws BackendError if the runtime has no WebGPU, no adapter or no device */
export async function openDevice(given: GpuLike | undefined): Promise<OpenDevice> {
  const { device, adapter } = await requestDevice(given ?? (await findGpu()));
  const limit = (name: string) => device.limits[name] ?? DEFAULTS[name];
  return {
    device,
    info: describe(adapter),
    timestamps: device.features.has('timestamp-query'),
    limits: {
      maxBufferBytes: Math.min(Math.floor(Math.min(limit('maxBufferSize'), limit('maxStorageBufferBindingSize')) / 16) * 16, MOST_BYTES),
      maxWorkgroupsPerDimension: limit('maxComputeWorkgroupsPerDimension'),
      maxInvocations: limit('maxComputeInvocationsPerWorkgroup'),
      maxWorkgroupBytes: limit('maxComputeWorkgroupStorageSize'),
    },
  };
}
