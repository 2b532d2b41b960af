// Fine-tunes from few images: a network is trained on the digits 0 to 7; then its convolutions are frozen, the last layer is replaced, and it
// learns to tell 8 from 9 by ten images of each. Run it with `node examples/fine-tune/main.mjs`.
import { Conv2d, Flatten, init, Linear, MaxPool2d, manualSeed, ReLU, Sequential, SGD, tensor } from 'zfnet';
import { openDataset, shuffledPlaces } from 'zfnet/data';
import { fit } from 'zfnet/train';

const SIDE = 28;

/** Batches of 50 with the examples at some places of a split; the labels are counted from `first`. */
async function batchesOf(split, places, first) {
  const batches = [];
  for (let start = 0; start < places.length; start += 50) {
    const examples = await Promise.all(places.slice(start, start + 50).map((place) => split.get(place)));
    const pixels = Float32Array.from(
      examples.flatMap(({ image }) => [...image.data]),
      (value) => value / 255,
    );
    const labels = Int32Array.from(examples, ({ label }) => label - first);
    batches.push({ images: tensor(pixels, [examples.length, 1, SIDE, SIDE]), labels: tensor(labels) });
  }
  return batches;
}

/** Places of up to `count` examples of a split whose label passes a test, at random. */
const placesOf = (split, test, count) =>
  shuffledPlaces(split.length, 1)
    .filter((i) => test(split.labels[i]))
    .slice(0, count);

await init();
manualSeed(1);
const { train, val } = (await openDataset('mnist')).splits;

const body = new Sequential([
  new Conv2d(1, 16, 5),
  new ReLU(),
  new MaxPool2d(2),
  new Conv2d(16, 32, 5),
  new ReLU(),
  new MaxPool2d(2),
  new Flatten(),
]);
const optimizerOf = (parameters) => new SGD(parameters, { lr: 0.02, momentum: 0.9 });

// The first training: the digits 0 to 7.
const eight = new Sequential([body, new Linear(512, 8)]);
const digits = await batchesOf(
  train,
  placesOf(train, (label) => label < 8, 1500),
  0,
);
const [{ loss }] = (await fit(eight, digits, { optimizer: optimizerOf(eight.parameters()), epochs: 3 })).slice(-1);
console.log(`digits 0 to 7: training loss ${loss.toFixed(3)}`);

// The second: 8 and 9, with the convolutions frozen and a new last layer.
for (const parameter of body.parameters()) parameter.requiresGrad = false;
const before = await body.parameters()[0].data();
const two = new Sequential([body, new Linear(512, 2)]);
const few = [...placesOf(train, (label) => label === 8, 10), ...placesOf(train, (label) => label === 9, 10)];
const [{ valTop1Error }] = (
  await fit(two, await batchesOf(train, few, 8), {
    optimizer: optimizerOf(two.parameters().filter(({ requiresGrad }) => requiresGrad)),
    epochs: 30,
    validation: await batchesOf(
      val,
      placesOf(val, (label) => label > 7, 200),
      8,
    ),
  })
).slice(-1);
console.log(`8 and 9 from ten images each: ${(100 * valTop1Error).toFixed(1)} % of 200 held-out images are wrong`);
const after = await body.parameters()[0].data();
if (after.some((value, i) => value !== before[i])) throw new Error('a frozen weight has changed');
if (valTop1Error > 0.25) throw new Error('expected at most 25 %');
