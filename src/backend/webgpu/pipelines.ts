/**
 * Pipelines and bind groups. Kernels with the same kinds of buffers share one explicit layout, so that their bind groups can be shared too;
 * a bind group is cached by its layout and buffers, since creating one costs more than twenty times as much as recording a dispatch.
 */
import { BackendError } from '../errors.js';
import type { GpuBlock, GpuStorage } from './buffers.js';
import type { Faults } from './faults.js';
import type { Kernel } from './kernel.js';
import type { GpuBufferLike, GpuDeviceLike, GpuOpaque } from './types.js';
import { shaderOf } from './wgsl.js';

/** Bytes of the parameters of one dispatch: the alignment that WebGPU guarantees for dynamic offsets. */
export const SLOT_BYTES = 256;
const MOST_PARAMS = 60;
/** Bind groups in the cache; all are forgotten beyond that, as happens with inputs of ever new sizes. */
const MOST_GROUPS = 4096;
const COMPUTE_STAGE = 0x4;

/** A tree of bind groups: one level per buffer, by its id. */
type Groups = Map<number, Groups | GpuOpaque>;

interface Layout {
  readonly group: GpuOpaque;
  readonly pipeline: GpuOpaque;
  readonly hasParams: boolean;
  groups: Groups;
}

/** A compiled kernel. */
export interface GpuPipeline {
  readonly pipeline: GpuOpaque;
  readonly layout: Layout;
}

/** The pipelines of one device. */
export class Pipelines {
  /** By kernel object, and by name and key for objects that were made again. */
  readonly #byKernel = new WeakMap<Kernel, GpuPipeline>();
  readonly #byName = new Map<string, GpuPipeline>();
  readonly #layouts = new Map<string, Layout>();
  #groups = 0;

  constructor(
    readonly device: GpuDeviceLike,
    readonly ring: GpuBufferLike,
    readonly faults: Faults,
  ) {}

  /** Returns the pipeline of a kernel; compiles it if this is its first use. An error of the compiler poisons the backend. */
  get(kernel: Kernel): GpuPipeline {
    const known = this.#byKernel.get(kernel) ?? this.#known(kernel);
    if (known) return known;
    const { device } = this;
    device.pushErrorScope('validation');
    const descriptor = this.#descriptor(kernel);
    const pipeline = device.createComputePipeline(descriptor.pipeline);
    this.#watch(kernel, device.popErrorScope());
    return this.#add(kernel, pipeline, descriptor.layout);
  }

  /** Compiles kernels without blocking, all at the same time. Resolves when all are compiled. */
  async compile(kernels: Iterable<Kernel>): Promise<void> {
    const { device } = this;
    await Promise.all(
      [...kernels].map(async (kernel) => {
        if (this.#byKernel.has(kernel) || this.#known(kernel)) return;
        device.pushErrorScope('validation');
        const descriptor = this.#descriptor(kernel);
        this.#watch(kernel, device.popErrorScope());
        try {
          const pipeline = await device.createComputePipelineAsync(descriptor.pipeline);
          if (!this.#known(kernel)) this.#add(kernel, pipeline, descriptor.layout);
        } catch (error) {
          this.faults.poison(compileError(kernel, error instanceof Error ? error.message : String(error)));
        }
      }),
    );
  }

  /** Returns the bind group of storages in a layout, with the ring of parameters behind them. */
  group({ layout }: GpuPipeline, kernel: Kernel, storages: readonly GpuStorage[]): GpuOpaque {
    let level = layout.groups;
    const last = storages.length - 1;
    for (let i = 0; i < last; i++) {
      const { id } = storages[i].block!;
      let next = level.get(id) as Groups | undefined;
      if (next === undefined) {
        next = new Map();
        level.set(id, next);
      }
      level = next;
    }
    const { id } = storages[last].block!;
    const found = level.get(id);
    if (found) return found;
    if (this.#groups >= MOST_GROUPS) {
      this.forgetGroups();
      return this.group({ layout } as GpuPipeline, kernel, storages);
    }
    const made = this.#createGroup(layout, kernel, storages);
    level.set(id, made);
    return made;
  }

  forgetGroups(): void {
    for (const layout of this.#layouts.values()) layout.groups = new Map();
    this.#groups = 0;
  }

  #createGroup(layout: Layout, kernel: Kernel, storages: readonly GpuStorage[]): GpuOpaque {
    this.#groups++;
    const blocks: GpuBlock[] = storages.map(({ block }) => block!);
    const entries: object[] = blocks.map(({ buffer }, binding) => ({ binding, resource: { buffer } }));
    if (layout.hasParams) entries.push({ binding: blocks.length, resource: { buffer: this.ring, offset: 0, size: SLOT_BYTES } });
    this.device.pushErrorScope('validation');
    const made = this.device.createBindGroup({ label: kernel.name, layout: layout.group, entries });
    this.#watch(kernel, this.device.popErrorScope());
    return made;
  }

  #known(kernel: Kernel): GpuPipeline | undefined {
    const known = this.#byName.get(`${kernel.name}\n${kernel.key}`);
    if (known) this.#byKernel.set(kernel, known);
    return known;
  }

  #add(kernel: Kernel, pipeline: GpuOpaque, layout: Layout): GpuPipeline {
    const made = { pipeline, layout };
    this.#byKernel.set(kernel, made);
    this.#byName.set(`${kernel.name}\n${kernel.key}`, made);
    return made;
  }

  #descriptor(kernel: Kernel): { pipeline: object; layout: Layout } {
    if (kernel.params.length > MOST_PARAMS)
      throw new BackendError(`webgpu: kernel ${kernel.name} has ${kernel.params.length} params, expected at most ${MOST_PARAMS}`);
    const layout = this.#layout(kernel);
    const label = `${kernel.name} ${kernel.key}`;
    const module = this.device.createShaderModule({ label, code: shaderOf(kernel) });
    return { pipeline: { label, layout: layout.pipeline, compute: { module, entryPoint: 'main' } }, layout };
  }

  #layout(kernel: Kernel): Layout {
    const hasParams = kernel.params.length > 0;
    const text = kernel.buffers.map(({ access }) => (access === 'read' ? 'r' : 'w')).join('') + (hasParams ? 'p' : '');
    const known = this.#layouts.get(text);
    if (known) return known;
    const entries: object[] = kernel.buffers.map(({ access }, binding) => ({
      binding,
      visibility: COMPUTE_STAGE,
      buffer: { type: access === 'read' ? 'read-only-storage' : 'storage' },
    }));
    if (hasParams)
      entries.push({
        binding: kernel.buffers.length,
        visibility: COMPUTE_STAGE,
        buffer: { type: 'uniform', hasDynamicOffset: true },
      });
    const group = this.device.createBindGroupLayout({ label: text, entries });
    const pipeline = this.device.createPipelineLayout({ label: text, bindGroupLayouts: [group] });
    const layout: Layout = { group, pipeline, hasParams, groups: new Map() };
    this.#layouts.set(text, layout);
    return layout;
  }

  #watch(kernel: Kernel, scope: Promise<{ readonly message: string } | null>): void {
    this.faults.await(
      scope.then((error) => {
        if (error) this.faults.poison(compileError(kernel, error.message));
      }),
    );
  }
}

const compileError = (kernel: Kernel, message: string): BackendError =>
  new BackendError(`webgpu: the device refused the kernel ${kernel.name} (${kernel.key}): ${message}`);
