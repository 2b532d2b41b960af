/**
 * The queue: records kernels into one open compute pass and submits it when something is read, when many kernels are recorded, after some
 * time, and at the latest when the program yields. The parameters of all kernels of a batch are uploaded at once.
 */
import type { DeviceInfo, Storage } from '../backend.js';
import { BackendError } from '../errors.js';
import { type GpuBlock, GpuMemory, type GpuStorage, type OpenBatch } from './buffers.js';
import type { OpenDevice } from './device.js';
import { Faults } from './faults.js';
import type { CheckSlot, GpuQueue, Kernel, KernelLimits } from './kernel.js';
import { Pipelines, SLOT_BYTES } from './pipelines.js';
import type { DispatchTimer, Timeable } from './profile.js';
import { type GpuBufferLike, type GpuDeviceLike, type GpuEncoderLike, type GpuOpaque, type GpuPassLike, USAGE } from './types.js';

/** Kernels per batch: a training step of ZFNet is two or three batches, and the device starts while the rest is recorded. */
const MOST_SLOTS = 64;
/** Milliseconds after which a batch is submitted, so that the device does not wait for a program that records slowly. */
const MOST_MS = 20;

/** Options of the queue. */
export interface QueueOptions {
  readonly mode: 'strict' | 'fast';
  /** Maximum number of bytes of all buffers. */
  readonly maxBytes: number;
}

/** The parameters of the kernels of the open batch: one slot per kernel, uploaded at once. */
class ParameterRing {
  readonly buffer: GpuBufferLike;
  /** The dynamic offset of the last slot written, as `setBindGroup` takes it. */
  readonly offset = new Uint32Array(1);
  readonly #words = new DataView(new ArrayBuffer(MOST_SLOTS * SLOT_BYTES));

  constructor(readonly device: GpuDeviceLike) {
    const usage = USAGE.uniform | USAGE.copyTarget;
    this.buffer = device.createBuffer({ label: 'parameters', size: MOST_SLOTS * SLOT_BYTES, usage });
  }

  write(slot: number, { name, params }: Kernel, values: readonly number[]): void {
    if (values.length !== params.length)
      throw new BackendError(`webgpu: kernel ${name} got ${values.length} values, expected ${params.length}`);
    const at = slot * SLOT_BYTES;
    this.offset[0] = at;
    for (let i = 0; i < params.length; i++) {
      if (params[i][1] === 'f32') this.#words.setFloat32(at + 4 * i, values[i], true);
      else this.#words.setInt32(at + 4 * i, values[i], true);
    }
  }

  upload(slots: number): void {
    if (slots > 0) this.device.queue.writeBuffer(this.buffer, 0, this.#words.buffer as ArrayBuffer, 0, slots * SLOT_BYTES);
  }
}

/** The error scope around each batch. */
class BatchErrors {
  /** Validation errors of these batches follow from a buffer that could not be allocated. */
  #excused: readonly [first: number, last: number] = [0, 0];

  constructor(
    readonly device: GpuDeviceLike,
    readonly faults: Faults,
  ) {}

  begin(): void {
    this.device.pushErrorScope('validation');
  }

  end(batch: number, kernels: readonly Kernel[]): void {
    this.faults.await(
      this.device.popErrorScope().then((error) => {
        const [first, last] = this.#excused;
        if (error && !(batch >= first && batch <= last)) this.faults.poison(batchError(kernels, error.message));
      }),
    );
  }

  excuse(first: number, last: number): void {
    const [from, to] = this.#excused;
    this.#excused = [to >= first ? Math.min(from, first) : first, last];
  }
}

/** Records kernels and copies into batches of commands, and submits them. */
export class Recorder implements OpenBatch {
  number = 1;
  readonly ring: ParameterRing;
  readonly #errors: BatchErrors;
  #encoder: GpuEncoderLike | null = null;
  #pass: GpuPassLike | null = null;
  #current: GpuOpaque | null = null;
  #kernels: Kernel[] = [];
  #started = 0;
  #scheduled = false;
  /** Set while dispatches are timed: each then has a pass of its own. */
  #timer: DispatchTimer | null = null;

  constructor(
    readonly device: GpuDeviceLike,
    readonly faults: Faults,
  ) {
    this.ring = new ParameterRing(device);
    this.#errors = new BatchErrors(device, faults);
  }

  /** Records one dispatch of a kernel. */
  dispatch(
    kernel: Kernel,
    pipeline: GpuOpaque,
    group: GpuOpaque,
    values: readonly number[],
    groups: readonly [number, number, number],
  ): void {
    this.#open();
    const pass = this.#passOf(kernel);
    if (this.#current !== pipeline) pass.setPipeline(pipeline);
    this.#current = pipeline;
    if (kernel.params.length === 0) pass.setBindGroup(0, group);
    else {
      this.ring.write(this.#kernels.length, kernel, values);
      pass.setBindGroup(0, group, this.ring.offset, 0, 1);
    }
    pass.dispatchWorkgroups(...groups);
    this.#kernels.push(kernel);
    if (this.#timer) this.#endPass();
  }

  /** Submits the batch if it is large or old enough. Blocks named by its commands have been marked with its number before. */
  flushIfDue(): void {
    const each = this.#timer?.submitsEach ?? false;
    if (each || this.#kernels.length >= MOST_SLOTS || performance.now() - this.#started > MOST_MS) this.flush();
    if (each) this.#timer?.submitted();
  }

  /** Returns the encoder outside of a pass, for copies. The copy may name the blocks. */
  encoder(...blocks: readonly GpuBlock[]): GpuEncoderLike {
    const encoder = this.#open();
    this.#endPass();
    for (const block of blocks) block.batch = this.number;
    return encoder;
  }

  flush(): void {
    const encoder = this.#encoder;
    if (!encoder) return;
    this.#endPass();
    this.ring.upload(this.#kernels.length);
    this.device.queue.submit([encoder.finish()]);
    this.#errors.end(this.number, this.#kernels);
    [this.#encoder, this.#kernels] = [null, []];
    this.number++;
  }

  timeWith(timer: DispatchTimer | null): void {
    this.#endPass();
    this.#timer = timer;
  }

  excuse(first: number): void {
    this.#errors.excuse(first, this.number);
  }

  /** Opens a batch, which is submitted at the latest when the program yields. */
  #open(): GpuEncoderLike {
    if (this.#encoder) return this.#encoder;
    this.#errors.begin();
    this.#encoder = this.device.createCommandEncoder({ label: `batch ${this.number}` });
    this.#started = performance.now();
    if (!this.#scheduled) {
      this.#scheduled = true;
      queueMicrotask(() => {
        this.#scheduled = false;
        if (!this.faults.stopped) this.flush();
      });
    }
    return this.#encoder;
  }

  #passOf(kernel: Kernel): GpuPassLike {
    if (this.#pass) return this.#pass;
    const timestampWrites = this.#timer?.dispatch(kernel.name);
    this.#current = null;
    this.#pass = this.#encoder!.beginComputePass(timestampWrites && { label: kernel.name, timestampWrites });
    return this.#pass;
  }

  #endPass(): void {
    this.#pass?.end();
    this.#pass = null;
  }
}

/** The queue of one device, with its memory and its pipelines. */
export class DeviceQueue implements GpuQueue, Timeable {
  readonly device: GpuDeviceLike;
  readonly limits: KernelLimits;
  readonly software: boolean;
  /** The device, as the runtime describes it. */
  readonly info: DeviceInfo;
  readonly mode: 'strict' | 'fast';
  readonly faults = new Faults();
  readonly recorder: Recorder;
  readonly memory: GpuMemory;
  readonly pipelines: Pipelines;
  /** Adds a deferred check; set by the reader, which examines it. */
  check: (errorOf: (words: Uint32Array) => Error | null) => CheckSlot = () => {
    throw new BackendError('webgpu: checks are not available');
  };
  /** Set while kernels are collected in place of being run. */
  #collected: Set<Kernel> | null = null;

  constructor(opened: OpenDevice, options: QueueOptions) {
    this.device = opened.device;
    this.limits = opened.limits;
    this.software = opened.info.software;
    this.info = opened.info;
    this.mode = options.mode;
    this.recorder = new Recorder(this.device, this.faults);
    this.pipelines = new Pipelines(this.device, this.recorder.ring.buffer, this.faults);
    this.memory = new GpuMemory(this.device, { ...this.limits, ...options }, this.faults, this.recorder, () =>
      this.pipelines.forgetGroups(),
    );
  }

  own(storage: Storage): GpuStorage {
    return this.memory.own(storage);
  }

  scratch(bytes: number): GpuStorage {
    return this.memory.scratch(bytes);
  }

  release(storage: GpuStorage): void {
    this.memory.dropScratch(storage);
  }

  launch(
    kernel: Kernel,
    storages: readonly GpuStorage[],
    values: readonly number[],
    [x, y = 1, z = 1]: readonly [x: number, y?: number, z?: number],
  ): void {
    this.faults.check();
    if (this.#collected) {
      this.#collected.add(kernel);
      return;
    }
    if (this.faults.stopped || x === 0 || y === 0 || z === 0) return;
    const failed = storages.find(({ block }) => block!.failure);
    if (failed) {
      this.faults.report(failed.block!.failure!);
      return;
    }
    const pipeline = this.pipelines.get(kernel);
    const group = this.pipelines.group(pipeline, kernel, storages);
    this.recorder.dispatch(kernel, pipeline.pipeline, group, values, [x, y, z]);
    for (const { block } of storages) block!.batch = this.recorder.number;
    this.recorder.flushIfDue();
  }

  /** Returns the kernels that a function would run, and runs none of them. */
  collect(run: () => void): Set<Kernel> {
    const collected = new Set<Kernel>();
    this.#collected = collected;
    try {
      run();
    } finally {
      this.#collected = null;
    }
    return collected;
  }

  flush(): void {
    this.recorder.flush();
  }

  timeWith(timer: DispatchTimer | null): void {
    this.recorder.timeWith(timer);
  }

  dispose(): void {
    this.faults.dispose();
    this.device.destroy();
  }
}

/** Names the kernel that the message of the device names, or all kernels of the batch. */
function batchError(kernels: readonly Kernel[], message: string): BackendError {
  const names = [...new Set(kernels.map(({ name }) => name))];
  const named = names.filter((name) => message.includes(`"${name}`));
  const suspects = named.length > 0 ? named : names;
  const text = suspects.length === 0 ? 'a copy' : suspects.length > 6 ? `${suspects.slice(0, 6).join(', ')}, …` : suspects.join(', ');
  return new BackendError(`webgpu: the device refused commands (${text}): ${message}`);
}
