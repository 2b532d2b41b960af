/** Training steps: what a step creates once the first ones are over, what it waits for, and what `warmUp` compiles ahead. */
import { createBackend } from '../../src/index.js';
import { type Module, SGD, warmUp } from '../../src/nn/index.js';
import { fit } from '../../src/nn/training/index.js';
import { type Backend, crossEntropy, manualSeed, noGrad, tensor, withBackend, zeros } from '../../src/tensor/index.js';
import { zfnet } from '../../src/zfnet/index.js';
import { equal, holds } from './assert.js';
import { type Counts, counting } from './counting.js';
import { check, type SuiteContext } from './suite.js';

const BATCH = 2;
const CLASSES = 5;
const STEPS = 8;

/** A network with the layers of ZFNet, narrow, so that a software device trains it. */
const build = (backend: Backend, variant: 'a' | 'small', inputSize: number): Module => {
  manualSeed(3);
  return withBackend(backend, () => zfnet(variant, { width: 1 / 32, classes: CLASSES, inputSize, seed: 4 })).train();
};

/** Batches of `fit`, the same images in all. */
const batches = (backend: Backend, count: number) => () =>
  Array.from({ length: count }, (_, i) => ({
    images: withBackend(backend, () => tensor(new Float32Array(BATCH * 3 * 64 * 64).fill(i / 10), [BATCH, 3, 64, 64])),
    labels: Int32Array.from({ length: BATCH }, (_, row) => (row + i) % CLASSES),
  }));

/** The largest number of dispatches per training step of ZFNet. */
const MOST_DISPATCHES = 150;

async function steadyState(context: SuiteContext): Promise<void> {
  const counted = counting(context.gpu);
  const backend = await createBackend({ backend: 'webgpu', gpu: counted.gpu });
  const model = build(backend, 'a', 64);
  const optimizer = new SGD(model.parameters(), { lr: 0.01, momentum: 0.9, weightDecay: 5e-4, maxFilterRms: 0.1 });
  const perStep: Counts[] = [];
  /** Number of reads that had begun when the loss of each step arrived. */
  const begun: number[] = [];
  let last = { ...counted.counts };
  await fit(model, batches(backend, STEPS), {
    epochs: 1,
    optimizer,
    callbacks: {
      onStep() {
        begun.push(counted.counts.maps);
        const now = { ...counted.counts };
        perStep.push(Object.fromEntries(Object.entries(now).map(([name, value]) => [name, value - last[name as keyof Counts]])) as never);
        last = now;
      },
    },
  });
  // The loss of the last step arrives when no step follows.
  const steady = perStep.slice(4, -1);
  for (const name of ['buffers', 'groups', 'pipelines', 'modules'] as const)
    await check(context, `a steady-state step creates no ${name}`, () => {
      equal(steady.length, STEPS - 5, 'number of steps');
      for (const step of steady) equal(step[name], 0, name);
    });
  await check(context, `a step of ZFNet has at most ${MOST_DISPATCHES} dispatches`, () => {
    for (const { dispatches } of steady) holds(dispatches > 20 && dispatches <= MOST_DISPATCHES, `${dispatches} dispatches`);
  });
  await check(context, 'a loss arrives when the next step is already under way', () => {
    equal(begun.length, STEPS);
    for (let step = 1; step < STEPS; step++) holds(begun[step - 1] > step, `step ${step}: ${begun[step - 1]} reads had begun`);
  });
  optimizer.dispose();
  model.dispose();
  backend.dispose();
}

async function warmUps(context: SuiteContext): Promise<void> {
  for (const training of [true, false])
    await check(context, `warmUp compiles the kernels of ${training ? 'a training step' : 'inference'} and changes nothing`, async () => {
      const counted = counting(context.gpu);
      const backend = await createBackend({ backend: 'webgpu', gpu: counted.gpu });
      const model = build(backend, 'small', 28).train(training);
      const before = await Promise.all(model.parameters().map((parameter) => parameter.data()));
      await warmUp(model, [BATCH, 3, 28, 28]);
      const compiled = counted.counts.pipelines;
      const dispatched = counted.counts.dispatches;
      const after = await Promise.all(model.parameters().map((parameter) => parameter.data()));
      before.forEach((values, i) => {
        equal(values.join(), after[i].join(), `parameter ${i}`);
      });
      holds(
        model.parameters().every(({ grad }) => grad === null),
        'a gradient was left',
      );
      equal(counted.counts.dispatches, dispatched, 'dispatches of reads');
      const images = withBackend(backend, () => zeros([BATCH, 3, 28, 28]));
      const run = () => {
        const output = model.forward(images);
        if (!training) return output;
        const labels = tensor(new Int32Array(BATCH), [BATCH], { backend });
        const loss = crossEntropy(output, labels);
        loss.backward();
        return loss;
      };
      const result = withBackend(backend, () => (training ? run() : noGrad(run)));
      await result.data();
      holds(compiled >= 8, `${compiled} pipelines were compiled`);
      equal(counted.counts.pipelines, compiled, 'number of pipelines after the first step');
      model.dispose();
      backend.dispose();
    });
}

/** Runs the suite. */
export async function steps(context: SuiteContext): Promise<void> {
  await warmUps(context);
  await steadyState(context);
}
