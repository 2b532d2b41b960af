/** The two networks that every engine computes, as tables, and their inputs and weights. */
import { readFileSync } from 'node:fs';

/** Local response normalisation across channels, with the constants used in replications of the paper. */
export const NORM = { size: 5, alpha: 1e-4, beta: 0.75, k: 2 };

const conv = (name, channels, outputs, kernel, stride = 1, padding = 0) => ({
  kind: 'conv',
  name,
  channels,
  outputs,
  kernel,
  stride,
  padding,
});
/** `beyond`: rows and columns by which the last windows extend beyond the lower and right edge in ceil mode. */
const pool = (kernel, stride, beyond = 0) => ({ kind: 'pool', kernel, stride, beyond });
const norm = { kind: 'norm' };
const linear = (name, inputs, outputs, { relu = true, dropout = 0 } = {}) => ({ kind: 'linear', name, inputs, outputs, relu, dropout });

/** A ReLU follows every convolution, and every linear layer but the last. */
export const NETWORKS = {
  /** ZFNet `a` (Zeiler & Fergus 2013, Fig. 3). `map` is the shape of the last feature maps [channels, height, width]. */
  zfnet: {
    input: [3, 224, 224],
    map: [256, 6, 6],
    classes: 1000,
    layers: [
      conv('conv1', 3, 96, 7, 2, 1),
      pool(3, 2, 1),
      norm,
      conv('conv2', 96, 256, 5, 2),
      pool(3, 2, 1),
      norm,
      conv('conv3', 256, 384, 3, 1, 1),
      conv('conv4', 384, 384, 3, 1, 1),
      conv('conv5', 384, 256, 3, 1, 1),
      pool(3, 2),
      linear('fc6', 9216, 4096, { dropout: 0.5 }),
      linear('fc7', 4096, 4096, { dropout: 0.5 }),
      linear('fc8', 4096, 1000, { relu: false }),
    ],
  },
  /** LeNet-5 with ReLUs and maximum pooling, on 28×28 pixels. */
  lenet: {
    input: [1, 28, 28],
    map: [16, 4, 4],
    classes: 10,
    layers: [
      conv('conv1', 1, 6, 5),
      pool(2, 2),
      conv('conv2', 6, 16, 5),
      pool(2, 2),
      linear('fc1', 256, 120),
      linear('fc2', 120, 84),
      linear('fc3', 84, 10, { relu: false }),
    ],
  },
};

const sizeOf = (shape) => shape.reduce((product, extent) => product * extent, 1);

/** Deterministic values in [-scale, scale). */
function noise(count, scale, seed) {
  const numbers = new Float32Array(count);
  let state = seed * 2654435761 + 1;
  for (let i = 0; i < count; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    numbers[i] = scale * (state / 2 ** 31 - 1);
  }
  return numbers;
}

/**
 * Source of a network's weights: a safetensors file, so that all engines compute the same, or noise with He's standard deviation, which
 * needs no memory besides the engine's own.
 *
 * @returns {(name: string, shape: readonly number[]) => Float32Array}
 */
export function openWeights(path) {
  if (path === undefined) {
    let seed = 1;
    return (name, shape) => noise(sizeOf(shape), name.endsWith('weight') ? Math.sqrt(6 / sizeOf(shape.slice(1))) : 0.01, seed++);
  }
  const file = readFileSync(path);
  const start = 8 + Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.toString('utf8', 8, start));
  return (name, shape) => {
    const [begin] = header[name].data_offsets;
    return new Float32Array(file.buffer, file.byteOffset + start + begin, sizeOf(shape));
  };
}

/** Images [N, C, H, W]: noise. */
export const images = ({ input }, batch) => noise(batch * sizeOf(input), 1, 7);

/** One class per image. */
export const labels = ({ classes }, batch) => Int32Array.from({ length: batch }, (_, i) => (i * 37) % classes);

/** Labels as one-hot rows. */
export function oneHot(network, batch) {
  const rows = new Float32Array(batch * network.classes);
  labels(network, batch).forEach((label, i) => {
    rows[i * network.classes + label] = 1;
  });
  return rows;
}
