/** warmUp: what it runs, and that it leaves the network as it was. A backend that only counts kernels stands for one that compiles. */
import { beforeAll, describe, expect, it } from 'vitest';
import { createReferenceBackend } from '../../src/backend/reference/index.js';
import { init } from '../../src/index.js';
import { Dropout, Linear, ReLU, Sequential, warmUp } from '../../src/nn/index.js';
import { type Backend, getRandomState, tensor, ValueError, withBackend } from '../../src/tensor/index.js';

beforeAll(async () => {
  await init({ threads: 1 });
});

/** The reference backend with a `compileKernels` that runs nothing and records the names of the kernels. */
function compiling(): { backend: Backend; names: string[] } {
  const backend = createReferenceBackend();
  const names: string[] = [];
  const kernels = ['fill', 'linear', 'matmul', 'relu', 'reluGrad', 'crossEntropy', 'crossEntropyGrad', 'dropout', 'channelSum'] as const;
  backend.compileKernels = async (run) => {
    const originals = kernels.map((name) => backend[name]);
    for (const name of kernels) backend[name] = () => void names.push(name);
    run();
    kernels.forEach((name, i) => {
      Reflect.set(backend, name, originals[i]);
    });
  };
  return { backend, names };
}

const network = (backend: Backend) =>
  withBackend(
    backend,
    () => new Sequential({ hidden: new Linear(3, 4), relu: new ReLU(), dropout: new Dropout(0.5), out: new Linear(4, 2) }),
  );

describe('warmUp', () => {
  it('runs the forward pass in evaluation mode, and the backward pass too in training mode', async () => {
    const { backend, names } = compiling();
    const model = network(backend);
    await warmUp(model.eval(), [5, 3]);
    expect(names).toContain('linear');
    expect(names).not.toContain('crossEntropy');
    await warmUp(model.train(), [5, 3]);
    expect(names).toEqual(expect.arrayContaining(['dropout', 'crossEntropy', 'crossEntropyGrad']));
  });

  it('leaves gradients, random generators and memory as they were', async () => {
    const { backend } = compiling();
    const model = network(backend).train();
    const kept = withBackend(backend, () => tensor([1, 2], [2]));
    model.layer('out').parameters()[1].grad = kept;
    const before = [getRandomState(), backend.memory().buffers];
    await warmUp(model, [5, 3]);
    expect([getRandomState(), backend.memory().buffers]).toEqual(before);
    expect(model.parameters().map(({ grad }) => grad)).toEqual([null, null, null, kept]);
    await expect(
      warmUp(model, [5, 3], {
        loss: () => {
          throw new Error('no loss');
        },
      }),
    ).rejects.toThrow('no loss');
    expect(model.parameters().map(({ grad }) => grad)).toEqual([null, null, null, kept]);
  });

  it('resolves at once on a backend that compiles nothing, and refuses wrong arguments', async () => {
    const model = new Sequential({ out: new Linear(3, 2) });
    await warmUp(model, [1, 3]);
    await expect(warmUp(null as never, [1, 3])).rejects.toThrow(ValueError);
    await expect(warmUp(model, [0, 3])).rejects.toThrow(/expected at least one element/);
    await expect(warmUp(model, [1, 3], { los: 1 } as never)).rejects.toThrow(/unknown option 'los'/);
  });
});
