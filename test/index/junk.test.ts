/**
 * Junk at every public function, constructor and method of the engine: tensors, operations, layers, losses, optimisers, profiles. Each
 * call must return or throw a `ZfnetError`. The exports are listed by the modules themselves, so a new one is covered at once.
 */
import { afterAll, describe, expect, it } from 'vitest';
import { createReferenceBackend } from '../../src/backend/reference/index.js';
import { createWasmBackend } from '../../src/backend/wasm/index.js';
import * as entry from '../../src/index.js';
import * as nn from '../../src/nn/index.js';
import * as profiling from '../../src/profile/index.js';
import * as tensors from '../../src/tensor/index.js';
import { faultsUnderJunk, type JunkTarget } from '../support/junk.js';

const { Conv2d, Linear, ReLU, Sequential, SGD, torchvision } = nn;
const { Generator, ones, randn, setDefaultBackend, Tensor, tensor, zeros } = tensors;

const backend = await createWasmBackend({ threads: 1 });
const other = createReferenceBackend({ limitBytes: 2 ** 26 });
setDefaultBackend(backend);
afterAll(() => {
  setDefaultBackend(null);
  backend.dispose();
});

const image = () => randn([1, 2, 5, 4], { requiresGrad: true });
const network = () => new Sequential({ conv: new Conv2d(2, 3, 3), relu: new ReLU() });
const whole = () => tensor(new Int32Array([0, 1]), [2]);
const disposed = () => {
  const t = ones([2, 2]);
  t.dispose();
  return t;
};
/** Junk that only this package knows. */
const more = [
  () => ones([2, 3]),
  () => image(),
  whole,
  disposed,
  () => zeros([0, 2]),
  () => ones([2, 2], { backend: other }),
  network,
  () => new Generator(1),
];

/** Makes arguments that are right, where the number of junk calls that pass the first checks would be small otherwise. */
const VALID: Record<string, () => unknown[]> = {
  tensor: () => [[[1, 2], [3, 4]], [2, 2], { requiresGrad: true, dtype: 'float32' }], // biome-ignore format: one line a function
  fromHost: () => [new Float32Array(4), [2, 2], { requiresGrad: true }],
  full: () => [[2, 3], 1.5, { dtype: 'float32' }],
  zeros: () => [[2, 3], { dtype: 'int32' }],
  ones: () => [[2, 3], { requiresGrad: true }],
  randn: () => [[2, 3], { mean: 0, std: 1, generator: new Generator(1) }],
  uniform: () => [[2, 3], { low: 0, high: 1 }],
  conv2d: () => [image(), ones([3, 2, 3, 3]), ones([3]), { stride: [1, 2], padding: [1, 1, 0, 0], dilation: 1, groups: 1, relu: true }],
  convTranspose2d: () => [image(), ones([2, 3, 3, 3]), ones([3]), { stride: 2, padding: 1, dilation: 1, groups: 1, outputPadding: 1 }],
  linear: () => [ones([2, 3]), ones([4, 3]), ones([4]), { relu: true }],
  matmul: () => [ones([2, 3]), ones([3, 4]), { transposeA: false, transposeB: false }],
  maxPool2d: () => [image(), { kernelSize: [2, 2], stride: 1, padding: 1, dilation: 1, ceilMode: true }],
  maxPool2dWithSwitches: () => [image(), { kernelSize: [2, 2], stride: 1, padding: 1, dilation: 1, ceilMode: true }],
  maxUnpool2d: () => [ones([1, 1, 1, 2]), tensor(new Int32Array([0, 3]), [1, 1, 1, 2]), { outputSize: [2, 2], overlap: 'sum' }],
  avgPool2d: () => [image(), { kernelSize: 2, stride: 1, padding: 1, dilation: 1, ceilMode: true, countIncludePad: false }],
  localResponseNorm: () => [image(), { size: 4, alpha: 1, beta: 0.75, k: 2, region: 'within', window: 'pytorch' }],
  batchNorm2d: () => [image(), ones([2]), ones([2]), ones([2]), ones([2]), { epsilon: 1e-5, training: true, momentum: 0.5, relu: true }],
  crossEntropy: () => [ones([2, 3]), whole()],
  dropout: () => [image(), 0.5, new Generator(1)],
  slice: () => [ones([4, 5]), [1, 2], [3, 4], [1, 1]],
  pad: () => [ones([2, 2]), [[1, 0], [0, 1]], 0], // biome-ignore format: one line a function
  concat: () => [[ones([2, 2]), ones([2, 2])], 1],
  expand: () => [ones([1, 2]), [3, 2]],
  reshape: () => [ones([2, 3]), [3, -1]],
  permute: () => [ones([2, 3]), [1, 0]],
  transpose: () => [ones([2, 3]), 0, 1],
  take: () => [ones([4]), whole()],
  indexSelect: () => [ones([4, 2]), whole(), { axis: 0 }],
  gather: () => [ones([4, 2]), tensor(new Int32Array([0, 1]), [1, 2]), { axis: 0 }],
  where: () => [ones([2, 1]), ones([2, 3]), 1.5],
  stack: () => [[ones([2, 2]), ones([2, 2])], 1],
  split: () => [ones([4, 2]), [1, 3], 0],
  flip: () => [ones([2, 3]), [0, 1]],
  interpolate: () => [image(), { scaleFactor: 1.5, mode: 'bilinear', alignCorners: true }],
  std: () => [ones([2, 3]), { axes: [1], keepDims: true, unbiased: false }],
  variance: () => [ones([2, 3]), { axes: [1], keepDims: true, unbiased: false }],
  norm: () => [ones([2, 3]), { p: 3, axes: [1], keepDims: true }],
  arange: () => [1, 9, 2, { dtype: 'float32' }],
  topk: () => [ones([2, 3]), 2, { axis: 0, largest: false }],
  adaptiveAvgPool2d: () => [image(), [2, 3]],
  adaptiveMaxPool2d: () => [image(), [2, 3]],
  gelu: () => [ones([3]), { approximate: 'tanh' }],
  prelu: () => [image(), ones([2])],
  dropout2d: () => [image(), 0.5, new Generator(1)],
  groupNorm: () => [image(), 2, ones([2]), ones([2]), { epsilon: 0.1 }],
  layerNorm: () => [ones([2, 3]), [3], ones([3]), ones([3]), { epsilon: 0.1 }],
  softmax: () => [ones([2, 3]), { axis: 0 }],
  logSoftmax: () => [ones([2, 3]), { axis: 0 }],
  sum: () => [ones([2, 3]), { axes: [0, 1], keepDims: true }],
  mean: () => [ones([2, 3]), { axes: [0], keepDims: true }],
  max: () => [ones([2, 3]), { axes: 1 }],
  argmax: () => [ones([2, 3]), { axis: 1, keepDims: true }],
  clamp: () => [ones([2]), 0, 1],
  leakyRelu: () => [ones([2]), 0.1],
  pow: () => [ones([2]), 2],
  mul: () => [whole(), 2],
  cast: () => [ones([2]), 'int32'],
  backward: () => [
    image().sum(),
    { gradient: ones([]), rules: { relu: 'mask', normalization: 'pass', overlap: 'sum' }, wrt: [], retainGraph: true },
  ],
  convParams: () => ['op', [1, 2, 5, 5], [3, 2, 3, 3], { stride: 1, padding: 1, dilation: 1, groups: 1 }],
  convTransposeParams: () => ['op', [1, 2, 5, 5], [2, 3, 3, 3], { stride: 2, padding: 1, outputPadding: 1 }],
  poolParams: () => ['op', [1, 2, 5, 5], { kernelSize: 2, stride: 1, padding: 1 }],
  setRandomState: () => [{ general: { seed: 1, counter: 0 }, dropout: { seed: 1, counter: 0 } }],
  withBackend: () => [backend, () => 1],
  Conv2d: () => [2, 4, [3, 3], { stride: 1, padding: 1, dilation: 1, groups: 2, bias: true }],
  ConvTranspose2d: () => [2, 4, 3, { stride: 2, outputPadding: 1, bias: false }],
  Linear: () => [3, 4, { bias: false }],
  MaxPool2d: () => [2, { stride: 1, ceilMode: true }],
  AvgPool2d: () => [2, { stride: 1, countIncludePad: true }],
  LocalResponseNorm: () => [{ size: 5, window: 'onnx' }],
  BatchNorm2d: () => [3, { epsilon: 1e-5, momentum: 0.1 }],
  SGD: () => [network().parameters(), { lr: 0.1, momentum: 0.9, dampening: 0, weightDecay: 0, nesterov: true, maxFilterRms: 1 }],
  StepLR: () => [{ lr: 1 }, { stepSize: 1, gamma: 0.1 }],
  CosineLR: () => [{ lr: 1 }, { epochs: 3, minLr: 0 }],
  ReduceLROnPlateau: () => [{ lr: 1 }, { factor: 0.1, patience: 1, threshold: 0, minLr: 0 }],
  Sequential: () => [{ a: new ReLU(), b: new ReLU() }],
  initialize: () => [network(), 'he', new Generator(1)],
  topK: () => [[1, 2, 3], 2],
  countErrors: () => [new Float32Array(6), [0, 1], 3, 1],
  batchErrors: () => [ones([2, 3]), [0, 1]],
  patchOf: () => [[{ size: 1, jump: 1, start: 0 }, { size: 1, jump: 1, start: 0 }], 0, 0, 4, 4], // biome-ignore format: one line a function
  growField: () => [[{ size: 1, jump: 1, start: 0 }, { size: 1, jump: 1, start: 0 }], 'point'], // biome-ignore format: one line a function
  trainingBytes: () => [() => new Sequential([new nn.Flatten(), new Linear(4, 2)]), [2, 1, 2, 2], { parts: 2, sgd: { lr: 1 } }],
  summarize: () => [network(), [1, 2, 5, 5]],
  receptiveField: () => [network(), 'conv'],
  profile: () => [() => 1, { backend }],
  ceilingFor: () => [{ variant: 'simd', threads: 1 }, { mulAdd: 1 }],
  createBackend: () => [{ backend: 'wasm', threads: 1, mode: 'strict' }],
};

/** Functions that are not checked here: they take no arguments, or run for long with any. */
const LEFT_OUT = new Set(['createCeiling', 'init', 'setDefaultBackend', 'setNanCheck', 'span', 'namingLayer']);

const isClass = (value: unknown): value is new (...args: unknown[]) => object =>
  typeof value === 'function' && /^class\b/.test(Function.prototype.toString.call(value));

function targetsOf(exports: Record<string, unknown>): JunkTarget[] {
  return Object.entries(exports).flatMap(([name, value]): JunkTarget[] => {
    if (typeof value !== 'function' || LEFT_OUT.has(name) || value.prototype instanceof Error) return [];
    const valid = VALID[name];
    if (isClass(value)) return [{ name: `new ${name}`, call: (...args) => new value(...args), valid }];
    return [{ name, call: value as JunkTarget['call'], valid }];
  });
}

/** The methods of an object, its own class's and those it inherits. */
function methodsOf(name: string, make: () => object, valid: Record<string, () => unknown[]> = {}): JunkTarget[] {
  const names = new Set<string>();
  for (let p = Object.getPrototypeOf(make()); p && p !== Object.prototype; p = Object.getPrototypeOf(p))
    for (const [key, { value }] of Object.entries(Object.getOwnPropertyDescriptors(p)))
      if (key !== 'constructor' && typeof value === 'function') names.add(key);
  // Marked internal, and not part of the published types.
  for (const internal of [
    'free',
    'alias',
    'checkAlive',
    'checkSingle',
    'update',
    'slot',
    'hasSlot',
    'fromV1',
    'follow',
    'run',
    'share',
    'apply',
    'multiply',
    'isBetter',
    'between',
  ])
    names.delete(internal);
  return [...names].map((key) => ({
    name: `${name}.${key}`,
    call: (...args) => (make() as Record<string, (...args: unknown[]) => unknown>)[key](...args),
    valid: valid[key],
  }));
}

const cleanUp = (result: unknown) => {
  for (const each of [result, ...(typeof result === 'object' && result !== null ? Object.values(result) : [])])
    if (each instanceof Tensor || each instanceof nn.Module) each.dispose();
};
/** Everything that a call made on the engine is freed by the scope, so a run of the test holds little memory. */
const inScope = (target: JunkTarget): JunkTarget => ({ ...target, call: (...args) => tensors.scope(() => target.call(...args)) });
const withoutPromises = new Set(['scope', 'noGrad', 'profile', 'batchErrors', 'createBackend', 'Tensor.data', 'Tensor.item']);

async function check(targets: readonly JunkTarget[], runs = 50): Promise<void> {
  const scoped = targets.map((target) => (withoutPromises.has(target.name) ? target : inScope(target)));
  try {
    expect(await faultsUnderJunk(scoped, { runs, more, cleanUp })).toEqual([]);
  } finally {
    setDefaultBackend(backend);
  }
}

describe('invalid arguments give a result or a typed error', () => {
  it('in every function and class of src/tensor', () => check(targetsOf(tensors)));
  it('in every function and class of src/nn', () => check(targetsOf(nn)));
  it('in the torchvision networks', () =>
    check(
      ['resnet18', 'vgg11', 'alexnet'].map((name) => ({
        name,
        // The networks are large: on a backend that stores no values they need no memory.
        call: (...args) =>
          tensors.withBackend(nn.shapesOnly(), () =>
            (torchvision as unknown as Record<string, (...a: unknown[]) => unknown>)[name](...args),
          ),
        valid: () => [{ classes: 10, ...(name === 'resnet18' ? { width: 0.1 } : { dropout: 0.5 }) }],
      })),
      30,
    ));
  it('in profile', () => check(targetsOf(profiling)));
  it('in createBackend and ceilingFor', () => check(targetsOf({ createBackend: entry.createBackend, ceilingFor: entry.ceilingFor })));

  it('in the methods of tensors', () =>
    check(
      methodsOf('Tensor', () => randn([2, 3], { requiresGrad: true })),
      40,
    ));
  it('in the methods of integer tensors', () => check(methodsOf('Tensor', whole), 25));

  it('in the methods of disposed tensors', () => check(methodsOf('Tensor', disposed), 15));

  it('in the methods of layers, networks, optimisers and schedules', () =>
    check(
      [
        ...methodsOf('Sequential', network, { forward: () => [image()], outputShape: () => [[1, 2, 5, 5]] }),
        ...methodsOf('BatchNorm2d', () => new nn.BatchNorm2d(2), { forward: () => [image()] }),
        ...methodsOf('LocalResponseNorm', () => new nn.LocalResponseNorm(), { forward: () => [image()] }),
        ...methodsOf('Conv2d', () => new Conv2d(2, 2, 3), { forward: () => [image(), { relu: true }] }),
        ...methodsOf('ConvTranspose2d', () => new nn.ConvTranspose2d(2, 2, 3), { forward: () => [image()] }),
        ...methodsOf('GroupNorm', () => new nn.GroupNorm(1, 2), { forward: () => [image()] }),
        ...methodsOf('LayerNorm', () => new nn.LayerNorm(3), { forward: () => [ones([2, 3])] }),
        ...methodsOf('PReLU', () => new nn.PReLU(2), { forward: () => [image()] }),
        ...methodsOf('Upsample', () => new nn.Upsample({ size: 3 }), { forward: () => [image()] }),
        ...methodsOf('AdaptiveAvgPool2d', () => new nn.AdaptiveAvgPool2d(1), { forward: () => [image()] }),
        ...methodsOf('MaxPool2d', () => new nn.MaxPool2d(2), { forward: () => [image()] }),
        ...methodsOf('Linear', () => new Linear(3, 2), { forward: () => [ones([2, 3]), { relu: true }] }),
        ...methodsOf('Flatten', () => new nn.Flatten(), { forward: () => [image()] }),
        ...methodsOf('Dropout', () => new nn.Dropout(0.5), { forward: () => [image()] }),
        ...methodsOf('SGD', () => new SGD(network().parameters(), { lr: 1, momentum: 0.9 })),
        ...methodsOf('StepLR', () => new nn.StepLR({ lr: 1 }, { stepSize: 1 })),
        ...methodsOf('MultiStepLR', () => new nn.MultiStepLR({ lr: 1 }, { milestones: [1] })),
        ...methodsOf('ExponentialLR', () => new nn.ExponentialLR({ lr: 1 }, { gamma: 0.5 })),
        ...methodsOf('LinearWarmup', () => new nn.LinearWarmup({ lr: 1 })),
        ...methodsOf('OneCycleLR', () => new nn.OneCycleLR({ lr: 1 }, { maxLr: 1, totalSteps: 9, cycleMomentum: false })),
        ...methodsOf('CosineAnnealingLR', () => new nn.CosineAnnealingLR({ lr: 1 }, { tMax: 4 })),
        ...methodsOf('CosineLR', () => new nn.CosineLR({ lr: 1 }, { epochs: 2 })),
        ...methodsOf('ReduceLROnPlateau', () => new nn.ReduceLROnPlateau({ lr: 1 })),
        ...methodsOf('Generator', () => new Generator(1)),
      ],
      25,
    ));
});
