/** Who owns which memory: flat training loops, scopes, what is freed by whom, running out of memory, and the safety net. */
import { describe, expect, it } from 'vitest';
import { createReferenceBackend } from '../../src/backend/reference/index.js';
import { Conv2d, countParameters, Flatten, Linear, MaxPool2d, Module, ReLU, Sequential, SGD } from '../../src/nn/index.js';
import {
  type Backend,
  backward,
  crossEntropy,
  DisposedError,
  defaultBackend,
  Generator,
  noGrad,
  OutOfMemoryError,
  ones,
  randn,
  scope,
  sum,
  type Tensor,
  tensor,
  ValueError,
  withBackend,
  zeros,
} from '../../src/tensor/index.js';
import { backends, reference, strict, strictThreads } from '../support/backends.js';
import { labels, noise } from '../support/formula.js';
import { collect, collectGarbage } from '../support/gc.js';

const CLASSES = 3;
const BATCH = 4;

const smallNet = () =>
  new Sequential({
    conv1: new Conv2d(1, 3, 3, { padding: 1 }),
    relu1: new ReLU(),
    pool1: new MaxPool2d(2),
    flatten: new Flatten(),
    fc6: new Linear(27, 8),
    relu6: new ReLU(),
    fc8: new Linear(8, CLASSES),
  });

const batch = (step: number, size = BATCH) => ({
  images: tensor(Float32Array.from(noise(size * 36, step + 1)), [size, 1, 6, 6]),
  targets: tensor(Int32Array.from(labels(size, step + 1, CLASSES)), [size]),
});

/** What tensors hold on a backend. */
const held = (backend: Backend) => {
  const { bytes, buffers } = backend.memory();
  return { bytes, buffers };
};

describe.each([backends[0], strict])('a training loop on $name', ({ backend }) => {
  it('runs 1,000 steps without a dispose, on fresh inputs, at flat memory', () =>
    withBackend(backend, async () => {
      const before = held(backend);
      const model = smallNet();
      const sgd = new SGD(model.parameters(), { lr: 0.05, momentum: 0.9 });
      let early = held(backend);
      const losses: number[] = [];
      for (let step = 0; step < 1000; step++) {
        // After an `await` the default backend is whatever the test runner's other work left.
        const loss = withBackend(backend, () => {
          const { images, targets } = batch(step % 7);
          if (step % 3 === 0) sgd.zeroGrad();
          const loss = crossEntropy(model.forward(images), targets);
          loss.backward();
          sgd.step();
          return loss;
        });
        if (step % 100 === 0) losses.push(await loss.item());
        if (step === 8) early = held(backend);
      }
      expect(held(backend)).toEqual(early);
      const size = countParameters(model) * 4;
      expect(held(backend).bytes - before.bytes).toBe(3 * size); // weights, gradients, velocities
      expect(losses.at(-1)).toBeLessThan(losses[0]);
      sgd.zeroGrad();
      sgd.dispose();
      model.dispose();
      expect(held(backend)).toEqual(before);
    }));

  it('evaluates under noGrad() at flat memory, and leaves nothing recorded', () => {
    withBackend(backend, () => {
      const model = smallNet().eval();
      const before = held(backend);
      for (let step = 0; step < 20; step++) {
        const { images } = batch(step);
        expect(noGrad(() => model.forward(images).argmax().dataSync()).length).toBe(BATCH);
        expect(held(backend)).toEqual(before);
      }
      model.dispose();
    });
  });
});

describe('what a step frees', () => {
  const step = (model: Sequential) => {
    const { images, targets } = batch(0);
    const logits = model.forward(images);
    return { images, logits, loss: crossEntropy(logits, targets) };
  };

  it.each([reference, strict.backend])('backward() frees what was computed, and the loss moves to the host', (backend) =>
    withBackend(backend, () => {
      const model = smallNet();
      const before = held(backend);
      const { images, logits, loss } = step(model);
      loss.backward();
      expect(held(backend)).toEqual({
        bytes: before.bytes + 4 * countParameters(model),
        buffers: before.buffers + model.parameters().length,
      });
      expect(loss.itemSync()).toBeGreaterThan(0);
      expect(images.dataSync().length).toBe(BATCH * 36);
      expect(() => logits.dataSync()).toThrow(/freed by backward\(\); read it before backward\(\), call keep\(\)/);
      for (const w of model.parameters()) w.grad!.dispose();
      model.dispose();
    }),
  );

  it('keep() exempts a tensor, and dispose() frees it then', () =>
    withBackend(reference, () => {
      const model = smallNet();
      const { logits, loss } = step(model);
      logits.keep();
      loss.backward();
      expect(logits.dataSync().length).toBe(BATCH * CLASSES);
      logits.dispose();
      expect(() => logits.dataSync()).toThrow(DisposedError);
      expect(() => logits.dataSync()).toThrow(/freed by dispose\(\)/);
      model.dispose();
    }));

  it('a loss that is never walked back from frees its graph with dispose()', () =>
    withBackend(reference, () => {
      const model = smallNet();
      const before = held(reference);
      const { images, logits, loss } = step(model);
      loss.dispose();
      expect(held(reference).buffers).toBeGreaterThan(before.buffers); // the logits are still the caller's
      logits.dispose();
      images.dispose();
      expect(held(reference)).toEqual(before);
      model.dispose();
    }));

  it('disposing of an intermediate result early does not cut gradients off', () =>
    withBackend(reference, () => {
      const w = tensor([1, 2, 3], [3], { requiresGrad: true });
      const doubled = w.mul(2);
      const loss = doubled.square().sum();
      doubled.dispose();
      loss.backward();
      expect([...w.grad!.dataSync()]).toEqual([8, 16, 24]);
      expect(doubled.grad).toBeNull();
    }));

  it('a failed forward pass gives back what it had computed', () =>
    withBackend(reference, () => {
      const model = new Sequential({ conv1: new Conv2d(1, 2, 3), relu1: new ReLU(), conv2: new Conv2d(2, 2, 9) });
      const images = randn([2, 1, 6, 6]);
      const before = held(reference);
      expect(() => model.forward(images)).toThrow(/layer conv2/);
      expect(() => model.activations(images, ['conv1', 'conv2'])).toThrow(/layer conv2/);
      expect(held(reference)).toEqual(before);
    }));

  it('inputs stay on the host until they are used, and the copy goes with the walk', () =>
    withBackend(strict.backend, () => {
      const before = held(strict.backend);
      const x = tensor(noise(100, 1), [100], { requiresGrad: true });
      expect(held(strict.backend)).toEqual(before);
      const loss = sum(x.mul(x));
      expect(held(strict.backend).bytes).toBeGreaterThan(before.bytes);
      loss.backward();
      expect(held(strict.backend)).toEqual({ bytes: before.bytes + 400, buffers: before.buffers + 1 });
      x.dispose();
      expect(held(strict.backend)).toEqual(before);
    }));
});

describe.each([
  ['scope()', scope],
  ['noGrad()', noGrad],
] as const)('%s', (name, run) => {
  const inside = (fn: () => unknown) => withBackend(reference, () => run(fn));

  it('frees what was made inside and says so afterwards', () => {
    const before = held(reference);
    let lost: Tensor | undefined;
    inside(() => {
      lost = ones([3]).mul(2).add(1);
    });
    expect(held(reference)).toEqual(before);
    expect(() => lost!.dataSync()).toThrow(DisposedError);
    expect(() => lost!.mul(2)).toThrow(`freed by ${name}; return it from the function, or call keep() on it`);
  });

  it('keeps what is returned: alone, in arrays, objects and maps', () => {
    const alive = (value: Tensor) => expect([...value.dataSync()]).toEqual([2, 2]);
    const make = () => ones([2]).mul(2);
    withBackend(reference, () => {
      alive(run(make));
      for (const t of run(() => [make(), make()])) alive(t);
      const { a, deeper } = run(() => ({ a: make(), deeper: { list: [make()] } }));
      alive(a);
      alive(deeper.list[0]);
      alive(run(() => new Map([['a', make()]])).get('a')!);
      expect(run(() => 7)).toBe(7);
    });
  });

  it('keeps what was kept, parameters and gradients', () => {
    withBackend(reference, () => {
      const w = tensor([3], [1], { requiresGrad: true });
      const [kept, model] = run(() => {
        const kept = ones([2]).keep();
        return [() => kept, new Linear(2, 2)] as const;
      });
      expect([...kept().dataSync()]).toEqual([1, 1]);
      expect(model.weight.dataSync().length).toBe(4);
      scope(() => w.square().sum().backward());
      expect(w.grad!.itemSync()).toBe(6);
    });
  });

  it('frees when the function throws', () => {
    const before = held(reference);
    expect(() =>
      inside(() => {
        ones([100]).mul(3);
        throw new RangeError('mine');
      }),
    ).toThrow('mine');
    expect(held(reference)).toEqual(before);
  });

  it('nests: what an inner one returns belongs to the outer one', () => {
    const before = held(reference);
    let inner: Tensor | undefined;
    inside(() => {
      inner = run(() => ones([5]).mul(1));
      expect(inner.dataSync()[0]).toBe(1);
    });
    expect(inner!.disposed).toBe(true);
    expect(held(reference)).toEqual(before);
  });

  it('refuses an async function, whose tensors would be gone before it is done', () => {
    const before = held(reference);
    expect(() => inside(async () => ones([2]))).toThrow(ValueError);
    expect(held(reference)).toEqual(before);
  });
});

describe('scope() and the graph', () => {
  it('frees a graph that nobody walked', () =>
    withBackend(reference, () => {
      const model = smallNet();
      const { images } = batch(0);
      const before = held(reference);
      const logits = scope(() => [...model.forward(images).dataSync()]);
      expect(logits.length).toBe(BATCH * CLASSES);
      expect(held(reference)).toEqual(before);
    }));

  it('keeps the graph of what it returns, and frees the rest of it', () =>
    withBackend(reference, () => {
      const model = smallNet();
      const before = held(reference);
      const { images, targets } = batch(0);
      const loss = scope(() => {
        const logits = model.forward(images);
        logits.exp(); // another branch that nothing returned depends on
        return crossEntropy(logits, targets);
      });
      const branch = held(reference);
      loss.backward();
      expect(model.parameters().every(({ grad }) => grad !== null)).toBe(true);
      expect(branch.buffers).toBeGreaterThan(before.buffers);
      expect(held(reference).buffers).toBe(before.buffers + model.parameters().length);
    }));

  it('a walk from a tensor that the scope freed is an error', () =>
    withBackend(reference, () => {
      const w = tensor([1], [1], { requiresGrad: true });
      let loss: Tensor | undefined;
      scope(() => {
        loss = w.square().sum();
      });
      expect(() => loss!.backward()).toThrow(/the graph through sum was freed by scope\(\)/);
    }));

  it('frees uploaded copies of inputs that live outside', () =>
    withBackend(strict.backend, () => {
      const x = tensor(noise(64, 1));
      const before = held(strict.backend);
      noGrad(() => x.mul(2).dataSync());
      expect(held(strict.backend)).toEqual(before);
      expect(x.dataSync().length).toBe(64);
    }));
});

describe('dispose()', () => {
  it('works with `using`, twice, and takes the gradient along', () =>
    withBackend(reference, () => {
      const before = held(reference);
      let seen: Tensor;
      {
        using x = tensor([1, 2], [2], { requiresGrad: true });
        x.square().sum().backward();
        seen = x;
        expect(x.disposed).toBe(false);
      }
      expect(seen.disposed).toBe(true);
      expect(seen.grad).toBeNull();
      seen.dispose();
      expect(held(reference)).toEqual(before);
      expect(String(seen)).toContain('freed');
    }));

  it('of one of two tensors over the same numbers leaves the other', () =>
    withBackend(reference, () => {
      const x = ones([2, 3]).mul(2);
      const y = x.reshape([6]);
      const z = x.detach();
      x.dispose();
      expect(y.dataSync()[5]).toBe(2);
      y.dispose();
      expect(z.dataSync()[0]).toBe(2);
    }));

  it('of a module frees its parameters, wherever they were made', () =>
    withBackend(reference, () => {
      const before = held(reference);
      {
        using model = scope(() => smallNet());
        expect(model).toBeInstanceOf(Module);
        expect(held(reference).buffers).toBe(before.buffers + 6);
      }
      expect(held(reference)).toEqual(before);
    }));
});

describe('out of memory', () => {
  const train = (model: Sequential) => {
    const { images, targets } = batch(0);
    const loss = crossEntropy(model.forward(images), targets);
    loss.backward();
    return loss.itemSync();
  };

  const peak = withBackend(createReferenceBackend(), () => {
    train(smallNet());
    return defaultBackend().memory().peakBytes;
  });

  /** A step under every limit that is too small, each on a backend of its own. */
  const failures = (run: (step: () => number) => number) =>
    Array.from({ length: Math.ceil((peak - 2500) / 100) }, (_, i) => {
      const limitBytes = 2500 + 100 * i;
      const backend = createReferenceBackend({ limitBytes });
      return withBackend(backend, () => {
        const model = smallNet();
        const before = held(backend);
        // The error itself is let go: its stack holds what the failed calls held.
        const { op, message, limitBytes: limit, requestedBytes, liveBytes } = caught(() => run(() => train(model)));
        expect(message).toContain(`${op}: out of memory: requested`);
        expect(limit).toBe(limitBytes);
        expect(requestedBytes + liveBytes).toBeGreaterThan(limitBytes);
        expect(model.parameters().every(({ grad }) => grad === null)).toBe(true);
        return { backend, before, op, model };
      });
    });

  it('anywhere in a step names the operation, and a scope gives everything back', () => {
    const failed = failures(scope);
    for (const { backend, before } of failed) expect(held(backend)).toEqual(before);
    expect(failed.map(({ op }) => op)).toEqual(expect.arrayContaining(['conv2d', 'maxPool2d', 'linear backward', 'maxPool2d backward']));
  });

  it('without a scope leaves at most what the failed operation had begun, until it is collected', async () => {
    const failed = failures((step) => step());
    for (const { backend, before, op } of failed) {
      // On the way back that is nothing; the loss itself is the caller's.
      if (op.endsWith('backward')) expect(held(backend)).toEqual({ bytes: before.bytes + 4, buffers: before.buffers + 1 });
    }
    await collectGarbage();
    for (const { backend, before } of failed) expect(held(backend)).toEqual(before);
  });

  it('leaves the engine usable: a smaller batch fits', () => {
    withBackend(createReferenceBackend({ limitBytes: peak }), () => {
      const model = smallNet();
      expect(caught(() => scope(() => model.forward(batch(0, 4 * BATCH).images))).limitBytes).toBe(peak);
      expect(train(model)).toBeGreaterThan(0);
    });
  });

  it.each([strict, strictThreads])('of the 4 GiB of $name names the operation and leaves the engine usable', ({ backend }) =>
    withBackend(backend, () => {
      const before = held(backend);
      expect(caught(() => zeros([2 ** 30])).op).toBe('full');
      expect(caught(() => randn([1024, 1024, 4096])).op).toBe('randn');
      const x = ones([1, 2 ** 20]);
      expect(caught(() => x.expand([2 ** 12, 2 ** 20])).op).toBe('expand');
      expect(caught(() => x.matmul(x, { transposeA: true })).message).toMatch(/^matmul: out of memory: requested 4194304\.0 MiB with/);
      expect(x.sum().itemSync()).toBe(2 ** 20);
      x.dispose();
      const model = smallNet();
      expect(train(model)).toBeGreaterThan(0);
      for (const w of model.parameters()) w.dispose();
      expect(held(backend).bytes).toBeLessThan(before.bytes + 1024);
    }),
  );
});

function caught(fn: () => unknown): OutOfMemoryError {
  try {
    fn();
  } catch (error) {
    if (error instanceof OutOfMemoryError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

describe('the safety net', () => {
  it.each([reference, strict.backend])('gives back what was forgotten, tensors and graphs, once it is collected', async (backend) => {
    await collectGarbage();
    const before = held(backend);
    const forget = () =>
      withBackend(backend, () => {
        const w = randn([100], { requiresGrad: true, generator: new Generator(1) });
        w.exp().mul(w).sum();
      });
    forget();
    expect(held(backend).bytes).toBeGreaterThan(before.bytes);
    await collectGarbage();
    expect(held(backend)).toEqual(before);
  });

  it('lets the host’s copies of forgotten inputs go, even where the event loop never gets a turn', async () => {
    await collectGarbage();
    const MIB = 2 ** 20;
    const before = process.memoryUsage().arrayBuffers;
    withBackend(reference, () => {
      const w = tensor([2], [1], { requiresGrad: true });
      for (let step = 0; step < 40; step++)
        tensor(new Float32Array(MIB / 4), [MIB / 4])
          .mul(w)
          .sum()
          .backward();
    });
    // V8 frees array buffers in a background thread; the next collection waits for it.
    const held = () => process.memoryUsage().arrayBuffers - before;
    for (let i = 0; i < 20 && !(held() < 10 * MIB); i++) collect();
    expect(held()).toBeLessThan(10 * MIB);
  });

  it('lets inputs go though their losses are kept', async () => {
    const losses: Tensor[] = [];
    const inputs: WeakRef<Tensor>[] = [];
    withBackend(reference, () => {
      const w = tensor([2], [1], { requiresGrad: true });
      for (let step = 0; step < 3; step++) {
        const x = tensor(noise(1000, step));
        inputs.push(new WeakRef(x));
        const loss = x.mul(w).square().sum();
        loss.backward();
        losses.push(loss);
      }
    });
    await collectGarbage();
    expect(inputs.map((input) => input.deref())).toEqual([undefined, undefined, undefined]);
    expect(losses.every((loss) => loss.itemSync() > 0)).toBe(true);
  });

  it('does not mind a backend that was disposed of before its tensors', async () => {
    const gone: Error[] = [];
    const note = (error: Error) => gone.push(error);
    process.on('uncaughtException', note);
    (() => {
      const backend = createReferenceBackend();
      withBackend(backend, () => ones([3]).mul(2));
      backend.dispose();
    })();
    await collectGarbage();
    process.off('uncaughtException', note);
    expect(gone).toEqual([]);
  });
});

describe('data read back', () => {
  it('is a copy, before and after use', async () => {
    await withBackend(reference, async () => {
      const source = Float32Array.of(1, 2);
      const x = tensor(source);
      source[0] = 9;
      x.dataSync()[1] = 9;
      (await x.data())[1] = 9;
      expect([...x.dataSync()]).toEqual([1, 2]);
      const [gradient] = backward(
        withBackend(reference, () => tensor([1, 2], [2], { requiresGrad: true }).square().sum()),
        { wrt: [x] },
      );
      expect([...gradient.dataSync()]).toEqual([0, 0]);
    });
  });
});
