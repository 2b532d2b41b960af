// Trains a small ZFNet for a few steps and projects one activation. The digest of weights and picture must be equal in every environment.
import { backendInfo, crossEntropy, deconvnet, init, manualSeed, SGD, tensor, zfnet } from 'zfnet';

/** @param options those of `init` */
export async function program(options = {}) {
  const start = performance.now();
  await init(options);
  const first = (await tensor([1, 2, 3]).mul(2).data())[2];
  const milliseconds = performance.now() - start;
  if (first !== 6) throw new Error(`3 · 2 is ${first}`);
  manualSeed(7);
  const [batch, size, classes] = [6, 47, 5];
  const model = zfnet('a', { classes, inputSize: size, width: 0.125, seed: 1 });
  const sgd = new SGD(model.parameters(), { lr: 0.01, momentum: 0.9, weightDecay: 1e-4, maxFilterRms: 0.1 });
  const pixels = (step) => Float32Array.from({ length: batch * 3 * size * size }, (_, i) => (((i + step) * 7919) % 1000) / 500 - 1);
  for (let step = 0; step < 3; step++) {
    const labels = Int32Array.from({ length: batch }, (_, i) => (i + step) % classes);
    const loss = crossEntropy(model.forward(tensor(pixels(step), [batch, 3, size, size])), tensor(labels));
    loss.backward();
    sgd.step();
    sgd.zeroGrad();
  }
  const image = tensor(pixels(0).slice(0, 3 * size * size), [3, size, size]);
  const picture = await deconvnet(model.eval()).project(image, { layer: 'conv3', map: 1 });
  let digest = 0;
  const sum = (await picture.data()).reduce((total, value) => total + Math.abs(value), 0);
  for (const part of [...model.parameters(), picture]) {
    const { buffer, byteOffset, length } = await part.data();
    for (const word of new Uint32Array(buffer, byteOffset, length)) digest = (Math.imul(digest, 31) + word) | 0;
  }
  const { backend, variant, threads, threadsOffBecause, fallbackBecause } = backendInfo();
  return { digest: (digest >>> 0).toString(16), sum, backend, variant, threads, threadsOffBecause, fallbackBecause, milliseconds };
}
