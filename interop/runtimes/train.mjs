// Trains a small ZFNet for a few steps and computes a digest of all its weights, which must be equal in every runtime and for any number of
// threads.

/** `zfnet` is the library as this runtime imports it, `options` are those of its `init`. */
export async function train(zfnet, options) {
  await zfnet.init(options);
  zfnet.manualSeed(7);
  const [batch, size, classes] = [12, 47, 5];
  const model = zfnet.zfnet('a', { classes, inputSize: size, width: 0.125, seed: 1 });
  const sgd = new zfnet.SGD(model.parameters(), { lr: 0.01, momentum: 0.9, weightDecay: 1e-4, maxFilterRms: 0.1 });
  for (let step = 0; step < 6; step++) {
    const pixels = Float32Array.from({ length: batch * 3 * size * size }, (_, i) => (((i + step) * 7919) % 1000) / 500 - 1);
    const labels = Int32Array.from({ length: batch }, (_, i) => (i + step) % classes);
    const loss = zfnet.crossEntropy(model.forward(zfnet.tensor(pixels, [batch, 3, size, size])), zfnet.tensor(labels));
    loss.backward();
    sgd.step();
    sgd.zeroGrad();
  }
  let digest = 0;
  for (const parameter of model.parameters()) {
    const numbers = await parameter.data();
    for (const word of new Uint32Array(numbers.buffer, numbers.byteOffset, numbers.length)) digest = (Math.imul(digest, 31) + word) | 0;
  }
  const { variant, threads, threadsOffBecause } = zfnet.backendInfo();
  return { digest: (digest >>> 0).toString(16), variant, threads, threadsOffBecause };
}
