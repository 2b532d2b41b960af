/** Runs of networks with batch normalisation and auxiliary classifiers: checkpoints, resumes, the start from another run, and frozen layers. */
import { beforeAll, describe, expect, it } from 'vitest';
import {
  isClassifier,
  lastFrozenLayer,
  MemoryStore,
  openTrainedRun,
  startFrom,
  train,
  ValueError,
  type ZfNet,
  zfnet,
} from '../../src/index.js';
import { noGrad, type Tensor, tensor } from '../../src/tensor/index.js';
import { noise } from '../../src/testing/cases/formula.js';
import { bars, tinyJob, useReferenceBackend, weightsOf } from './support.js';

beforeAll(useReferenceBackend);

const OPTIONS = { inputSize: 28, channels: 1, classes: 3, seed: 2 } as const;
const residual = () => zfnet('resnet20-cifar', { ...OPTIONS, width: 0.0625 });
const withHeads = () => zfnet('googlenet', { ...OPTIONS, inputSize: 32, width: 0.02 });
const logits = (model: ZfNet): Tensor => noGrad(() => model.eval().forward(tensor(noise(2 * 28 * 28, 1), [2, 1, 28, 28])));

describe('runs', () => {
  it('keep running statistics in checkpoints, and resume with them to the same bits', async () => {
    const [whole, parted] = [new MemoryStore(), new MemoryStore()];
    await train(tinyJob({ model: residual(), store: whole }));
    await train(tinyJob({ model: residual(), store: parted, options: { epochs: 1 } }));
    const resumed = residual();
    await train({ model: resumed, dataset: bars(), store: parted, resume: true, options: { epochs: 2 } });
    const { model } = await openTrainedRun(whole, { checkpoint: 'last.safetensors' });
    expect(weightsOf(resumed)).toEqual(weightsOf(model));
    expect([...model.stateDict()['bn1.running_mean'].dataSync()].some((value) => value !== 0)).toBe(true);
    expect(logits(model).dataSync()).toEqual(logits(resumed).dataSync());
  });

  it('train auxiliary classifiers, and keep them', async () => {
    const store = new MemoryStore();
    const model = withHeads();
    const before = weightsOf(model);
    const dataset = bars({ size: 37 });
    await train(tinyJob({ model, dataset, store, options: { epochs: 1 } }));
    const after = weightsOf(model);
    expect(after['aux1.fc2.bias']).not.toBe(before['aux1.fc2.bias']);
    const run = await openTrainedRun(store, { checkpoint: 'last.safetensors' });
    expect(weightsOf(run.model)).toEqual(after);
    const copy = zfnet('googlenet', { ...OPTIONS, inputSize: 32, width: 0.02, seed: 9 });
    expect(startFrom(copy, run, { sameClasses: true })).toContain('inception5b.branch4.1.conv');
  });

  it('freeze containers as a whole', () => {
    const model = residual();
    expect(lastFrozenLayer(model, 'conv1-layer2')).toBe('layer2');
    expect(() => lastFrozenLayer(model, 'conv1-layer2.0.conv1')).toThrow(ValueError);
  });
});

describe('presets of other networks', () => {
  it('have the sizes of their papers, and record what differs', () => {
    expect(zfnet('lenet5').architecture).toEqual({ preset: 'lenet5', classes: 10, inputSize: 32, channels: 1, width: 1, dropout: 0 });
    const bare = zfnet('googlenet', { width: 0.05, classes: 2, auxiliary: false });
    expect(bare.architecture.auxiliary).toBe(false);
    expect(bare.layerNames().some((name) => name.startsWith('aux'))).toBe(false);
    expect(isClassifier('resnet18') && !isClassifier('faster-rcnn')).toBe(true);
  });

  it('refuse options that only ZFNet has, and inputs that are too small', () => {
    expect(() => zfnet('vgg11', { width: 0.05, without: ['conv3'] })).toThrow(/without is .*only the presets a, b/);
    expect(() => zfnet('vgg11', { width: 0.05, inputSize: 16 })).toThrow(/16 pixels is too small for preset 'vgg11': layer features\.20/);
    expect(() => zfnet('alexnet-2012', { width: 0.05, inputSize: 66 })).toThrow(/66 pixels is too small for layer pool5/);
  });

  it('are built in float64 with their running statistics', () => {
    const model = zfnet('resnet20-cifar', { ...OPTIONS, width: 0.125, dtype: 'float64' });
    expect(Object.values(model.stateDict()).every(({ dtype }) => dtype === 'float64')).toBe(true);
  });
});
