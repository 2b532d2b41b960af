/**
 * What users do with a network: training, saving and loading, ONNX, projections, attributions and experiments, each as a function that runs
 * on the default backend and returns numbers. The tests of the deferred backend compare them with the reference to the bit, those on a GPU
 * within a tolerance.
 */
import { isDeepStrictEqual } from 'node:util';
import { ascend, deconvnet, occlude, projectTop, topActivations } from '../../src/deconv/index.js';
import { loadOnnx, toOnnx } from '../../src/formats/onnx/index.js';
import { loadSafetensors, saveSafetensors } from '../../src/formats/safetensors.js';
import { attribute } from '../../src/interpret/index.js';
import { SGD } from '../../src/nn/index.js';
import { fit as fitBatches } from '../../src/nn/training/index.js';
import { type Backend, crossEntropy, manualSeed, setDefaultBackend, tensor, withBackend } from '../../src/tensor/index.js';
import { MemoryStore, train, type ZfNet } from '../../src/zfnet/index.js';
import { noise, noiseSplit } from '../deconv/support.js';
import { INPUT, tinyJob, tinyNet } from '../zfnet/support.js';

/** One thing that users do. */
export interface Workflow {
  name: string;
  /** Channels of the input of the network. Default 1. */
  channels?: number;
  /** Does it with a small network, on the default backend. Returns an object of numbers, strings and arrays. */
  run(model: ZfNet, backend: Backend): Promise<unknown>;
}

/** Runs a workflow on a backend, with the same network and random numbers each time. */
export async function runWorkflow({ channels = 1, run }: Workflow, backend: Backend): Promise<unknown> {
  setDefaultBackend(backend);
  manualSeed(3);
  const model = withBackend(backend, () => tinyNet({ seed: 3, channels }));
  try {
    return await run(model, backend);
  } finally {
    await backend.synchronize();
  }
}

const batchOf = (n: number, channels: number, backend: Backend) =>
  tensor(Float32Array.from(noise(n * channels * INPUT * INPUT, 7)), [n, channels, INPUT, INPUT], { backend });

const learning: Workflow = {
  name: 'learns: three steps of SGD',
  async run(model, backend) {
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
  },
};

const fitting: Workflow = {
  name: 'fits batches and validates',
  async run(model, backend) {
    const data = [0, 1].map(() => ({ images: batchOf(3, 1, backend), labels: [0, 1, 2] }));
    const optimizer = new SGD(model.parameters(), { lr: 0.02, momentum: 0.9 });
    return fitBatches(model, data, { optimizer, epochs: 2, validation: data, seed: 4 });
  },
};

const running: Workflow = {
  name: 'trains a run, writes its checkpoints and resumes from one to the same bits',
  async run() {
    const job = (store: MemoryStore, epochs: number, resume = false) =>
      tinyJob({ store, resume, model: tinyNet({ seed: 5 }), options: { epochs } });
    const [whole, parts] = [new MemoryStore(), new MemoryStore()];
    const straight = job(whole, 2);
    await train(straight);
    await train(job(parts, 1));
    const resumed = job(parts, 2, true);
    await train(resumed);
    const weights = await straight.model.stateDictData();
    if (!isDeepStrictEqual(await resumed.model.stateDictData(), weights)) throw new Error('the resumed run has other weights');
    return { weights, files: [...parts.files.keys()].sort() };
  },
};

const saving: Workflow = {
  name: 'saves and loads its weights, also from one module to another',
  async run(model, backend) {
    const file = saveSafetensors(await model.stateDictData());
    const [copy, third] = withBackend(backend, () => [tinyNet({ seed: 4 }), tinyNet({ seed: 5 })]);
    copy.loadStateDict(withBackend(backend, () => loadSafetensors(file)));
    third.loadStateDict(copy.stateDict());
    return [await copy.stateDictData(), await third.stateDictData()];
  },
};

const exporting: Workflow = {
  name: 'is exported to ONNX, imported and run',
  async run(model, backend) {
    const net = await loadOnnx(await toOnnx(model.eval(), { inputShape: [1, 1, INPUT, INPUT] }), { backend });
    const { output } = await net.run({ input: batchOf(1, 1, backend) });
    return output.data();
  },
};

const projecting = (['deconvnet', 'gradient', 'guided'] as const).map(
  (mode): Workflow => ({
    name: `projects in mode ${mode}`,
    async run(model, backend) {
      const image = batchOf(1, 1, backend);
      const { picture, value, position } = await deconvnet(model).projectActivation(image, { layer: 'conv3', map: 1, mode });
      return { picture: await picture.data(), value, position };
    },
  }),
);

const attributing = (['gradient', 'guided', 'grad-cam', 'integrated-gradients'] as const).map(
  (method): Workflow => ({
    name: `attributes by ${method}`,
    run: async (model, backend) => (await attribute(model, batchOf(1, 1, backend), { method, target: 1 })).data(),
  }),
);

const occluding: Workflow = {
  name: 'occludes',
  run: (model, backend) => occlude(model, batchOf(1, 1, backend), { square: 8, stride: 8, layer: 'conv2' }),
};

const ascending: Workflow = {
  name: 'ascends',
  run: (model) => ascend(model, { layer: 'conv2', maps: [0, 1], input: [1, INPUT, INPUT], steps: 3 }),
};

const ranking: Workflow = {
  name: 'finds and projects the strongest activations',
  channels: 3,
  async run(model, backend) {
    const split = noiseSplit(6, INPUT, INPUT);
    const preprocess = (examples: readonly { index: number }[]) =>
      tensor(
        Float32Array.from(examples.flatMap(({ index }) => [...noise(3 * INPUT * INPUT, index + 1)])),
        [examples.length, 3, INPUT, INPUT],
        { backend },
      );
    const [maps] = Object.values(await topActivations(model, split, { layers: ['conv3'], preprocess, count: 2, batchSize: 4 } as never));
    return projectTop(model, split, (maps as never[]).slice(0, 2), { layer: 'conv3', preprocess });
  },
};

/** All workflows. */
export const workflows: readonly Workflow[] = [
  learning,
  fitting,
  running,
  saving,
  exporting,
  ...projecting,
  ...attributing,
  occluding,
  ascending,
  ranking,
];
