/**
 * `npm run bench:threads -- [--filter NAME] [--threads 2] [--batch 16] [--rounds 8] [--json]`: what a second thread brings (or `--threads` of them),
 * kernel by kernel and for ZFNet's forward pass and training step. One thread and many take turns, and the best of each counts: both
 * meet the same machine. What memory holds up cannot gain as much as arithmetic: the first line tells how a copy does.
 */
import { parseArgs } from 'node:util';
import type { Backend } from '../src/backend/backend.js';
import { createWasmBackend } from '../src/backend/wasm/index.js';
import { crossEntropy, init, noGrad, SGD, tensor, zfnet } from '../src/index.js';
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
  const mark = MARKED.test(name) ? (result.ratio >= MARK ? `  reached ${MARK}` : `  missed ${MARK}`) : '';
  say(`${name.padEnd(36)}${oneMs.toFixed(2).padStart(10)}${manyMs.toFixed(2).padStart(10)}${result.ratio.toFixed(2).padStart(8)}${mark}`);
}

/** The clock's least reading of each, in turns. */
function leastOf(runs: readonly (() => void)[], times: number): number[] {
  const least = runs.map(() => Number.POSITIVE_INFINITY);
  for (let round = 0; round < times; round++) {
    runs.forEach((run, index) => {
      const start = performance.now();
      run();
      least[index] = Math.min(least[index], performance.now() - start);
    });
  }
  return least;
}

async function kernel(benchCase: BenchCase, backends: readonly Backend[]): Promise<void> {
  const prepared = backends.map((backend) => benchCase.prepare(backend));
  for (const each of prepared) {
    each.run();
    await each.check();
  }
  const runs = prepared.map((each) => each.run);
  report(
    benchCase.name,
    leastOf(
      runs.map((run) => () => run()),
      3 * rounds,
    ),
  );
  for (const each of prepared) each.release();
}

/** ZFNet at full size: a training step, or a forward pass without gradients. */
async function network(name: string, training: boolean): Promise<void> {
  const least = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  for (let turn = 0; turn < 2; turn++) {
    for (const [index, count] of [1, threads].entries()) {
      await init({ threads: count });
      const model = zfnet('a', { classes: 1000, seed: 1 });
      const sgd = new SGD(model.parameters(), { lr: 1e-4, momentum: 0.9, maxFilterRms: 0.1 });
      const images = tensor(noise(batch * 3 * 224 * 224, 1), [batch, 3, 224, 224]);
      const labels = tensor(Int32Array.from({ length: batch }, (_, i) => (i * 37) % 1000));
      if (!training) model.eval();
      for (let step = 0; step <= rounds / 2; step++) {
        const start = performance.now();
        if (training) {
          const loss = crossEntropy(model.forward(images), labels);
          loss.backward();
          sgd.step();
          sgd.zeroGrad();
          await loss.item();
        } else {
          const logits = noGrad(() => model.forward(images));
          await logits.data();
          logits.dispose();
        }
        if (step > 0) least[index] = Math.min(least[index], performance.now() - start);
      }
    }
  }
  report(name, least);
}

const one = await createWasmBackend({ threads: 1 });
const many = await createWasmBackend({ threads });
say(`${'case'.padEnd(36)}${'1, ms'.padStart(10)}${`${many.info().threads}, ms`.padStart(10)}${'ratio'.padStart(8)}`);
const copies = [one, many].map((backend) => copyBandwidth(backend));
say(
  `${'copying'.padEnd(36)}${copies.map((gbs) => `${gbs.toFixed(1)} GB/s`.padStart(10)).join('')}${(copies[1] / copies[0]).toFixed(2).padStart(8)}`,
);
for (const each of [...gemmCases, ...convCases, ...bandwidthCases]) {
  if (CHOSEN.test(each.name) && each.name.includes(values.filter)) await kernel(each, [one, many]);
}
for (const backend of [one, many]) backend.dispose();
for (const training of [false, true]) {
  const name = `ZFNet batch ${batch} ${training ? 'training step' : 'forward'}`;
  if (name.includes(values.filter)) await network(name, training);
}
if (values.json) console.log(JSON.stringify({ threads, copies, results }));
process.exit();
