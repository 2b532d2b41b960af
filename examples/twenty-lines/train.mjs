// Trains a small convolutional network on handwritten digits (MNIST) for one epoch and prints its error on held-out digits.
// Run it from the root of the repository, after `npm run build`: node examples/twenty-lines/train.mjs
import { batchErrors, Conv2d, crossEntropy, Flatten, init, Linear, MaxPool2d, noGrad, ReLU, Sequential, SGD, tensor } from 'zfnet';
import { batches, openDataset } from 'zfnet/data';

await init();
const { splits } = await openDataset('mnist');
const model = new Sequential([
  new Conv2d(1, 16, 5),
  new ReLU(),
  new MaxPool2d(2),
  new Conv2d(16, 32, 5),
  new ReLU(),
  new MaxPool2d(2),
  new Flatten(),
  new Linear(512, 10),
]);
const sgd = new SGD(model.parameters(), { lr: 0.05, momentum: 0.9 });
const asTensors = (examples) => ({
  images: tensor(
    Float32Array.from(
      examples.flatMap(({ image }) => [...image.data]),
      (v) => v / 255,
    ),
    [examples.length, 1, 28, 28],
  ),
  labels: tensor(Int32Array.from(examples, ({ label }) => label)),
});
for await (const examples of batches(splits.train, { batchSize: 64, shuffle: true })) {
  const { images, labels } = asTensors(examples);
  const loss = crossEntropy(model.forward(images), labels);
  loss.backward();
  sgd.step();
  sgd.zeroGrad();
}
let errors = 0;
for await (const examples of batches(splits.val, { batchSize: 500 })) {
  const { images, labels } = asTensors(examples);
  errors += (
    await batchErrors(
      noGrad(() => model.forward(images)),
      await labels.data(),
    )
  ).top1;
}
console.log(`top-1 error on ${splits.val.length} held-out digits after one epoch: ${((100 * errors) / splits.val.length).toFixed(1)} %`);
if (errors / splits.val.length > 0.1) throw new Error('expected at most 10 %');
