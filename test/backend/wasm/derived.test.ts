/** The cache of values derived from weights: never stale, freed with the weights, and evicted when memory is needed. */
import { afterAll, describe, expect, it } from 'vitest';
import { convParams } from '../../../src/backend/params.js';
import { conv2dPlan } from '../../../src/backend/wasm/conv2d_plan.js';
import { createWasmEngine, wasmBackend } from '../../../src/backend/wasm/index.js';
import { compileBuild, instantiate } from '../../../src/backend/wasm/runtime/builds.js';
import { WasmEngine } from '../../../src/backend/wasm/runtime/engine.js';
import { Conv2d, SGD } from '../../../src/nn/index.js';
import { conv2d, mul, noGrad, sum, type Tensor, tensor, withBackend } from '../../../src/tensor/index.js';
import { noise } from '../../../src/testing/cases/formula.js';

/** An engine whose heap ends at so many bytes. */
async function smallEngine(limitBytes: number): Promise<WasmEngine> {
  const module = await compileBuild('simd');
  const memory = new WebAssembly.Memory({ initial: 32, maximum: 65536 });
  const kernels = await instantiate(module, memory);
  return new WasmEngine({ kernels, module, memory, limitBytes, mode: 'strict', build: 'simd', threads: 1, spawn: null });
}

const MIB = 2 ** 20;

describe('derived', () => {
  /** Asks for something derived from the storage; says whether it was computed anew. */
  const asker = (engine: WasmEngine) => (storage: ReturnType<WasmEngine['allocate']>, name: string, bytes: number) => {
    let computed = false;
    const pointer = engine.derived(storage, name, bytes, () => {
      computed = true;
    });
    return { pointer, computed };
  };

  it('is computed once, until the values may have changed', async () => {
    const engine = await createWasmEngine({ threads: 1 });
    const ask = asker(engine);
    const w = engine.allocate('float32', 8);
    expect(ask(w, 'a', 256).computed).toBe(true);
    expect(ask(w, 'a', 256).computed).toBe(false);
    engine.readingPointer(w);
    engine.readSync(w);
    expect(ask(w, 'a', 256).computed).toBe(false);
    engine.pointer(w);
    expect(ask(w, 'a', 256).computed).toBe(true);
    engine.write(w, new Float32Array(8));
    expect(ask(w, 'a', 256).computed).toBe(true);
    expect(ask(w, 'b', 256).computed).toBe(true);
    expect(ask(w, 'a', 256).computed).toBe(true);
    engine.dispose();
  });

  it('belongs to the storage, not to its address', async () => {
    const engine = await createWasmEngine({ threads: 1 });
    const ask = asker(engine);
    const first = engine.allocate('float32', 1000);
    const place = engine.readingPointer(first);
    ask(first, 'a', 256);
    engine.release(first);
    const second = engine.allocate('float32', 1000);
    expect(engine.readingPointer(second)).toBe(place);
    expect(ask(second, 'a', 256).computed).toBe(true);
    engine.dispose();
  });

  it('is freed with the weights, and evicted when memory runs out', async () => {
    const engine = await smallEngine(40 * MIB);
    const ask = asker(engine);
    for (let i = 0; i < 10; i++) {
      const w = engine.allocate('float32', MIB);
      expect(ask(w, 'a', 24 * MIB).pointer).not.toBeNull();
      engine.release(w);
    }
    const w = engine.allocate('float32', MIB);
    ask(w, 'a', 24 * MIB);
    const large = engine.allocate('float32', 6 * MIB);
    expect(engine.readSync(large)).toHaveLength(6 * MIB);
    expect(ask(w, 'a', 24 * MIB).pointer).toBeNull();
    engine.release(large);
    expect(ask(w, 'a', 24 * MIB).computed).toBe(true);
    engine.temporary(24 * MIB, () => {});
    expect(ask(w, 'a', 24 * MIB).computed).toBe(true);
    expect(engine.memory().bytes).toBe(4 * MIB);
    engine.dispose();
  });

  it('is bounded, and evicts the least recently used entry first', async () => {
    const engine = await createWasmEngine({ threads: 1 });
    const ask = asker(engine);
    const [a, b, c] = [0, 1, 2].map(() => engine.allocate('float32', 8));
    expect(ask(a, 'x', 257 * MIB).pointer).toBeNull();
    ask(a, 'x', 100 * MIB);
    ask(b, 'x', 100 * MIB);
    expect(ask(a, 'x', 100 * MIB).computed).toBe(false);
    ask(c, 'x', 100 * MIB);
    expect(ask(a, 'x', 100 * MIB).computed).toBe(false);
    expect(ask(b, 'x', 100 * MIB).computed).toBe(true);
    engine.dispose();
  });
});

describe('cached transformed weights', async () => {
  const engines = { strict: await createWasmEngine({ threads: 1 }), fast: await createWasmEngine({ threads: 1, mode: 'fast' }) };
  afterAll(() => {
    for (const engine of Object.values(engines)) engine.dispose();
  });
  const xs = [2, 32, 16, 16];
  const ws = [32, 32, 3, 3];
  const size = (shape: number[]) => shape.reduce((a, b) => a * b);

  describe.each(['strict', 'fast'] as const)('in %s mode', (mode) => {
    const backend = wasmBackend(engines[mode]);
    const run = (x: Tensor, w: Tensor) => noGrad(() => conv2d(x, w, null, { padding: 1 })).dataSync();
    /** The same with weights that were never met before. */
    const fresh = (x: Tensor, w: Tensor) => run(x, tensor(w.dataSync(), ws));

    it.each<[string, (layer: Conv2d, sgd: SGD, x: Tensor) => void]>([
      ['set()', (layer) => layer.weight.set(noise(size(ws), 5))],
      [
        'a step of SGD',
        (layer, sgd, x) => {
          sum(mul(layer.forward(x), 1e-3)).backward();
          sgd.step();
        },
      ],
      ['loadStateDict()', (layer) => layer.loadStateDict({ ...layer.stateDict(), weight: tensor(noise(size(ws), 6), ws) })],
      ['a kernel that writes in place', (layer) => layer.weight.backend.fill(layer.weight.writable, 0.25)],
      ['the limit on filters', (layer) => layer.weight.backend.clipRms(layer.weight.writable, 32, 288, 0.01)],
    ])('follow changes by %s', (_, change) =>
      withBackend(backend, () => {
        const layer = new Conv2d(32, 32, 3, { padding: 1, bias: false });
        const sgd = new SGD(layer.parameters(), { lr: 0.5, momentum: 0.9 });
        const x = tensor(noise(size(xs), 1), xs);
        const before = run(x, layer.weight);
        expect(run(x, layer.weight)).toEqual(before);
        change(layer, sgd, x);
        const after = run(x, layer.weight);
        expect(after).not.toEqual(before);
        expect(after).toEqual(fresh(x, layer.weight));
      }),
    );

    it('are used by the algorithm that the plan names', () => {
      const { variant } = conv2dPlan('forward', convParams('plan', xs, ws, { padding: 1 }), { mode, inference: true });
      expect(variant).toBe(mode === 'fast' ? 'winograd4x4' : 'winograd2x2');
    });
  });
});
