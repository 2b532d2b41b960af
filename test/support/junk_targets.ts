/**
 * Every export of every entry point as a target for junk: functions, classes and the methods of instances. Exports are found by their
 * modules' namespaces, so a new one is covered without being named here; what is named here are valid arguments, which let junk reach
 * single options.
 */
import fc from 'fast-check';
import * as data from '../../src/data/index.js';
import * as onnx from '../../src/formats/onnx/index.js';
import * as safetensors from '../../src/formats/safetensors.js';
import { saveSafetensors } from '../../src/formats/safetensors.js';
import * as main from '../../src/index.js';
import * as interpret from '../../src/interpret/index.js';
import * as models from '../../src/models.js';
import * as nn from '../../src/nn/index.js';
import * as profile from '../../src/profile/index.js';
import * as report from '../../src/report/index.js';
import * as pictures from '../../src/report/pictures/index.js';
import * as tensors from '../../src/tensor/index.js';
import * as testing from '../../src/testing.js';
import * as training from '../../src/train.js';
import { bars, tinyNet } from '../zfnet/support.js';
import { faultsUnderJunk, type JunkTarget } from './junk.js';

export const ENTRIES: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  zfnet: main,
  'zfnet/train': training,
  'zfnet/data': data,
  'zfnet/safetensors': safetensors,
  'zfnet/onnx': onnx,
  'zfnet/interpret': interpret,
  'zfnet/models': models,
  'zfnet/report': report,
  'zfnet/pictures': pictures,
  'zfnet/testing': testing,
};

/** Exports that are left out, and why. */
export const EXCLUDED: Readonly<Record<string, string>> = {
  'zfnet.createCeiling': 'takes no arguments, starts threads and measures for seconds',
};

type Call = (...args: unknown[]) => unknown;

/** Runs a call that may change the default backend, the random state or the check for NaN, and puts them back. */
const restoring =
  (call: Call): Call =>
  async (...args) => {
    const backend = tensors.defaultBackend();
    const random = tensors.getRandomState();
    try {
      return await call(...args);
    } finally {
      tensors.setDefaultBackend(backend);
      tensors.setRandomState(random);
      tensors.setNanCheck(false);
    }
  };

/** Networks of valid widths need hundreds of MiB; on a backend that stores no values they need none. */
const withoutNumbers =
  (call: Call): Call =>
  (...args) =>
    tensors.withBackend(nn.shapesOnly(), () => call(...args));

/** Exports that cannot be called just so. */
const WRAPPED: Readonly<Record<string, (call: Call) => Call>> = {
  'zfnet.setDefaultBackend': restoring,
  'zfnet.setNanCheck': restoring,
  'zfnet.setRandomState': restoring,
  'zfnet.init': restoring,
  'zfnet.zfnet': withoutNumbers,
  'zfnet.ZfNet': withoutNumbers,
  ...Object.fromEntries(Object.keys(models).map((name) => [`zfnet/models.${name}`, withoutNumbers])),
};

/** Options that are numbers of steps: a huge valid one is honest work without end. */
const WORK = /^(epochs|steps|draws|folds|tries|maxPasses|perClass|count|iterations|length|depth|classes|gap|margin|blur|jitter)$/;
const HUGE = 10_000;

function asksForEndlessWork(value: unknown, depth = 0): boolean {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value) || depth > 3) return false;
  return Object.entries(value).some(
    ([name, field]) => (WORK.test(name) && typeof field === 'number' && field > HUGE) || asksForEndlessWork(field, depth + 1),
  );
}

async function fixtures() {
  const dataset = bars({ train: 6, val: 3 });
  const model = tinyNet({ seed: 1 });
  const preprocess = new main.Preprocess({ inputSize: 28, side: 32, channels: 1, scale: 1 / 64 });
  const { train, val } = dataset.splits;
  const toInput = (examples: data.Example[]) => report.inputOf(preprocess, examples);
  const picture: data.Image = { width: 4, height: 3, channels: 3, data: new Uint8Array(36).fill(99) };
  const store = new main.MemoryStore();
  const x = () => main.zeros([1, 1, 28, 28]);
  const matrix = { rows: 4, columns: 2, data: Float32Array.of(1, 2, 3, 4, 5, 6, 7, 9) };
  const imported = await onnx.loadOnnx(await onnx.toOnnx(model, { inputShape: [1, 1, 28, 28] }));
  return { dataset, model, preprocess, train, val, toInput, picture, store, x, matrix, imported };
}

type Fixtures = Awaited<ReturnType<typeof fixtures>>;

const range = (fc: number) => Array.from({ length: fc }, (_, i) => i);

/** Valid arguments by export; options are written out, so that junk can replace each of them. */
const VALID: Readonly<Record<string, (f: Fixtures) => unknown[]>> = {
  zfnet: () => ['small', { classes: 2, inputSize: 28, channels: 1, width: 0.01, dropout: 0.1, init: 'he', seed: 1 }],
  architectureOf: () => [
    'a',
    { classes: 2, inputSize: 64, channels: 1, width: 0.01, without: ['conv3'], maps: [1, 1, 1, 1, 1], units: [2, 2] },
  ],
  evaluate: ({ model, preprocess, dataset, val }) => [
    { model, preprocess, classes: dataset.classes },
    val,
    { crops: 1, batchSize: 4, readAhead: 1, confusion: true },
  ],
  predict: ({ model, preprocess, dataset }) => [
    { model, preprocess, classes: dataset.classes },
    [main.plainImage({ side: 32, channels: 1 }, 9)],
    { top: 2, crops: 1 },
  ],
  train: ({ model, dataset, store }) => [
    {
      model,
      dataset,
      store: new main.MemoryStore(),
      options: { epochs: 0 },
      prepareOnly: true,
      init: 'he',
      scale: 1,
      meanExamples: 2,
      resume: false,
      keepBytes: 9,
      checkpointMinutes: 5,
      readAhead: 1,
      onStep: () => store,
    },
  ],
  trainingOptions: () => [
    {
      epochs: 1,
      batchSize: 2,
      microBatch: null,
      lr: 0.1,
      momentum: 0.5,
      weightDecay: 0,
      maxFilterRms: null,
      optimizer: { kind: 'rmsprop', alpha: 0.9, eps: 1e-8, momentum: 0.5, centered: true },
      schedule: { kind: 'step', factor: 0.5, every: 1 },
      warmup: { steps: 2, from: 0.1 },
      clipGradNorm: 1,
      labelSmoothing: 0.1,
      classWeights: [1, 2],
      augment: 'none',
      seed: 0,
    },
  ],
  fit: ({ x }) => {
    const model = new nn.Sequential([new nn.Flatten(), new nn.Linear(784, 2)]);
    const settings = { epochs: 1, accumulate: 1, clipGradNorm: 1, seed: 0, callbacks: { onStep: () => 'stop' } };
    return [model, [{ images: x(), labels: [0] }], { ...settings, optimizer: new nn.SGD(model.parameters(), { lr: 0.1 }) }];
  },
  deconvnet: ({ model }) => [model],
  attribute: ({ model, x }) => [model, x(), { method: 'gradient', target: 1, layer: 'conv1', steps: 2, samples: 2, seed: 0 }],
  alexnet: () => [{ classes: 2, dropout: 0.5 }],
  resnet18: () => [{ classes: 2, width: 0.1 }],
  projectBatch: ({ model, x }) => [model, x(), 'conv1', [{ map: 0 }], { mode: 'guided', overlap: 'last' }],
  projectMaps: ({ model, x }) => [model, x(), 'conv1', [{ map: 0, position: [1, 1] }], { mode: 'guided', overlap: 'last', chunk: 2 }],
  projectTop: ({ model, val, toInput }) => [
    model,
    val,
    [{ map: 0, strongest: [{ index: 0, value: 1, position: [1, 1] }] }],
    { layer: 'conv1', preprocess: toInput, batchSize: 2, mode: 'guided', overlap: 'sum' },
  ],
  strongestMaps: ({ model, x }) => [model, x(), 'conv1', 2],
  occlude: ({ model, x }) => [model, x(), { square: 14, stride: 14, layer: 'conv5', map: 0, label: 1, batchSize: 4, incremental: false }],
  occludeSplit: ({ model, val, toInput }) => [
    model,
    val,
    { square: 14, stride: 14, preprocess: toInput, boxOf: () => [2, 2, 9, 9], images: 1, batchSize: 4 },
  ],
  squarePlaces: () => [28, 28, { square: 14, stride: 7 }],
  ascend: ({ model }) => [
    model,
    {
      layer: 'conv1',
      input: [1, 28, 28],
      maps: [0],
      limit: 1,
      steps: 2,
      rate: 0.1,
      decay: 0.1,
      blur: 0.5,
      jitter: 1,
      seed: 0,
      batchSize: 2,
    },
  ],
  topActivations: ({ model, val, toInput }) => [
    model,
    val,
    { layers: ['conv1'], preprocess: toInput, maps: [0], count: 2, batchSize: 2, indices: [0, 1], stateSeconds: 1 },
  ],
  invariance: ({ model, toInput }) => [
    model,
    [{ image: main.plainImage({ side: 32, channels: 1 }, 9), label: 1, index: 0, name: 'a' }],
    { layers: ['conv1'], amounts: { translation: [1], scale: [1.5], rotation: [30] }, preprocess: toInput },
  ],
  pickExamples: ({ model, val, toInput }) => [model, val, { count: 1, preprocess: toInput, tries: 1 }],
  correspondence: ({ model }) => [
    model,
    [
      {
        images: main.zeros([2, 1, 28, 28]),
        parts: [{ nose: [1, 1, 4, 4] }, { nose: [2, 2, 4, 4] }],
        objects: [
          [0, 0, 9, 9],
          [0, 0, 9, 9],
        ],
      },
    ],
    { layers: ['conv1'], draws: 1, seed: 0 },
  ],
  evolution: ({ val, toInput }) => [
    range(2).map((epoch) => ({ epoch, open: async () => tinyNet() })),
    val,
    { layers: ['conv1'], preprocess: toInput, batchSize: 2 },
  ],
  transfer: ({ model, preprocess, dataset, train, val }) => [
    {
      network: { model, preprocess },
      layer: 'relu7',
      dataset,
      pool: train,
      test: val,
      perClass: [1],
      folds: 1,
      testPerClass: 1,
      seed: 0,
      done: [],
    },
  ],
  ablate: ({ dataset }) => [
    {
      ablations: [],
      dataset,
      network: { inputSize: 28, width: 0.01, dropout: 0.1, init: 'he' },
      training: { epochs: 0 },
      store: () => new main.MemoryStore(),
      trainExamples: 2,
    },
  ],
  extractFeatures: ({ model, preprocess, val }) => [{ model, preprocess }, val, ['conv1'], { maxFeatures: 4, batchSize: 2 }],
  fitLinear: ({ matrix }) => [matrix, [0, 1, 0, 1], 2, { kind: 'svm', strength: 1 }],
  solveSvm: ({ matrix }) => [matrix, [1, -1, 1, -1], { c: 1, tolerance: 0.1, maxPasses: 5, seed: 0 }],
  selectRows: ({ matrix }) => [matrix, [0, 1]],
  productsOf: ({ matrix }) => [matrix],
  imagesToTensor: ({ preprocess, picture }) => [preprocess, [picture], { crops: 1 }],
  meanImage: ({ val }) => [val, 32, 1, { examples: 2 }],
  nearestNeighbour: ({ train, val }) => [train, [val], { side: 4, trainExamples: 3, batchSize: 2 }],
  linearOnPixels: ({ train, val }) => [train, [val], 3, { side: 2 }],
  loadModel: () => [saveSafetensors({ a: { shape: [1], data: Float32Array.of(1) } }, {}), 'a file'],
  openRun: ({ store }) => [store, { checkpoint: 'last.safetensors' }],
  deadFilters: ({ model, x }) => [model, x()],
  fieldSize: ({ model }) => [model, 'conv1', [1, 1, 28, 28]],
  patchFinder: ({ model }) => [model, 'conv1', [1, 1, 28, 28]],
  subset: ({ val }) => [val, [0, 1]],
  batches: ({ val }) => [val, { batchSize: 2, shuffle: true, seed: 0, epoch: 0, indices: [0, 1], dropLast: false }],
  drawByClass: ({ val }) => [val, 3, { seed: 0, draw: 0 }],
  sampleByClass: ({ val }) => [val, 3, { seed: 0, sample: 0 }],
  inChannels: ({ dataset }) => [dataset, 3],
  warpImage: ({ picture }) => [picture, { shift: [1, 0], scale: 1, rotation: 2 }],
  resizeImage: ({ picture }) => [picture, 2],
  openDataset: () => ['/no/such/folder', { imageSize: 8, seed: 0, valFraction: 0.5, verify: 'all', cacheBytes: 0, workers: 0 }],
  saveSafetensors: () => [{ a: { shape: [1], data: Float32Array.of(1) } }, { key: 'value' }],
  loadSafetensors: () => [saveSafetensors({ a: { shape: [1], data: Float32Array.of(1) } }, {})],
  ZfNet: ({ model }) => [Object.fromEntries(model.children()), model.architecture],
  OnnxClassifier: ({ imported }) => [
    imported,
    { channelOrder: 'rgb', layout: 'nchw', output: imported.outputs[0].name, scores: 'none', batch: null },
  ],
  classOutputs: ({ imported }) => [imported],
  'OnnxModel#forward': ({ x }) => [x()],
  'OnnxModel#run': ({ imported, x }) => [{ [imported.inputs[0].name]: x() }],
  'OnnxModel#activations': ({ imported, x }) => [x(), imported.layerNames().slice(0, 2)],
  'OnnxClassifier#activations': ({ imported, x }) => [x(), imported.layerNames().slice(0, 2)],
  'OnnxClassifier#probabilities': () => [main.ones([2, 3])],
  'arbitraries#shape': () => [{ minRank: 1, maxRank: 2, minExtent: 1, maxExtent: 2 }],
  'arbitraries#broadcastShapes': () => [{ minRank: 1, maxRank: 2, minExtent: 1, maxExtent: 2 }],
  'arbitraries#values': () => [4, { min: 0, max: 1, distinct: true }],
  'arbitraries#tensorOf': () => [[2, 3], { min: 0, max: 1, distinct: true, dtype: 'float32', requiresGrad: true }],
  setRandomState: () => [{ general: { seed: 1, counter: 0 }, dropout: { seed: 1, counter: 0 } }],
  init: () => [{ backend: 'reference', threads: 1, mode: 'strict' }],
  toOnnx: ({ model }) => [
    model,
    { inputShape: [1, 1, 28, 28], inputSize: 28, channels: 1, name: 'a', inputName: 'b', outputName: 'c', metadata: { d: 'e' }, opset: 13 },
  ],
  loadOnnx: ({ model }) => [onnx.toOnnx(model, { inputShape: [1, 1, 28, 28] }), { freeBatch: false }],
  contactSheet: ({ picture }) => [[picture, picture], { columns: 2, gap: 1, margin: 1, background: 255 }],
  cropPicture: ({ picture }) => [picture, [0, 0, 2, 2]],
  cropPlanes: () => [new Float32Array(12), [1, 3, 4], [0, 0, 2, 2]],
  signedPicture: () => [new Float32Array(12), [1, 3, 4], 1],
  blank: () => [3, 4, 255],
  paste: ({ picture }) => [report.blank(9, 9, 0), picture, 1, 1],
  enlarge: ({ picture }) => [picture, 2],
  confusionPicture: () => [
    [
      [1, 0],
      [0, 1],
    ],
    ['a', 'b'],
  ],
  trainingPage: () => [{ run: 'a', config: {}, metrics: [], steps: [], status: 'done', warnings: [], now: new Date(0) }],
  checkBackend: () => [main.defaultBackend(), { operations: ['neg'], gradients: false, slack: 1, onResult: () => undefined }],
  gradcheck: () => [(a: main.Tensor) => a.mul(2), [main.ones([2])], { epsilon: 1e-4, tolerance: 1e-3, places: 2 }],
  conv2d: () => [main.ones([1, 1, 4, 4]), main.ones([1, 1, 2, 2]), null, { stride: 1, padding: 0, dilation: 1, groups: 1 }],
  tensor: () => [[1, 2], [2], { dtype: 'float32', requiresGrad: false }],
};

const isClass = (value: unknown): value is new (...args: unknown[]) => unknown =>
  typeof value === 'function' && /^class\b/.test(Function.prototype.toString.call(value));

/** Runs the first step of a returned generator, which executes lazily. */
async function drained(result: unknown): Promise<unknown> {
  const iterator = (await result) as AsyncGenerator | null;
  if (typeof iterator === 'object' && iterator !== null && typeof iterator.next === 'function' && Symbol.asyncIterator in iterator) {
    await iterator.next();
    await iterator.return(undefined);
  }
  return iterator;
}

/** Exports of the rooms below (tensors, layers, profiles), which have tests with more valid arguments of their own. */
const isEngine = (name: string) => [nn, profile, tensors].some((room) => Object.hasOwn(room, name));

/**
 * @param only targets whose name it matches
 * @param engine with the exports of the rooms that hold tensors, layers and profiles
 */
function junkTargets(made: Fixtures, only = /./, engine = true): JunkTarget[] {
  const targets: JunkTarget[] = [];
  for (const [entry, module] of Object.entries(ENTRIES))
    for (const [name, value] of Object.entries(module)) {
      const full = `${entry}.${name}`;
      if (typeof value !== 'function' || Object.hasOwn(EXCLUDED, full) || !only.test(full)) continue;
      if ((!engine && isEngine(name)) || value.prototype instanceof Error) continue;
      const plain: Call = isClass(value) ? (...args) => new value(...args) : (...args) => drained(value(...args));
      const call = Object.hasOwn(WRAPPED, full) ? WRAPPED[full](plain) : plain;
      const valid = Object.hasOwn(VALID, name) ? () => VALID[name](made) : undefined;
      targets.push({ name: full, valid, call: (...args) => (args.some((arg) => asksForEndlessWork({ arg })) ? null : call(...args)) });
    }
  return [...targets, ...methodTargets(made).filter(({ name }) => only.test(name))];
}

const IMPORTED = ['dispose'];

/** Methods of instances; the arrays name those that TypeScript hides, which callers cannot reach. */
const INSTANCES: Readonly<Record<string, readonly [make: (f: Fixtures) => object, hidden: readonly string[]]>> = {
  deconvnet: [({ model }) => main.deconvnet(model), []],
  Preprocess: [({ preprocess }) => preprocess, ['check', 'cut']],
  MemoryStore: [() => new main.MemoryStore(), []],
  FrozenLayers: [({ model, preprocess }) => new main.FrozenLayers(model, 'conv1', preprocess), ['pass', 'keep']],
  split: [({ val }) => data.subset(val, [0, 1]), []],
  ZfNet: [() => tinyNet(), ['dispose', 'run', 'indexOf']],
  OnnxModel: [({ imported }) => imported, [...IMPORTED, 'values', 'compute']],
  OnnxClassifier: [({ imported }) => new onnx.OnnxClassifier(imported), [...IMPORTED, 'rawOutput', 'rows', 'batched']],
  arbitraries: [() => testing.arbitraries(fc), []],
};

function methodTargets(made: Fixtures): JunkTarget[] {
  return Object.entries(INSTANCES).flatMap(([kind, [make, hidden]]) => {
    const instance = make(made) as Record<string, unknown>;
    const holders = [instance, Object.getPrototypeOf(instance)].filter((holder) => holder !== Object.prototype);
    const names = new Set(holders.flatMap((holder) => Object.getOwnPropertyNames(holder)));
    return [...names].flatMap((name) => {
      const accessor = holders.some((holder) => Object.getOwnPropertyDescriptor(holder, name)?.get !== undefined);
      if (name === 'constructor' || accessor || hidden.includes(name) || typeof instance[name] !== 'function') return [];
      return [
        {
          name: `${kind}#${name}`,
          valid: Object.hasOwn(VALID, `${kind}#${name}`) ? () => VALID[`${kind}#${name}`](made) : undefined,
          call: (...args: unknown[]) => drained((instance[name] as (...a: unknown[]) => unknown)(...args)),
        },
      ];
    });
  });
}

/** Frees the tensors that a call returned, but for those of the fixtures. */
function cleanUpFor({ model, imported }: Fixtures): (result: unknown) => void {
  const kept = new Set([...model.parameters(), ...imported.parameters()]);
  return (result) => {
    if (result instanceof main.Tensor) result.dispose();
    else if (result instanceof main.Module) for (const each of result.parameters()) if (!kept.has(each)) each.dispose();
  };
}

/**
 * Throws junk at every export of every entry point, on the default backend, which the caller sets.
 *
 * @param options.runs calls per export
 * @returns a line per fault; none is a pass
 */
export async function throwJunk(options: { seed?: number; runs?: number; only?: RegExp; engine?: boolean } = {}): Promise<string[]> {
  const { only, engine, ...rest } = options;
  const made = await fixtures();
  return await faultsUnderJunk(junkTargets(made, only, engine), { ...rest, more: [() => fc], cleanUp: cleanUpFor(made) });
}
