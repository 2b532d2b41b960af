/** A small network, batches of fixed numbers and a count of what tensors hold, for the tests of memory. */
import { Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sequential } from '../../../src/nn/index.js';
import { type Backend, tensor } from '../../../src/tensor/index.js';
import { labels, noise } from '../../../src/testing/cases/formula.js';

export const CLASSES = 3;
export const BATCH = 4;

export const smallNet = () =>
  new Sequential({
    conv1: new Conv2d(1, 3, 3, { padding: 1 }),
    relu1: new ReLU(),
    pool1: new MaxPool2d(2),
    flatten: new Flatten(),
    fc6: new Linear(27, 8),
    relu6: new ReLU(),
    fc8: new Linear(8, CLASSES),
  });

export const batch = (step: number, size = BATCH) => ({
  images: tensor(Float32Array.from(noise(size * 36, step + 1)), [size, 1, 6, 6]),
  targets: tensor(Int32Array.from(labels(size, step + 1, CLASSES)), [size]),
});

/** What tensors hold on a backend. */
export const held = (backend: Backend) => {
  const { bytes, buffers } = backend.memory();
  return { bytes, buffers };
};
