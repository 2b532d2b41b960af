/**
 * `npm run bench:threads -- [--filter NAME] [--threads 2] [--batch 16] [--rounds 8] [--json]`: measures the speed-up by a second thread (or
 * by `--threads`), for each kernel and for ZFNet's forward pass and training step. Runs with one and with many threads alternate and the
 * best of each counts, so that other work on the machine affects both alike. Memory-bound kernels gain less than compute-bound ones; the
 * first line shows a copy.
 */
import { parseArgs } from 'node:util';
import type { Backend } from '../src/backend/backend.js';
import { createWasmBackend } from '../src/backend/wasm/index.js';
import { crossEntropy, init, noGrad, profile, SGD, tensor, zfnet } from '../src/index.js';
import { defaultBackend } from '../src/tensor/index.js';
import { bandwidthCases, copyBandwidth } from './bandwidth.js';
import { convCases } from './conv2d.js';
import { gemmCases } from './gemm.js';
import { type BenchCase, noise } from './harness.js';

const { values } = parseArgs({
  options: {
    filter: { type: 'string', default: '' },
    threads: { type: 'string', default: '2' },
    batch: { type: 'string', default: '16' },
    rounds: { type: 'string', default: '8' },
    json: { type: 'boolean', default: false },
  },
});
const [threads, batch, rounds] = [Number(values.threads), Number(values.batch), Number(values.rounds)];
const CHOSEN = /^(matmul (1024|conv2|conv4)|fc6 batch 16|zfnet)|^(dropout|SGD|limit|cross|ReLU)/;
/** Wanted speed-up by two threads. */
const MARK = 1.85;
const MARKED = /^matmul conv[24] A·B$|^zfnet conv[24] |^ZFNet/;

interface Result {
  name: string;
  oneMs: number;
  manyMs: number;
  ratio: number;
}

const results: Result[] = [];
const say = values.json ? () => {} : console.log;

function report(name: string, [oneMs, manyMs]: readonly number[]): void {
  const result = { name, oneMs, manyMs, ratio: oneMs / manyMs };
  results.push(result);
  const mark = MARKED.test(name) && threads === 2 ? (result.ratio >= MARK ? `  reached ${MARK}` : `  missed ${MARK}`) : '';
  say(`${name.padEnd(44)}${oneMs.toFixed(2).padStart(10)}${manyMs.toFixed(2).padStart(10)}${result.ratio.toFixed(2).padStart(8)}${mark}`);
}

async function kernel(benchCase: BenchCase, backends: readonly Backend[]): Promise<void> {
  const prepared = backends.map((backend) => benchCase.prepare(backend));
  for (const each of prepared) {
    each.run();
    await each.check();
  }
  const least = prepared.map(() => Number.POSITIVE_INFINITY);
  for (let round = 0; round < 4 * rounds; round++) {
    for (const [index, { run }] of prepared.entries()) {
      const start = performance.now();
      run();
      least[index] = Math.min(least[index], performance.now() - start);
    }
  }
  report(benchCase.name, least);
  for (const each of prepared) each.release();
}

interface Run {
  step(): Promise<void>;
  backend: Backend;
  leastMs: number;
  /** Shortest time of each kernel, per layer and shape, in any step. */
  kernels: Map<string, number>;
}

/** Full-size ZFNet on a given number of threads: a training step, or a forward pass without gradients. */
async function prepare(count: number, training: boolean): Promise<Run> {
  await init({ threads: count });
  const model = zfnet('a', { classes: 1000, seed: 1 });
  const sgd = new SGD(model.parameters(), { lr: 1e-4, momentum: 0.9, maxFilterRms: 0.1 });
  const images = tensor(noise(batch * 3 * 224 * 224, 1), [batch, 3, 224, 224]);
  const labels = tensor(Int32Array.from({ length: batch }, (_, i) => (i * 37) % 1000));
  if (!training) model.eval();
  const step = training
    ? async () => {
        const loss = crossEntropy(model.forward(images), labels);
        loss.backward();
        sgd.step();
        sgd.zeroGrad();
        await loss.item();
      }
    : async () => {
        const logits = noGrad(() => model.forward(images));
        await logits.data();
        logits.dispose();
      };
  // The first step grows the heap; the second may still move blocks.
  for (let i = 0; i < 2; i++) await step();
  return { step, backend: defaultBackend(), leastMs: Number.POSITIVE_INFINITY, kernels: new Map() };
}

/** Best time of whole steps, and the sum of the best times of their kernels, which other work on the machine affects less. */
async function network(training: boolean): Promise<void> {
  const name = `ZFNet batch ${batch} ${training ? 'training step' : 'forward'}`;
  if (!name.includes(values.filter)) return;
  const runs = [await prepare(1, training), await prepare(threads, training)];
  for (let round = 0; round < rounds; round++) {
    for (const run of runs) {
      const { wallMs, rows } = await profile(run.step, { backend: run.backend });
      run.leastMs = Math.min(run.leastMs, wallMs);
      for (const { layer, kernel, shape, ms } of rows) {
        const key = `${layer} ${kernel} ${shape}`;
        run.kernels.set(key, Math.min(run.kernels.get(key) ?? ms, ms));
      }
    }
  }
  report(
    name,
    runs.map(({ leastMs }) => leastMs),
  );
  report(
    `${name}, kernels`,
    runs.map(({ kernels }) => [...kernels.values()].reduce((sum, ms) => sum + ms, 0)),
  );
}

const one = await createWasmBackend({ threads: 1 });
const many = await createWasmBackend({ threads });
say(`${'case'.padEnd(44)}${'1, ms'.padStart(10)}${`${many.info().threads}, ms`.padStart(10)}${'ratio'.padStart(8)}`);
const copies = [one, many].map((backend) => copyBandwidth(backend));
say(
  `${'copying'.padEnd(44)}${copies.map((gbs) => `${gbs.toFixed(1)} GB/s`.padStart(10)).join('')}${(copies[1] / copies[0]).toFixed(2).padStart(8)}`,
);
for (const each of [...gemmCases, ...convCases, ...bandwidthCases]) {
  if (CHOSEN.test(each.name) && each.name.includes(values.filter)) await kernel(each, [one, many]);
}
for (const backend of [one, many]) backend.dispose();
await network(false);
await network(true);
if (values.json) console.log(JSON.stringify({ threads, copies, results }));
process.exit();
