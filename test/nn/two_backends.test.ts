/** Models and helpers follow their own backend: no default backend is set here. */
import { describe, expect, it } from 'vitest';
import { ascend } from '../../src/deconv/index.js';
import { memory } from '../../src/index.js';
import { Conv2d, ReLU, Sequential } from '../../src/nn/index.js';
import { BackendError, randn, tensor, withBackend, zeros } from '../../src/tensor/index.js';
import { zfnet } from '../../src/zfnet/index.js';
import { reference, strict } from '../support/backends.js';

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
