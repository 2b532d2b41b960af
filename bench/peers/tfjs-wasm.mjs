/** TensorFlow.js on its WebAssembly or WebGPU backend, in its only layout, NHWC. */
import { fileURLToPath } from 'node:url';
// The whole package, because the core alone registers no gradients.
import tf from '@tensorflow/tfjs';
import { images, NETWORKS, NORM, oneHot, openWeights } from './networks.mjs';
import { reading, task } from './reading.mjs';
import { enableThreads } from './tfjs-threads.mjs';

const network = NETWORKS[task.network];

/**
 * Converts convolution weights [O, C, H, W] to [H, W, C, O] and linear weights [out, in] to [in, out]; the rows of the first linear layer
 * follow the order of NHWC maps.
 */
function weightsOf(open, variable) {
  const found = {};
  let first = true;
  const keep = (name, tensor) => {
    found[name] = variable ? tf.variable(tensor, true, name) : tensor;
  };
  for (const { kind, name, outputs, ...layer } of network.layers) {
    if (kind !== 'conv' && kind !== 'linear') continue;
    const shape = kind === 'conv' ? [outputs, layer.channels, layer.kernel, layer.kernel] : [outputs, layer.inputs];
    const weight = tf.tidy(() => {
      const given = tf.tensor(open(`${name}.weight`, shape), shape);
      if (kind === 'conv') return given.transpose([2, 3, 1, 0]);
      if (!first) return given.transpose();
      const [channels, height, width] = network.map;
      return given.reshape([outputs, channels, height, width]).transpose([2, 3, 1, 0]).reshape([layer.inputs, outputs]);
    });
    first &&= kind === 'conv';
    keep(`${name}.weight`, weight);
    keep(`${name}.bias`, tf.tensor(open(`${name}.bias`, [outputs])));
  }
  return found;
}

function forward(x, weights, training) {
  for (const layer of network.layers) {
    const [weight, bias] = [weights[`${layer.name}.weight`], weights[`${layer.name}.bias`]];
    if (layer.kind === 'conv') {
      const { stride: strides, padding: pad } = layer;
      x = tf.fused.conv2d({ x, filter: weight, bias, strides, pad, dimRoundingMode: 'floor', activation: 'relu' });
    } else if (layer.kind === 'pool') {
      // `same` puts an odd row and column of padding below and to the right.
      x = tf.maxPool(x, layer.kernel, layer.stride, layer.beyond > 0 ? 'same' : 'valid');
    } else if (layer.kind === 'norm') {
      x = tf.localResponseNormalization(x, (NORM.size - 1) / 2, NORM.k, NORM.alpha / NORM.size, NORM.beta);
    } else {
      if (x.rank === 4) x = x.reshape([x.shape[0], layer.inputs]);
      x = tf.fused.matMul({ a: x, b: weight, bias, activation: layer.relu ? 'relu' : 'linear' });
      if (training && layer.dropout > 0) x = tf.dropout(x, layer.dropout);
    }
  }
  return x;
}

/** The WebAssembly backend has no weight gradient of convolution; it is composed of slices and matrix products, which it has. */
function patchWeightGradient() {
  tf.unregisterGradient('Conv2D');
  tf.registerGradient({
    kernelName: 'Conv2D',
    inputsToSave: ['x', 'filter'],
    gradFunc: (dy, [x, filter], { strides, pad, dimRoundingMode }) => {
      const stride = Array.isArray(strides) ? strides[0] : strides;
      return {
        x: () => tf.conv2dTranspose(dy, filter, x.shape, strides, pad, dimRoundingMode),
        filter: () => tf.tidy(() => weightGradient(x, dy, filter.shape, stride, pad)),
      };
    },
  });
}

function weightGradient(x, dy, [height, width, channels, outputs], stride, pad) {
  const [batch, rows, columns] = dy.shape;
  const padded = tf.pad(x, [
    [0, 0],
    [pad, pad],
    [pad, pad],
    [0, 0],
  ]);
  const signal = dy.reshape([batch * rows * columns, outputs]);
  const taps = [];
  for (let i = 0; i < height; i++) {
    for (let j = 0; j < width; j++) {
      const end = [batch, i + stride * (rows - 1) + 1, j + stride * (columns - 1) + 1, channels];
      taps.push(
        tf.tidy(() => {
          const seen = tf.stridedSlice(padded, [0, i, j, 0], end, [1, stride, stride, 1]);
          return tf.matMul(seen.reshape([batch * rows * columns, channels]).transpose(), signal);
        }),
      );
    }
  }
  return tf.stack(taps).reshape([height, width, channels, outputs]);
}

async function openWasm() {
  const { default: wasm } = await import('@tensorflow/tfjs-backend-wasm');
  wasm.setWasmPaths(fileURLToPath(new URL('.', import.meta.resolve('@tensorflow/tfjs-backend-wasm'))));
  if (task.threads > 1) enableThreads(tf, wasm, task.threads);
  await tf.setBackend('wasm');
  await tf.ready();
  if (task.threads > 1 && wasm.getThreadsCount() !== task.threads) throw new Error(`${wasm.getThreadsCount()} threads work`);
  if (task.training) patchWeightGradient();
}

async function openGpu() {
  const { provideGpu } = await import('./gpu.mjs');
  provideGpu();
  await import('@tensorflow/tfjs-backend-webgpu');
  if (!(await tf.setBackend('webgpu'))) throw new Error('there is no WebGPU adapter');
  await tf.ready();
}

await reading(task.gpu ? 'tfjs-webgpu' : 'tfjs-wasm', tf.version.tfjs, async () => {
  await (task.gpu ? openGpu() : openWasm());
  const weights = weightsOf(openWeights(task.weights), task.training);
  const x = tf.tidy(() => tf.tensor(images(network, task.batch), [task.batch, ...network.input]).transpose([0, 2, 3, 1]));
  if (task.training) {
    const y = tf.tensor(oneHot(network, task.batch), [task.batch, network.classes]);
    const optimizer = tf.train.momentum(1e-4, 0.9);
    return {
      async step() {
        const loss = optimizer.minimize(() => tf.losses.softmaxCrossEntropy(y, forward(x, weights, true)), true);
        const [value] = task.gpu ? await loss.data() : loss.dataSync();
        if (!Number.isFinite(value)) throw new Error('the loss is not finite');
        loss.dispose();
      },
    };
  }
  let logits;
  return {
    async step() {
      const y = tf.tidy(() => forward(x, weights, false));
      logits = task.gpu ? await y.data() : y.dataSync();
      y.dispose();
    },
    logits: () => logits.slice(0, network.classes),
  };
});
