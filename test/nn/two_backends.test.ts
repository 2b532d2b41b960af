/** Models and helpers follow their own backend: no default backend is set here. */
import { describe, expect, it } from 'vitest';
import type { Example } from '../../src/data/dataset.js';
import { ascend, deconvnet, occlude, projectTop, topActivations } from '../../src/deconv/index.js';
import { memory } from '../../src/index.js';
import { Conv2d, countParameters, ReLU, Sequential, summarize } from '../../src/nn/index.js';
import type { Backend } from '../../src/tensor/index.js';
import { BackendError, DTypeError, randn, setDefaultBackend, tensor, withBackend, zeros } from '../../src/tensor/index.js';
import { evaluate, extractFeatures, imagesToTensor, Preprocess, predict, zfnet } from '../../src/zfnet/index.js';
import { backends, reference, strict } from '../support/backends.js';
import { bars, CLASSES } from '../zfnet/support.js';

const turn = () => new Promise((resolve) => setTimeout(resolve, 0));

describe('without a default backend', () => {
  it('zfnet({ backend }) creates the network there, and undefined counts as absent', () => {
    const model = zfnet('small', { classes: 2, width: 0.02, channels: 1, inputSize: 28, backend: strict.backend });
    expect(new Set(model.parameters().map(({ backend }) => backend))).toEqual(new Set([strict.backend]));
    expect(model.architecture).not.toHaveProperty('backend');
    expect(() => zfnet('small', { backend: undefined })).toThrow(BackendError);
    expect(() => zfnet('small', { backend: {} as never })).toThrow(/backend is .*, expected a backend/);
    expect(memory).toThrow(BackendError);
  });

  it('zfnet({ dtype, requiresGrad }) creates the weights so', async () => {
    const options = { classes: 2, width: 0.02, channels: 1, inputSize: 28, seed: 1 } as const;
    const single = zfnet('small', { ...options, backend: reference });
    const double = zfnet('small', { ...options, backend: reference, dtype: 'float64', requiresGrad: false });
    expect([...new Set(single.parameters().map(({ dtype, requiresGrad }) => `${dtype} ${requiresGrad}`))]).toEqual(['float32 true']);
    expect([...new Set(double.parameters().map(({ dtype, requiresGrad }) => `${dtype} ${requiresGrad}`))]).toEqual(['float64 false']);
    expect(double.architecture).toEqual(single.architecture);
    const [a, b] = await Promise.all([single, double].map((model) => model.parameters()[0].data()));
    expect(Float32Array.from(b)).toEqual(a);
    const x = tensor(new Float64Array(784).fill(0.5), [1, 1, 28, 28], { backend: reference });
    expect(double.eval().forward(x).dtype).toBe('float64');
    const { buffers } = strict.backend.memory();
    expect(() => zfnet('small', { ...options, backend: strict.backend, dtype: 'float64' })).toThrow(DTypeError);
    expect(strict.backend.memory().buffers).toBe(buffers);
    expect(() => zfnet('small', { ...options, dtype: 'int32' as never })).toThrow(/dtype is 'int32', expected 'float32' or 'float64'/);
    expect(() => zfnet('small', { ...options, requiresGrad: 1 as never })).toThrow(/requiresGrad is 1/);
  });

  it('two interleaved functions with their own backends give what each gives alone', async () => {
    const run = async (backend: typeof reference) => {
      const model = zfnet('small', { classes: 2, width: 0.02, channels: 1, inputSize: 28, seed: 1, backend });
      const sums: number[] = [];
      for (let i = 0; i < 3; i++) {
        const x = tensor(new Float32Array(784).fill(i), [1, 1, 28, 28], { backend, dtype: undefined });
        await turn();
        sums.push(await model.eval().forward(x).sum().item());
        await turn();
        expect(zeros([1], { backend }).backend).toBe(backend);
        expect(randn([1], { backend }).backend).toBe(backend);
      }
      return sums;
    };
    const alone = [await run(reference), await run(strict.backend)];
    expect(await Promise.all([run(reference), run(strict.backend)])).toEqual(alone);
  });

  it('ascend() uses the backend of the model', async () => {
    const model = withBackend(strict.backend, () => new Sequential({ conv: new Conv2d(1, 2, 3), relu: new ReLU() }));
    const found = await ascend(model, { layer: 'conv', input: [1, 5, 5], maps: [0], steps: 2 });
    expect(found).toHaveLength(1);
  });
});

describe('the backend of the model is used, whatever the default backend is:', () => {
  const split = bars({ val: 3 }).splits.val;
  const preprocess = new Preprocess({ inputSize: 28, side: 32, channels: 1, scale: 1 / 64 });
  const imagesOf = (examples: readonly Example[]) => examples.map(({ image }) => image);
  /** As users write it: without a backend. */
  const prepare = (examples: readonly Example[]) => imagesToTensor(preprocess, imagesOf(examples));
  const build = (backend: Backend) => {
    const model = zfnet('small', { classes: 3, width: 0.02, channels: 1, inputSize: 28, seed: 1, init: 'he', backend });
    return { model, preprocess, classes: CLASSES };
  };
  const photo = (backend: Backend) =>
    tensor(
      new Float32Array(784).map((_, i) => (i % 28) / 28),
      [1, 28, 28],
      { backend },
    );

  const HELPERS: Record<string, (backend: Backend) => Promise<unknown>> = {
    predict: async (backend) => predict(build(backend), [(await split.get(0)).image], { crops: 10 }),
    evaluate: async (backend) => evaluate(build(backend), split),
    occlude: async (backend) => {
      const { probability, label } = await occlude(build(backend).model, photo(backend).unsqueeze(0), {
        layer: 'conv5',
        square: 8,
        stride: 8,
      });
      return { probability, label };
    },
    'occlude, every image whole': async (backend) => {
      const { probability } = await occlude(build(backend).model, photo(backend).unsqueeze(0), {
        layer: 'conv5',
        square: 8,
        stride: 8,
        incremental: false,
      });
      return probability;
    },
    'deconvnet().project': async (backend) => {
      const projected = await deconvnet(build(backend).model).project(photo(backend), { layer: 'conv2', map: 1 });
      expect(projected.backend).toBe(backend);
      return await projected.data();
    },
    topActivations: async (backend) => topActivations(build(backend).model, split, { layers: ['conv2'], preprocess: prepare }),
    projectTop: async (backend) => {
      const { model } = build(backend);
      const { conv2 } = await topActivations(model, split, { layers: ['conv2'], preprocess: prepare });
      return await projectTop(model, split, conv2.slice(0, 2), { layer: 'conv2', preprocess: prepare });
    },
    summarize: async (backend) => {
      const { model } = build(backend);
      return [summarize(model, [1, 1, 28, 28]), countParameters(model)];
    },
    extractFeatures: async (backend) => extractFeatures(build(backend), split, ['norm1', 'relu7']),
  };

  it.each(Object.keys(HELPERS))('%s', async (name) => {
    const expected = await HELPERS[name](strict.backend);
    // No other test of this file has tensors on it.
    const [{ backend: unused }] = backends;
    setDefaultBackend(unused);
    try {
      expect(await HELPERS[name](strict.backend)).toEqual(expected);
      expect(unused.memory()).toMatchObject({ buffers: 0, peakBytes: 0 });
    } finally {
      setDefaultBackend(null);
    }
  });
});
