/** Inference without dispose: modules in evaluation mode keep no graph, and loops of passes hold the same memory. */
import { afterAll, describe, expect, it } from 'vitest';
import { createReferenceBackend } from '../../../src/backend/reference/index.js';
import { BatchNorm2d, Conv2d, Linear, Module, Sequential } from '../../../src/nn/index.js';
import { backward, noGrad, recording, relu, type Tensor, tensor, ValueError, withBackend, zeros } from '../../../src/tensor/index.js';
import { backends, reference, strict } from '../../support/backends.js';
import { held, smallNet } from './support.js';

/** A network as users of PyTorch write it: no variable refers to its intermediate results. */
class Custom extends Module {
  conv = new Conv2d(1, 2, 3, { padding: 1 });
  fc = new Linear(72, 3);
  forward(x: Tensor): Tensor {
    return this.fc.forward(relu(this.conv.forward(x)).flatten(1));
  }
}

const PASSES = 300;

describe.each([backends[0], strict])('a loop of passes without dispose on $name', ({ backend }) => {
  const networks = { Sequential: withBackend(backend, smallNet), custom: withBackend(backend, () => new Custom()) };
  const input = withBackend(backend, () => zeros([1, 1, 6, 6]).keep());
  afterAll(() => {
    for (const each of [...Object.values(networks), input]) each.dispose();
  });

  it.each(['Sequential', 'custom'] as const)('needs constant memory: %s', async (kind) => {
    const model = networks[kind];
    const before = held(backend);
    const flat = () => expect(held(backend)).toEqual(before);
    model.eval();
    for (let i = 0; i < PASSES; i++) await model.forward(input).data();
    flat();
    for (let i = 0; i < PASSES; i++) model.forward(input).dataSync();
    flat();
    for (let i = 0; i < PASSES; i++) model.forward(tensor(new Float32Array(36), [1, 1, 6, 6], { backend })).dataSync();
    flat();
    model.train();
    for (let i = 0; i < PASSES; i++) await noGrad(() => model.forward(input)).data();
    flat();
    for (let i = 0; i < PASSES; i++) noGrad(() => model.forward(input)).dataSync();
    flat();
  });
});

describe('a loop that awaits nothing but data()', () => {
  it('lets finalisation callbacks run when the memory of forgotten graphs has grown, in training mode too', async () => {
    const backend = createReferenceBackend();
    const weight = tensor([2], [1], { backend, requiresGrad: true });
    const size = 2 ** 21;
    const x = zeros([size], { backend });
    const pass = 3 * 4 * size;
    for (let i = 0; i < 60; i++) await x.mul(weight).relu().mul(weight).sum().data();
    expect(backend.memory().peakBytes).toBeLessThan(30 * pass);
    backend.dispose();
  });

  it('gives the event loop a turn every thousand reads, without pressure too', async () => {
    const backend = createReferenceBackend();
    const x = tensor([1, 2], [2], { backend });
    let turns = 0;
    const count = () => {
      turns++;
      timer = setTimeout(count, 0);
    };
    let timer = setTimeout(count, 0);
    for (let i = 0; i < 5000; i++) await noGrad(() => x.add(1)).data();
    clearTimeout(timer);
    expect(turns).toBeGreaterThanOrEqual(4);
    backend.dispose();
  });
});

describe('a module in evaluation mode', () => {
  const model = withBackend(reference, smallNet).eval();
  const image = (requiresGrad = false) => zeros([1, 1, 6, 6], { backend: reference, requiresGrad });

  it('records nothing for an input without a gradient, and backward() says what to do', () => {
    const y = model.forward(image());
    expect(y.requiresGrad).toBe(false);
    expect(() => y.sum().backward()).toThrow(/by a module in eval\(\); set requiresGrad .*, call train\(\) .*, or .* recording\(fn\)/);
  });

  it('records for an input that requires a gradient, and inside recording()', () => {
    const x = image(true);
    const [dx] = backward(model.forward(x).sum(), { wrt: [x] });
    expect(dx.shape).toEqual([1, 1, 6, 6]);
    recording(() => model.forward(image()).sum()).backward();
    expect(model.parameters().every(({ grad }) => grad !== null)).toBe(true);
    for (const w of model.parameters()) w.grad = null;
  });

  it('recording() works inside noGrad(), which works inside recording(), and neither outlives its function', () => {
    const x = tensor([1, 2], [2], { backend: reference, requiresGrad: true });
    expect(noGrad(() => recording(() => x.mul(2))).requiresGrad).toBe(true);
    expect(recording(() => noGrad(() => x.mul(2))).requiresGrad).toBe(false);
    expect(() => recording(() => x.reshape([7]))).toThrow();
    expect(model.forward(image()).requiresGrad).toBe(false);
  });

  it('inside a network that is trained keeps no graph of the part before the trained layers', () => {
    const network = withBackend(reference, () => new Sequential([new BatchNorm2d(1).eval(), new Conv2d(1, 2, 3)]));
    network.forward(image()).sum().backward();
    const grads = Object.fromEntries(network.namedParameters().map(([name, { grad }]) => [name, grad !== null]));
    expect(grads).toEqual({ '0.weight': false, '0.bias': false, '1.weight': true, '1.bias': true });
  });

  it('frees what forward made, except its result, its properties and what it keeps', () => {
    class Watching extends Module {
      seen: Tensor | null = null;
      kept: Tensor[] = [];
      forward(x: Tensor): Tensor {
        const lost = x.mul(2);
        this.kept.push(x.mul(3).keep());
        this.seen = lost.mul(2);
        lose(lost);
        return this.seen.add(1);
      }
    }
    const lostOnes: Tensor[] = [];
    const lose = (t: Tensor) => lostOnes.push(t);
    const watching = new Watching().eval();
    const y = watching.forward(tensor([1], [1], { backend: reference }));
    expect([y.itemSync(), watching.seen!.itemSync(), watching.kept[0].itemSync()]).toEqual([5, 4, 3]);
    expect(() => lostOnes[0].itemSync()).toThrow(/freed by forward\(\) in evaluation mode; return it from the function, or call keep\(\)/);
  });
});

describe('asynchronous functions', () => {
  const backend = createReferenceBackend();
  const records = () => tensor([1], [1], { backend, requiresGrad: true }).mul(2).requiresGrad;

  it.each([
    ['noGrad()', noGrad],
    ['recording', recording],
    ['withBackend', (fn: () => unknown) => withBackend(reference, fn)],
  ] as const)('are refused by %s before they run, and promises of other functions after', async (name, run) => {
    let ran = false;
    const pattern = new RegExp(`^${name.replace(/[()]/g, '\\$&')}: got an async function, expected a synchronous one; \\w+`);
    const attempt = (fn: () => unknown) => {
      expect(() => run(fn as () => never)).toThrow(ValueError);
      expect(() => run(fn as () => never)).toThrow(pattern);
    };
    attempt(async () => {
      ran = true;
    });
    expect(ran).toBe(false);
    attempt(() => Promise.reject(new Error('late')));
    // biome-ignore lint/suspicious/noThenProperty: the object stands for a promise of another library.
    attempt(() => ({ then: () => undefined }));
    expect(records()).toBe(true);
    await Promise.resolve();
    expect(records()).toBe(true);
  });
});
