/** Our own engine, as the built package that users install. */
import { readFileSync } from 'node:fs';
import * as zf from '../../dist/index.js';
import { images, labels, NETWORKS, openWeights } from './networks.mjs';
import { reading, task } from './reading.mjs';

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
const network = NETWORKS[task.network];

function lenet() {
  return new zf.Sequential(
    Object.fromEntries(
      network.layers.flatMap((layer, i) => {
        if (layer.kind === 'pool') return [[`pool${i}`, new zf.MaxPool2d(layer.kernel, { stride: layer.stride })]];
        const relu = [`relu${i}`, new zf.ReLU()];
        if (layer.kind === 'conv') return [[layer.name, new zf.Conv2d(layer.channels, layer.outputs, layer.kernel)], relu];
        const linear = [layer.name, new zf.Linear(layer.inputs, layer.outputs)];
        return [...(layer.name === 'fc1' ? [['flatten', new zf.Flatten()]] : []), linear, ...(layer.relu ? [relu] : [])];
      }),
    ),
  );
}

const name = ['zfnet', ...(task.gpu ? ['webgpu'] : []), ...(task.mode === 'fast' ? ['fast'] : [])].join(' ');

await reading(name, version, async () => {
  if (task.gpu) await zf.init({ backend: 'webgpu', gpu: (await import('./gpu.mjs')).provideGpu(), mode: task.mode });
  else await zf.init({ threads: task.threads, mode: task.mode });
  const model = task.network === 'lenet' ? lenet() : zf.zfnet('a', { seed: 1 });
  if (task.weights !== undefined) {
    const weights = openWeights(task.weights);
    model.loadStateDict(
      Object.fromEntries(Object.entries(model.stateDict()).map(([name, { shape }]) => [name, { shape, data: weights(name, shape) }])),
    );
  }
  const x = zf.tensor(images(network, task.batch), [task.batch, ...network.input]);
  const heapBytes = () => zf.memory().reservedBytes;
  if (task.training) {
    const y = zf.tensor(labels(network, task.batch));
    const sgd = new zf.SGD(model.parameters(), { lr: 1e-4, momentum: 0.9 });
    return {
      heapBytes,
      async step() {
        const loss = zf.crossEntropy(model.forward(x), y);
        loss.backward();
        sgd.step();
        sgd.zeroGrad();
        if (!Number.isFinite(await loss.item())) throw new Error('the loss is not finite');
      },
    };
  }
  model.eval();
  let logits;
  return {
    heapBytes,
    async step() {
      const y = zf.noGrad(() => model.forward(x));
      logits = await y.data();
      y.dispose();
    },
    logits: () => logits.slice(0, network.classes),
  };
});
