/** Damaged files: every prefix and every flipped byte of a small model is an error or a model, and running that is an error or a result. */
import { describe, expect, it } from 'vitest';
import { createReferenceBackend } from '../../../src/backend/reference/index.js';
import { loadOnnx, toOnnx } from '../../../src/formats/onnx/index.js';
import { Conv2d, Flatten, Linear, LocalResponseNorm, MaxPool2d, ReLU, Sequential } from '../../../src/nn/index.js';
import { tensor, withBackend, ZfnetError } from '../../../src/tensor/index.js';

/** Memory limit of the engine: a damaged file that requests more must lead to an error, not to an allocation. */
const LIMIT = 2 ** 22;
const backend = createReferenceBackend({ limitBytes: LIMIT });

const small = await withBackend(backend, () =>
  toOnnx(
    new Sequential({
      conv: new Conv2d(1, 2, 2),
      relu: new ReLU(),
      norm: new LocalResponseNorm(),
      pool: new MaxPool2d(2),
      flatten: new Flatten(),
      fc: new Linear(2, 2),
    }),
    { inputShape: [1, 1, 3, 3] },
  ),
);

/** Loads and runs; true where both went well. Anything thrown must be one of the library's own errors. */
async function survive(bytes: Uint8Array, what: string): Promise<boolean> {
  try {
    const net = await loadOnnx(bytes, { backend });
    try {
      const x = tensor(new Float32Array(9), [1, 1, 3, 3], { backend });
      await net.run({ [net.inputs[0]?.name ?? 'input']: x });
    } finally {
      net.dispose();
    }
    return true;
  } catch (error) {
    if (!(error instanceof ZfnetError)) throw new Error(`${what}: ${(error as Error).stack}`);
    return false;
  }
}

describe('damaged ONNX files', () => {
  it('the undamaged file loads', async () => {
    expect(await survive(small, 'the file')).toBe(true);
  });

  it('every prefix throws a typed error', async () => {
    let loaded = 0;
    for (let length = 0; length < small.length; length++) if (await survive(small.slice(0, length), `the first ${length} bytes`)) loaded++;
    // A prefix that ends between two fields of the model is a model without the later ones.
    expect(loaded).toBeLessThan(4);
  });

  it('every flipped byte loads or throws a typed error', async () => {
    let loaded = 0;
    const attempts = [0xff, 0x01, 0x80];
    for (let at = 0; at < small.length; at++) {
      for (const flip of attempts) {
        const damaged = small.slice();
        damaged[at] ^= flip;
        if (await survive(damaged, `byte ${at} ^ ${flip}`)) loaded++;
      }
    }
    // Weights and names can be anything; lengths and types cannot.
    expect(loaded).toBeGreaterThan(0);
    expect(loaded).toBeLessThan(attempts.length * small.length);
  });
});
