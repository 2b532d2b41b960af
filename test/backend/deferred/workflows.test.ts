/**
 * Everything that users do with a network, on the deferred backend: training, saving and loading, ONNX, projections and experiments. It
 * shows that nothing above the backends needs a synchronous read, an alias or an error at once. Results are those of the reference.
 */
import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createReferenceBackend } from '../../../src/backend/reference/index.js';
import { ascend, deconvnet, occlude, projectTop, topActivations } from '../../../src/deconv/index.js';
import { loadOnnx, toOnnx } from '../../../src/formats/onnx/index.js';
import { loadSafetensors, saveSafetensors } from '../../../src/formats/safetensors.js';
import { SGD } from '../../../src/nn/index.js';
import { type Backend, crossEntropy, manualSeed, setDefaultBackend, tensor, withBackend } from '../../../src/tensor/index.js';
import { MemoryStore, train, type ZfNet } from '../../../src/zfnet/index.js';
import { noise, noiseSplit } from '../../deconv/support.js';
import { INPUT, tinyJob, tinyNet } from '../../zfnet/support.js';
import { createDeferredBackend } from './deferred.js';

const reference = createReferenceBackend();
const deferred = createDeferredBackend();
beforeAll(() => setDefaultBackend(deferred));
afterAll(() => {
  reference.dispose();
  deferred.dispose();
});

/** Runs `use` on the reference and on the deferred backend, each with the same network, and compares the results. */
async function same(use: (model: ZfNet, backend: Backend) => Promise<unknown>, channels = 1): Promise<void> {
  const results: unknown[] = [];
  for (const backend of [reference, deferred]) {
    setDefaultBackend(backend);
    manualSeed(3);
    const model = withBackend(backend, () => tinyNet({ seed: 3, channels }));
    results.push(await use(model, backend));
    await backend.synchronize();
  }
  expect(isDeepStrictEqual(results[1], results[0])).toBe(true);
}

const batchOf = (n: number, channels: number, backend: Backend) =>
  tensor(Float32Array.from(noise(n * channels * INPUT * INPUT, 7)), [n, channels, INPUT, INPUT], { backend });

it('learns: three steps of SGD give the losses and weights of the reference', () =>
  same(async (model, backend) => {
    const sgd = new SGD(model.parameters(), { lr: 0.05, momentum: 0.9, weightDecay: 1e-3, maxFilterRms: 0.1 });
    const losses: number[] = [];
    for (let step = 0; step < 3; step++) {
      const loss = crossEntropy(model.forward(batchOf(3, 1, backend)), tensor(Int32Array.of(0, 1, 2), [3], { backend }));
      loss.backward();
      sgd.step();
      sgd.zeroGrad();
      losses.push(await loss.item());
    }
    return { losses, weights: await model.stateDictData() };
  }));

it('trains a run, writes its checkpoints and resumes from one to the same bits', () =>
  same(async () => {
    const job = (store: MemoryStore, epochs: number, resume = false) =>
      tinyJob({ store, resume, model: tinyNet({ seed: 5 }), options: { epochs } });
    const [whole, parts] = [new MemoryStore(), new MemoryStore()];
    const straight = job(whole, 2);
    await train(straight);
    await train(job(parts, 1));
    const resumed = job(parts, 2, true);
    await train(resumed);
    const weights = await straight.model.stateDictData();
    expect(isDeepStrictEqual(await resumed.model.stateDictData(), weights)).toBe(true);
    return { weights, files: [...parts.files.keys()].sort() };
  }));

it('saves and loads its weights, also from one module to another', () =>
  same(async (model, backend) => {
    const file = saveSafetensors(await model.stateDictData());
    const [copy, third] = withBackend(backend, () => [tinyNet({ seed: 4 }), tinyNet({ seed: 5 })]);
    copy.loadStateDict(withBackend(backend, () => loadSafetensors(file)));
    third.loadStateDict(copy.stateDict());
    return [await copy.stateDictData(), await third.stateDictData()];
  }));

it('refuses what only a synchronous read could do, and names the way', () => {
  const [model, elsewhere] = [tinyNet(), withBackend(reference, () => tinyNet())];
  // A kernel has written the weights, so that only the backend has them.
  for (const parameter of model.parameters()) void parameter.writable;
  expect(() => saveSafetensors(model.stateDict())).toThrow(/^saveSafetensors: .* pass await module\.stateDictData\(\)$/);
  expect(() => elsewhere.loadStateDict(model.stateDict())).toThrow(/^loadStateDict: .* pass await module\.stateDictData\(\)$/);
});

it('moves between backends', async () => {
  const model = withBackend(reference, () => tinyNet({ seed: 3 }));
  const before = await model.stateDictData();
  await model.to({ backend: deferred });
  expect(model.parameters().every(({ backend }) => backend === deferred)).toBe(true);
  await model.to({ backend: reference });
  expect(await model.stateDictData()).toEqual(before);
});

it('is exported to ONNX, imported and run', () =>
  same(async (model, backend) => {
    const net = await loadOnnx(await toOnnx(model.eval(), { inputShape: [1, 1, INPUT, INPUT] }), { backend });
    const { output } = await net.run({ input: batchOf(1, 1, backend) });
    return output.data();
  }));

describe('looks into a network', () => {
  it.each(['deconvnet', 'gradient', 'guided'] as const)('projects in mode %s', (mode) =>
    same(async (model, backend) => {
      const image = batchOf(1, 1, backend);
      const { picture, value, position } = await deconvnet(model).projectActivation(image, { layer: 'conv3', map: 1, mode });
      return { picture: await picture.data(), value, position };
    }),
  );

  it('occludes', () => same((model, backend) => occlude(model, batchOf(1, 1, backend), { square: 8, stride: 8, layer: 'conv2' })));

  it('ascends', () => same((model) => ascend(model, { layer: 'conv2', maps: [0, 1], input: [1, INPUT, INPUT], steps: 3 })));

  it('finds and projects the strongest activations', () =>
    same(async (model, backend) => {
      const split = noiseSplit(6, INPUT, INPUT);
      const preprocess = (examples: readonly { index: number }[]) =>
        tensor(
          Float32Array.from(examples.flatMap(({ index }) => [...noise(3 * INPUT * INPUT, index + 1)])),
          [examples.length, 3, INPUT, INPUT],
          { backend },
        );
      const [maps] = Object.values(await topActivations(model, split, { layers: ['conv3'], preprocess, count: 2, batchSize: 4 } as never));
      return projectTop(model, split, (maps as never[]).slice(0, 2), { layer: 'conv3', preprocess });
    }, 3));
});
