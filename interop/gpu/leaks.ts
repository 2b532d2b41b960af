/**
 * The suite of leaks, which takes minutes and is not part of continuous integration: memory of the backend over 10,000 training steps, and
 * memory of the process over 200 backends that are created, used and disposed of.
 */
import { Flatten, Linear, Sequential, SGD } from '../../src/nn/index.js';
import { type Backend, crossEntropy, tensor, withBackend } from '../../src/tensor/index.js';
import { labels, noise } from '../../src/testing/cases/formula.js';
import { check, type SuiteContext } from './suite.js';

const STEPS = 10_000;
const CYCLES = 200;
/** Growth of the process that 100 backends may cause: caches of the driver, not 100 devices, each of which takes several MB. */
const MOST_GROWTH = 100 * 2 ** 20;

/** Trains a small network and returns the memory of the backend after each of `points` equal parts of the steps. */
async function memoryOver(backend: Backend, steps: number, points: number) {
  const model = withBackend(backend, () => new Sequential([new Flatten(), new Linear(48, 16), new Linear(16, 4)]));
  const optimizer = new SGD(model.parameters(), { lr: 0.01, momentum: 0.9 });
  const uses: ReturnType<Backend['memory']>[] = [];
  let before: Promise<number> | undefined;
  for (let step = 1; step <= steps; step++) {
    const images = tensor(Float32Array.from(noise(4 * 48, step)), [4, 3, 4, 4], { backend });
    const truth = tensor(Int32Array.from(labels(4, step, 4)), [4], { backend });
    const loss = crossEntropy(model.forward(images), truth);
    loss.backward();
    optimizer.step();
    optimizer.zeroGrad();
    await before;
    before = loss.item();
    for (const each of [images, truth, loss]) each.dispose();
    if (step % Math.floor(steps / points) !== 0) continue;
    await before;
    uses.push(backend.memory());
  }
  optimizer.dispose();
  model.dispose();
  return uses;
}

async function steadyMemory(backend: Backend): Promise<string | null> {
  const [first, ...rest] = await memoryOver(backend, STEPS, 10);
  const grown = rest.find(
    ({ bytes, buffers, reservedBytes }) => bytes !== first.bytes || buffers !== first.buffers || reservedBytes !== first.reservedBytes,
  );
  if (grown) return `after ${STEPS / 10} steps ${JSON.stringify(first)}, later ${JSON.stringify(grown)}`;
  const { buffers } = backend.memory();
  return buffers === 0 ? null : `${buffers} buffers are left after everything was disposed of`;
}

async function cycles({ create }: SuiteContext): Promise<string | null> {
  let start = 0;
  for (let cycle = 0; cycle < CYCLES; cycle++) {
    const backend = await create();
    await memoryOver(backend, 2, 1);
    await backend.synchronize();
    backend.dispose();
    if (cycle === CYCLES / 2) start = process.memoryUsage.rss();
  }
  const growth = process.memoryUsage.rss() - start;
  return growth <= MOST_GROWTH ? null : `the process grew by ${Math.round(growth / 2 ** 20)} MiB over ${CYCLES / 2} backends`;
}

export async function leaks(context: SuiteContext): Promise<void> {
  const backend = await context.create();
  await check(context, `memory is flat over ${STEPS} training steps`, () => steadyMemory(backend));
  backend.dispose();
  await check(context, `memory of the process is flat over ${CYCLES} backends`, () => cycles(context));
}
