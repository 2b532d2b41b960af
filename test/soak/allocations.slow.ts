/**
 * `npm run test:soak`: every allocation of a training step, a projection and an ONNX run fails once. Each time there is an
 * `OutOfMemoryError`, or the engine does without that memory; nothing is held that was not held before; and the next attempt
 * gives the same bits.
 */
import { createHash } from 'node:crypto';
import { afterEach, describe, expect, it } from 'vitest';
import { Heap } from '../../src/backend/wasm/runtime/heap.js';
import { loadOnnx, toOnnx } from '../../src/formats/onnx/index.js';
import { crossEntropy, deconvnet, init, manualSeed, memory, OutOfMemoryError, SGD, shutdown, tensor, zfnet } from '../../src/index.js';
import { noise } from '../../src/testing/cases/formula.js';
import { collectGarbage } from '../support/gc.js';

const take = Heap.prototype.allocate;
let count = 0;
/** Which allocation fails, counted from 1; 0 for none. */
let failing = 0;

function watch(n: number): void {
  count = 0;
  failing = n;
  Heap.prototype.allocate = function (bytes) {
    count++;
    if (count === failing) throw new OutOfMemoryError(bytes, this.bytes, this.limitBytes);
    return take.call(this, bytes);
  };
}

const unwatch = (): void => {
  Heap.prototype.allocate = take;
};

afterEach(async () => {
  unwatch();
  await shutdown();
});

/** What one attempt computes. Whatever it makes on the way it gives back, also where it fails. */
type Attempt = () => Promise<readonly Float32Array[]>;

/** A digest of results, bit by bit. */
function bitsOf(results: readonly Float32Array[]): string {
  const hash = createHash('sha256');
  for (const result of results) hash.update(result);
  return hash.digest('hex');
}

const held = () => {
  const { bytes, tensors } = memory();
  return { bytes, tensors };
};

/** Waits until no more is held than before: a layer whose constructor failed is given back with the garbage. */
async function heldIs(before: ReturnType<typeof held>): Promise<boolean> {
  const same = () => held().bytes === before.bytes && held().tensors === before.tensors;
  for (let i = 0; i < 20 && !same(); i++) await collectGarbage();
  return same();
}

/** Lets every allocation of an attempt fail once. */
async function failEach(name: string, attempt: Attempt): Promise<void> {
  const expected = bitsOf(await attempt());
  expect(bitsOf(await attempt())).toBe(expected);
  await collectGarbage();
  const before = held();
  watch(0);
  await attempt();
  unwatch();
  const allocations = count;
  let refused = 0;
  for (let n = 1; n <= allocations; n++) {
    watch(n);
    const outcome = await attempt().then(bitsOf, (error) => error as Error);
    unwatch();
    if (typeof outcome === 'string') expect(outcome, `allocation ${n} failed`).toBe(expected);
    else {
      expect(outcome, `allocation ${n}: ${outcome.stack}`).toBeInstanceOf(OutOfMemoryError);
      refused++;
    }
    if (!(await heldIs(before))) expect(held(), `after allocation ${n} failed`).toEqual(before);
    expect(bitsOf(await attempt()), `after allocation ${n} failed`).toBe(expected);
  }
  console.log(`${name}: ${allocations} allocations, each failed once; ${refused} gave an OutOfMemoryError`);
  expect(refused).toBeGreaterThan(0);
}

const SIZE = 28;
const input = (n = 1) => tensor(Float32Array.from(noise(n * SIZE * SIZE, 3)), [n, 1, SIZE, SIZE]);
const small = () => zfnet('small', { classes: 3, channels: 1, width: 0.02, inputSize: SIZE, seed: 1 });

describe('an allocation that fails', () => {
  it.each([1, 2])('in a training step, on %i threads', { timeout: 600_000 }, async (threads) => {
    await init({ threads });
    await failEach(`training step, ${threads} threads`, async () => {
      // Of dropout.
      manualSeed(1);
      const model = small();
      const sgd = new SGD(model.parameters(), { lr: 0.01, momentum: 0.9, maxFilterRms: 0.1 });
      const [x, labels] = [input(2), tensor(Int32Array.of(0, 2), [2])];
      try {
        const loss = crossEntropy(model.forward(x), labels);
        loss.backward();
        sgd.step();
        sgd.zeroGrad();
        const weights = model.namedParameters().map(([, value]) => Float32Array.from(value.dataSync()));
        return [Float32Array.of(await loss.item()), ...weights];
      } finally {
        model.dispose();
        sgd.dispose?.();
        for (const value of [x, labels]) value.dispose();
      }
    });
  });

  it('in a projection', { timeout: 600_000 }, async () => {
    await init({ threads: 1 });
    const model = small().eval();
    const net = deconvnet(model);
    await failEach('projection', async () => {
      const x = input();
      try {
        const picture = await net.project(x, { layer: 'conv5', map: 1 });
        const data = Float32Array.from(await picture.data());
        picture.dispose();
        return [data];
      } finally {
        x.dispose();
      }
    });
    model.dispose();
  });

  it('in loading and running an ONNX model', { timeout: 600_000 }, async () => {
    await init({ threads: 1 });
    const model = small().eval();
    const bytes = await toOnnx(model, { inputSize: SIZE, channels: 1 });
    model.dispose();
    await failEach('ONNX model', async () => {
      const x = input();
      try {
        const net = await loadOnnx(bytes);
        try {
          const { output } = await net.run({ input: x });
          const data = Float32Array.from(await output.data());
          output.dispose();
          return [data];
        } finally {
          net.dispose();
        }
      } finally {
        x.dispose();
      }
    });
  });
});
