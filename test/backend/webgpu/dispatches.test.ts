/**
 * The number of dispatches per training step of ZFNet at full size, on a device that computes nothing: the choice of kernels depends on
 * shapes and limits alone, so that no GPU is needed to count them.
 */
import { expect, it } from 'vitest';
import type { GpuLike } from '../../../src/backend/webgpu/types.js';
import { createBackend } from '../../../src/index.js';
import { SGD } from '../../../src/nn/index.js';
import { crossEntropy, tensor, uniform, withBackend } from '../../../src/tensor/index.js';
import { zfnet } from '../../../src/zfnet/index.js';

/** The mark of the project for a step with batches of 128 images. */
const MOST_DISPATCHES = 150;

/** An implementation of WebGPU with the limits of a large GPU, whose kernels do nothing. Counts the dispatches by the label of the pipeline. */
function emptyGpu(counts: Map<string, number>): GpuLike {
  const limits = {
    maxBufferSize: 2 ** 32 - 16,
    maxStorageBufferBindingSize: 2 ** 32 - 16,
    maxComputeInvocationsPerWorkgroup: 1024,
    maxComputeWorkgroupSizeX: 1024,
    maxComputeWorkgroupStorageSize: 49152,
    maxComputeWorkgroupsPerDimension: 65535,
  };
  const features = { has: () => false };
  let current = '';
  const pass = {
    setPipeline: ({ label }: { label: string }) => {
      current = label;
    },
    setBindGroup: () => undefined,
    dispatchWorkgroups: () => counts.set(current, (counts.get(current) ?? 0) + 1),
    end: () => undefined,
  };
  const encoder = { beginComputePass: () => pass, copyBufferToBuffer: () => undefined, clearBuffer: () => undefined, finish: () => ({}) };
  const buffer = ({ size }: { size: number }) => ({
    size,
    mapAsync: async () => undefined,
    getMappedRange: (_offset?: number, length = size) => new ArrayBuffer(length),
    unmap: () => undefined,
    destroy: () => undefined,
  });
  const device = {
    features,
    limits,
    lost: new Promise(() => undefined),
    queue: { submit: () => undefined, writeBuffer: () => undefined, onSubmittedWorkDone: async () => undefined },
    createBuffer: buffer,
    createShaderModule: () => ({}),
    createBindGroupLayout: () => ({}),
    createPipelineLayout: () => ({}),
    createBindGroup: () => ({}),
    createComputePipeline: ({ label }: { label: string }) => ({ label }),
    createComputePipelineAsync: async ({ label }: { label: string }) => ({ label }),
    createCommandEncoder: () => encoder,
    pushErrorScope: () => undefined,
    popErrorScope: async () => null,
    destroy: () => undefined,
  };
  const info = { vendor: 'nvidia', architecture: 'lovelace', device: '', description: '' };
  const adapter = { info, limits, features, requestDevice: async () => device };
  return { requestAdapter: async () => adapter } as unknown as GpuLike;
}

it(`has at most ${MOST_DISPATCHES} dispatches at batch 128`, async () => {
  const counts = new Map<string, number>();
  const backend = await createBackend({ backend: 'webgpu', gpu: emptyGpu(counts) });
  const model = withBackend(backend, () => zfnet('a', { seed: 1 })).train();
  const optimizer = new SGD(model.parameters(), { lr: 0.01, momentum: 0.9, weightDecay: 5e-4, maxFilterRms: 0.1 });
  const images = withBackend(backend, () => uniform([128, 3, 224, 224]));
  const labels = tensor(new Int32Array(128), [128], { backend });
  const step = () => {
    counts.clear();
    crossEntropy(model.forward(images), labels).backward();
    optimizer.step();
    optimizer.zeroGrad();
  };
  step();
  step();
  const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
  expect(total, JSON.stringify([...counts])).toBeLessThanOrEqual(MOST_DISPATCHES);
  // The fused kernels: three poolings behind a ReLU, five limited filters.
  const of = (name: string) => [...counts].filter(([label]) => label.startsWith(name)).reduce((sum, [, count]) => sum + count, 0);
  expect([of('maxPool2dReluGrad'), of('sgdClipRms')]).toEqual([3, 5]);
  backend.dispose();
});
