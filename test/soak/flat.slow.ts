/**
 * `npm run test:soak`: loops that run for long hold no more memory at their end than at their beginning: tensors, the engine's heap,
 * and the process.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, describe, expect, it } from 'vitest';
import { batches, openDataset } from '../../src/data/index.js';
import { crossEntropy, deconvnet, init, memory, noGrad, SGD, tensor, zfnet } from '../../src/index.js';
import { defaultBackend } from '../../src/tensor/index.js';
import { noise } from '../../src/testing/cases/formula.js';
import { noiseBytes, tree } from '../data/support.js';
import { collectGarbage } from '../support/gc.js';
import { pick, repeat } from './settings.js';

const [SIZE, CLASSES, BATCH] = [28, 10, 4];
/** Repetitions in which caches fill and the allocators find their sizes. */
const WARM = 100;
/** Allowed growth of the process, for compiled code and bookkeeping of V8. A leak of 1 KiB per step exceeds it. */
const PROCESS_SLACK = 64 * 2 ** 20;
const HEAP_SLACK = 8 * 2 ** 20;

const small = () => zfnet('small', { classes: CLASSES, channels: 1, width: 0.01, inputSize: SIZE, seed: 1 });
const images = (seed: number) => tensor(Float32Array.from(noise(BATCH * SIZE * SIZE, seed + 1)), [BATCH, 1, SIZE, SIZE]);

async function held() {
  await collectGarbage();
  const { bytes, tensors, reservedBytes } = memory();
  const { rss, heapUsed, arrayBuffers } = process.memoryUsage();
  return { engine: { bytes, tensors, reservedBytes }, rss, script: heapUsed + arrayBuffers };
}

/** Runs a loop, compares memory after its warm-up and at its end, and says how long it was. */
async function staysFlat(name: string, seconds: number, steps: number, step: (i: number) => void | Promise<void>): Promise<void> {
  for (let i = 0; i < Math.min(WARM, steps / 2); i++) await step(i);
  const before = await held();
  const done = await repeat(seconds, steps, (i) => step(WARM + i));
  const after = await held();
  const mib = (bytes: number) => (bytes / 2 ** 20).toFixed(1);
  console.log(
    `${name}: ${done} repetitions; tensors ${after.engine.tensors}, heap ${mib(before.engine.reservedBytes)} → ${mib(after.engine.reservedBytes)} MiB, process ${mib(before.rss)} → ${mib(after.rss)} MiB`,
  );
  expect(done).toBeGreaterThan(0);
  expect(after.engine).toEqual(before.engine);
  expect(after.script - before.script).toBeLessThan(HEAP_SLACK);
  expect(after.rss - before.rss).toBeLessThan(PROCESS_SLACK);
}

describe('memory stays constant', () => {
  it('in training', async () => {
    await init({ threads: 1 });
    const model = small();
    const sgd = new SGD(model.parameters(), { lr: 0.001, momentum: 0.9, maxFilterRms: 0.1 });
    await staysFlat('training steps', 40, 200_000, async (i) => {
      const labels = tensor(
        Int32Array.from({ length: BATCH }, (_, k) => (k * 7 + i) % CLASSES),
        [BATCH],
      );
      const loss = crossEntropy(model.forward(images(i % 1000)), labels);
      loss.backward();
      sgd.step();
      sgd.zeroGrad();
      expect(Number.isFinite(await loss.item())).toBe(true);
    });
    model.dispose();
    defaultBackend().dispose();
  });

  it('in evaluation without gradients', async () => {
    await init({ threads: 1 });
    const model = small().eval();
    await staysFlat('evaluations', 20, 100_000, (i) => {
      noGrad(() => {
        model.forward(images(i % 1000)).dispose();
      });
    });
    model.dispose();
    defaultBackend().dispose();
  });

  it.each(['awaited', 'synchronous'] as const)('in passes in eval() and in noGrad() whose results nothing frees, %s', async (kind) => {
    await init({ threads: 1 });
    const model = small();
    const passes = pick(2_000, 100_000);
    const image = (seed: number) => tensor(Float32Array.from(noise(SIZE * SIZE, seed + 1)), [1, 1, SIZE, SIZE]);
    for (const mode of ['eval()', 'noGrad()']) {
      model.train(mode === 'noGrad()');
      const forward = (i: number) => (mode === 'eval()' ? model.forward(image(i % 100)) : noGrad(() => model.forward(image(i % 100))));
      for (let i = 0; i < WARM; i++) forward(i).dataSync();
      const before = await held();
      // Without a pause in the synchronous loop, no finaliser runs before its end.
      if (kind === 'awaited') for (let i = 0; i < passes; i++) await forward(i).data();
      else for (let i = 0; i < passes; i++) forward(i).dataSync();
      const { tensors, reservedBytes } = memory();
      console.log(`${passes} passes in ${mode}, ${kind}: ${tensors} tensors, heap ${(reservedBytes / 2 ** 20).toFixed(1)} MiB`);
      expect({ tensors, reservedBytes }).toEqual({ tensors: before.engine.tensors, reservedBytes: before.engine.reservedBytes });
      expect((await held()).rss - before.rss).toBeLessThan(PROCESS_SLACK);
    }
    model.dispose();
    defaultBackend().dispose();
  });

  it('in projections of the deconvnet', async () => {
    await init({ threads: 1 });
    const model = small().eval();
    const net = deconvnet(model);
    await staysFlat('projections', 20, 20_000, async (i) => {
      const image = tensor(Float32Array.from(noise(SIZE * SIZE, (i % 100) + 1)), [1, 1, SIZE, SIZE]);
      const picture = await net.project(image, { layer: i % 2 === 0 ? 'conv5' : 'conv2', map: 0 });
      picture.dispose();
      image.dispose();
    });
    model.dispose();
    defaultBackend().dispose();
  });

  it('in epochs whose images worker threads read', async () => {
    await init({ threads: 1 });
    const folder = mkdtempSync(join(tmpdir(), 'zfnet-soak-'));
    afterAll(() => rmSync(folder, { recursive: true, force: true }));
    const picture = (seed: number) =>
      sharp(noiseBytes(32 * 32 * 3, seed), { raw: { width: 32, height: 32, channels: 3 } })
        .png()
        .toBuffer();
    await tree(
      folder,
      Object.fromEntries(
        ['ant', 'bee'].flatMap((name, k) => Array.from({ length: 12 }, (_, i) => [`train/${name}/${i}.png`, picture(k * 12 + i + 1)])),
      ),
    );
    const { splits } = await openDataset(folder, { imageSize: 24, workers: 2, cacheBytes: 0 });
    await staysFlat('epochs', 25, 5_000, async () => {
      let count = 0;
      for await (const batch of batches(splits.train, { batchSize: 8 })) count += batch.length;
      expect(count).toBe(splits.train.length);
    });
    defaultBackend().dispose();
  });

  it('when the engine is started and disposed of repeatedly', async () => {
    await staysFlatProcess('starts of the engine', 25, 2_000, async () => {
      await init({ threads: 2 });
      const x = tensor([1, 2, 3, 4]);
      expect(await x.mul(2).sum().item()).toBe(20);
      defaultBackend().dispose();
    });
  });
});

/** As `staysFlat`, for loops after which there is no engine to ask. */
async function staysFlatProcess(name: string, seconds: number, steps: number, step: (i: number) => Promise<void>): Promise<void> {
  const warm = pick(10, WARM);
  for (let i = 0; i < warm; i++) await step(i);
  await collectGarbage();
  const before = process.memoryUsage().rss;
  const done = await repeat(seconds, steps, step);
  await collectGarbage();
  const after = process.memoryUsage().rss;
  console.log(`${name}: ${done}; process ${(before / 2 ** 20).toFixed(1)} → ${(after / 2 ** 20).toFixed(1)} MiB`);
  expect(after - before).toBeLessThan(2 * PROCESS_SLACK);
}
