/**
 * jax-js on its WebAssembly or WebGPU backend: one compiled function per step, layout NCHW. It has no threads in Node, because it needs a
 * browser's Worker.
 */
import { readFileSync } from 'node:fs';
import { blockUntilReady, defaultDevice, init, jit, lax, nn, numpy as np, tree, valueAndGrad } from '@jax-js/jax';
import { images, NETWORKS, NORM, oneHot, openWeights } from './networks.mjs';
import { reading, task } from './reading.mjs';

const { version } = JSON.parse(readFileSync(new URL('node_modules/@jax-js/jax/package.json', import.meta.url), 'utf8'));
const network = NETWORKS[task.network];
const LOWEST = -1e30;

// Every use of an array consumes it; `.ref` keeps it for one more use.

function maxPool(x, { kernel, stride, beyond }) {
  const padded =
    beyond > 0
      ? np.pad(
          x,
          [
            [0, 0],
            [0, 0],
            [0, beyond],
            [0, beyond],
          ],
          { mode: 'constant', constantValues: LOWEST },
        )
      : x;
  return lax.reduceWindow(padded, np.max, [kernel, kernel], [stride, stride]);
}

/** jax-js has no such operation: the squares of neighbouring channels are added. */
function normalize(x) {
  const [half, channels] = [(NORM.size - 1) / 2, x.shape[1]];
  const squares = np.pad(x.ref.mul(x.ref), [
    [0, 0],
    [half, half],
    [0, 0],
    [0, 0],
  ]);
  let sum = squares.ref.slice([], [0, channels]);
  for (let i = 1; i < NORM.size; i++) sum = sum.add((i < NORM.size - 1 ? squares.ref : squares).slice([], [i, i + channels]));
  return x.mul(np.exp(np.log(sum.mul(NORM.alpha / NORM.size).add(NORM.k)).mul(-NORM.beta)));
}

/**
 * The compiled function takes ownership of the weights. Dropout is left out, because a compiled function would sample its mask only once.
 */
function forward(weights, x) {
  for (const layer of network.layers) {
    const { weight, bias } = weights[layer.name] ?? {};
    if (layer.kind === 'conv') {
      const { stride, padding, outputs } = layer;
      const y = lax.convGeneralDilated(
        x,
        weight,
        [stride, stride],
        [
          [padding, padding],
          [padding, padding],
        ],
      );
      x = nn.relu(y.add(bias.reshape([1, outputs, 1, 1])));
    } else if (layer.kind === 'pool') x = maxPool(x, layer);
    else if (layer.kind === 'norm') x = normalize(x);
    else {
      if (x.ndim === 4) x = x.reshape([x.shape[0], layer.inputs]);
      x = np.dot(x, weight).add(bias);
      if (layer.relu) x = nn.relu(x);
    }
  }
  return x;
}

function weightsOf(open) {
  const found = {};
  for (const { kind, name, outputs, inputs, channels, kernel } of network.layers) {
    if (kind !== 'conv' && kind !== 'linear') continue;
    const shape = kind === 'conv' ? [outputs, channels, kernel, kernel] : [outputs, inputs];
    const given = np.array(open(`${name}.weight`, shape), { shape });
    found[name] = {
      weight: kind === 'conv' ? given : given.transpose(),
      bias: np.array(open(`${name}.bias`, [outputs]), { shape: [outputs] }),
    };
  }
  return found;
}

await reading(task.gpu ? 'jax-js webgpu' : 'jax-js', version, async () => {
  if (task.threads > 1) throw new Error('jax-js supports one thread only in Node');
  const device = task.gpu ? 'webgpu' : 'wasm';
  if (task.gpu) (await import('./gpu.mjs')).provideGpu();
  await init(device);
  defaultDevice(device);
  let weights = weightsOf(openWeights(task.weights));
  const x = np.array(images(network, task.batch), { shape: [task.batch, ...network.input] });
  if (task.training) {
    const y = np.array(oneHot(network, task.batch), { shape: [task.batch, network.classes] });
    const loss = (weights, x, y) => np.mean(np.sum(nn.logSoftmax(forward(weights, x), -1).mul(y), -1)).neg();
    const step = jit((weights, velocities, x, y) => {
      const [value, gradients] = valueAndGrad(loss)(tree.ref(weights), x, y);
      const nextVelocities = tree.map((v, g) => v.mul(0.9).add(g), velocities, gradients);
      const next = tree.map((w, v) => w.sub(v.mul(1e-4)), weights, tree.ref(nextVelocities));
      return [value, next, nextVelocities];
    });
    let velocities = tree.map((weight) => np.zeros(weight.shape), tree.ref(weights));
    return {
      async step() {
        const [value, next, nextVelocities] = step(weights, velocities, x.ref, y.ref);
        [weights, velocities] = [next, nextVelocities];
        if (!Number.isFinite((await value.data())[0])) throw new Error('the loss is not finite');
        // The weights belong to the next step, which may already be queued on a GPU.
        if (!task.gpu) await blockUntilReady(next);
      },
    };
  }
  const step = jit(forward);
  let logits;
  return {
    async step() {
      logits = await step(tree.ref(weights), x.ref).data();
    },
    logits: () => logits.slice(0, network.classes),
  };
});
