/**
 * `npm run bench:data -- [--images 512] [--workers 0,1,2] [--threads 2] [--data SOURCE]`: measures how many JPEGs of 500×375 per second
 * are read, decoded and cropped to 256×256, alone and while full-size ZFNet trains on every core, and the ratio to the rate that training
 * needs. The last column is the time that a training step waited for its images.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import sharp from 'sharp';
import { openDataset, type Split } from '../src/data/index.js';
import { readBatches } from '../src/data/read_batches.js';
import { crossEntropy, init, SGD, tensor, zfnet } from '../src/index.js';
import { yieldToEvents } from '../src/nn/yield_to_events.js';
import { noise } from './harness.js';

const { values } = parseArgs({
  options: {
    images: { type: 'string', default: '512' },
    workers: { type: 'string', default: '0,1,2' },
    threads: { type: 'string', default: String(availableParallelism()) },
    data: { type: 'string' },
  },
});
const BATCH = 16;
const STEPS = 3;
const SIDE = 256;
const INPUT = 224;
const CLASSES = 1000;

/** Synthetic pictures with the amount of detail of photographs: about 60 KB each. */
async function makeFolder(count: number): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'zfnet-bench-'));
  for (let i = 0; i < count; i++) {
    const colours = Uint8Array.from(noise(125 * 94 * 3, i), (value) => 128 + 100 * value);
    const jpeg = sharp(colours, { raw: { width: 125, height: 94, channels: 3 } })
      .resize(500, 375, { fit: 'fill' })
      .jpeg({ quality: 90 });
    mkdirSync(join(folder, `${i % 2}`), { recursive: true });
    writeFileSync(join(folder, `${i % 2}/${i}.jpg`), await jpeg.toBuffer());
  }
  return folder;
}

await init({ threads: Number(values.threads) });
const model = zfnet('a', { classes: CLASSES, seed: 1 });
const sgd = new SGD(model.parameters(), { lr: 1e-4, momentum: 0.9, maxFilterRms: 0.1 });
const batchOf = (count: number) => ({
  images: tensor(noise(count * 3 * INPUT * INPUT, 1), [count, 3, INPUT, INPUT]),
  labels: tensor(Int32Array.from({ length: count }, (_, i) => (i * 37) % CLASSES)),
});
const whole = batchOf(BATCH);
/** Steps that load all threads but are short, because images read in the meantime are counted only when a step ends. */
const small = batchOf(2);

async function step({ images, labels } = whole): Promise<void> {
  const loss = crossEntropy(model.forward(images), labels);
  loss.backward();
  sgd.step();
  sgd.zeroGrad();
  await loss.item();
}

const seconds = async (work: () => Promise<unknown>): Promise<number> => {
  const start = performance.now();
  await work();
  return (performance.now() - start) / 1000;
};

const orderOf = (split: Split, count: number) => Array.from({ length: count }, (_, i) => i % split.length);

/** Images per second without training. */
async function alone(split: Split): Promise<number> {
  const time = await seconds(async () => {
    for await (const _ of readBatches(split, orderOf(split, split.length), { batchSize: BATCH }));
  });
  return split.length / time;
}

/** Images per second while training steps run back to back. */
async function beside(split: Split): Promise<number> {
  let done = 0;
  let finished = 0;
  const start = performance.now();
  const reading = orderOf(split, split.length).map((place) =>
    split.get(place).then(() => {
      done++;
      finished = performance.now();
    }),
  );
  while (done < split.length) {
    await step(small);
    await yieldToEvents();
  }
  await Promise.all(reading);
  return (1000 * done) / (finished - start);
}

/** Seconds that a training step waited for its images, with two batches read ahead. */
async function waiting(split: Split): Promise<number> {
  let waited = 0;
  let before = performance.now();
  let steps = 0;
  for await (const _ of readBatches(split, orderOf(split, BATCH * (STEPS + 1)), { batchSize: BATCH })) {
    // The first step has no batch read ahead.
    if (steps++ > 0) waited += performance.now() - before;
    await step();
    await yieldToEvents();
    before = performance.now();
  }
  return waited / 1000 / STEPS;
}

const folder = values.data ? undefined : await makeFolder(Number(values.images));
try {
  await step();
  const times: number[] = [];
  for (let i = 0; i < STEPS; i++) times.push(await seconds(() => step()));
  const need = BATCH / Math.min(...times);
  console.log(`a training step of ${BATCH} images on ${values.threads} threads takes ${need.toFixed(1)} images/s`);
  for (const workers of values.workers.split(',').map(Number)) {
    const { splits } = await openDataset(values.data ?? (folder as string), {
      imageSize: SIDE,
      workers,
      cacheBytes: 0,
      verify: 'headers',
      valFraction: 0.01,
    });
    await splits.train.get(0);
    const [idle, busy, wait] = [await alone(splits.train), await beside(splits.train), await waiting(splits.train)];
    console.log(
      `${workers} workers: ${idle.toFixed(0)} images/s alone, ${busy.toFixed(0)} beside training: ${(busy / need).toFixed(1)} times the rate that training needs; a step waited ${(1000 * wait).toFixed(0)} ms`,
    );
  }
} finally {
  if (folder) rmSync(folder, { recursive: true, force: true });
}
process.exit();
