/**
 * The parts of WebGPU that this backend uses, as structural types of our own. Programs whose TypeScript configuration has no WebGPU types
 * compile, and any object with these members will do: `navigator.gpu` of a browser or Deno, or the object that `create()` of the npm package
 * `webgpu` returns.
 */

/** An implementation of WebGPU: `navigator.gpu`, or the result of `create([])` of the npm package `webgpu`. */
export interface GpuLike {
  /** Returns a device's adapter, or null if there is none. */
  requestAdapter(options?: object): Promise<object | null>;
}

export type GpuLimits = Readonly<Record<string, number | undefined>>;

export interface GpuAdapterInfoLike {
  readonly vendor?: string;
  readonly architecture?: string;
  readonly device?: string;
  readonly description?: string;
  readonly isFallbackAdapter?: boolean;
}

export interface GpuAdapterLike {
  readonly limits: GpuLimits;
  readonly features: { has(name: string): boolean };
  readonly info?: GpuAdapterInfoLike;
  readonly isFallbackAdapter?: boolean;
  requestDevice(descriptor?: object): Promise<GpuDeviceLike>;
}

export interface GpuErrorLike {
  readonly message: string;
}

export interface GpuBufferLike {
  readonly size: number;
  mapAsync(mode: number, offset?: number, size?: number): Promise<void>;
  getMappedRange(offset?: number, size?: number): ArrayBuffer;
  unmap(): void;
  destroy(): void;
}

export interface GpuShaderModuleLike {
  getCompilationInfo?(): Promise<{ readonly messages: readonly { type: string; message: string; lineNum: number }[] }>;
}

/** An object that is only passed back to WebGPU. */
export type GpuOpaque = object;

export interface GpuTimestampWrites {
  readonly querySet: GpuQuerySetLike;
  readonly beginningOfPassWriteIndex: number;
  readonly endOfPassWriteIndex: number;
}

export interface GpuQuerySetLike {
  destroy(): void;
}

export interface GpuPassLike {
  setPipeline(pipeline: GpuOpaque): void;
  setBindGroup(index: number, group: GpuOpaque, offsets?: Uint32Array | readonly number[], start?: number, length?: number): void;
  dispatchWorkgroups(x: number, y?: number, z?: number): void;
  end(): void;
}

export interface GpuEncoderLike {
  beginComputePass(descriptor?: { label: string; timestampWrites: GpuTimestampWrites }): GpuPassLike;
  copyBufferToBuffer(source: GpuBufferLike, sourceOffset: number, target: GpuBufferLike, targetOffset: number, size: number): void;
  clearBuffer(buffer: GpuBufferLike, offset?: number, size?: number): void;
  resolveQuerySet(set: GpuQuerySetLike, first: number, count: number, target: GpuBufferLike, offset: number): void;
  finish(): GpuOpaque;
}

export interface GpuDeviceLike {
  readonly limits: GpuLimits;
  readonly features: { has(name: string): boolean };
  readonly lost: Promise<{ readonly reason?: string; readonly message: string }>;
  readonly queue: {
    submit(commands: readonly GpuOpaque[]): void;
    writeBuffer(buffer: GpuBufferLike, offset: number, data: ArrayBuffer, dataOffset?: number, size?: number): void;
    onSubmittedWorkDone(): Promise<unknown>;
  };
  createBuffer(descriptor: { label?: string; size: number; usage: number }): GpuBufferLike;
  createShaderModule(descriptor: { label?: string; code: string }): GpuShaderModuleLike;
  createBindGroupLayout(descriptor: object): GpuOpaque;
  createPipelineLayout(descriptor: object): GpuOpaque;
  createBindGroup(descriptor: object): GpuOpaque;
  createComputePipeline(descriptor: object): GpuOpaque;
  createComputePipelineAsync(descriptor: object): Promise<GpuOpaque>;
  createCommandEncoder(descriptor?: { label?: string }): GpuEncoderLike;
  createQuerySet(descriptor: { type: 'timestamp'; count: number }): GpuQuerySetLike;
  pushErrorScope(filter: 'validation' | 'out-of-memory' | 'internal'): void;
  popErrorScope(): Promise<GpuErrorLike | null>;
  addEventListener?(type: 'uncapturederror', listener: (event: { readonly error: GpuErrorLike }) => void): void;
  destroy(): void;
}

/** Usage flags of buffers. */
export const USAGE = { mapRead: 0x1, copySource: 0x4, copyTarget: 0x8, uniform: 0x40, storage: 0x80, queryResolve: 0x200 } as const;
/** The mode of `mapAsync` for reading. */
export const MAP_READ = 0x1;
