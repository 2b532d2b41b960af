/** The entry point: options of init(), backendInfo() and memory(), fallbacks, and the names that users rely on. */
import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import * as zf from '../../src/index.js';
import * as testing from '../../src/testing.js';

/** Replaces or removes a global variable during one call. */
async function without<T>(name: 'WebAssembly' | 'SharedArrayBuffer', replacement: unknown, fn: () => Promise<T>): Promise<T> {
  vi.stubGlobal(name, replacement);
  try {
    return await fn();
  } finally {
    vi.unstubAllGlobals();
  }
}

const made: zf.Backend[] = [];
const create = async (options?: zf.InitOptions) => {
  const backend = await zf.createBackend(options);
  made.push(backend);
  return backend;
};
afterEach(() => {
  for (const backend of made.splice(0)) backend.dispose();
  zf.setDefaultBackend(null);
  zf.setNanCheck(false);
});

describe('init()', () => {
  it('chooses wasm in strict mode, and reports the build, the kernel and the threads', async () => {
    await zf.init();
    const info = zf.backendInfo();
    expect(info).toMatchObject({ backend: 'wasm', mode: 'strict' });
    expect(info.variant).toMatch(/^simd(-shared)? f32_gemm_\w+$/);
    expect(info.threads).toBeGreaterThanOrEqual(1);
    expect(info.threadsOffBecause === undefined).toBe(info.threads > 1);
    zf.defaultBackend().dispose();
  });

  it('accepts its options', async () => {
    expect((await create({ backend: 'wasm', threads: 1, mode: 'fast' })).info()).toMatchObject({
      backend: 'wasm',
      threads: 1,
      mode: 'fast',
    });
    expect((await create({ threads: 2 })).info()).toMatchObject({ backend: 'wasm', threads: 2 });
    expect((await create({ backend: 'reference' })).info()).toMatchObject({
      backend: 'reference',
      threads: 1,
      threadsOffBecause: 'the reference backend is single-threaded',
    });
  });

  it.each([
    [{ threads: 0 }, /threads is 0, expected 'auto' or a whole number/],
    [{ threads: 1.5 }, /threads is 1.5/],
    [{ mode: 'turbo' as 'fast' }, /mode is 'turbo', expected 'strict' or 'fast'/],
    [{ check: 'all' as 'nan' }, /check is 'all', expected 'nan'/],
    [{ backend: 'cuda' as 'wasm' }, /backend is 'cuda', expected 'wasm' or 'reference'/],
    [{ wasm: {} }, /wasm is an object, expected a WebAssembly.Module, the bytes of simd.wasm, or its address/],
    [{ workerUrl: 5 as unknown as string }, /workerUrl is 5, expected a string or a URL/],
    [{ workerURL: 'worker.js' } as zf.InitOptions, /unknown option 'workerURL'.*did you mean 'workerUrl'\?/],
  ])('refuses %j', async (options, message) => {
    await expect(zf.init(options)).rejects.toThrow(zf.ValueError);
    await expect(zf.init(options)).rejects.toThrow(message);
    expect(() => zf.backendInfo()).toThrow(zf.BackendError);
  });

  it('reports that webgpu is not available', async () => {
    await expect(zf.init({ backend: 'webgpu' })).rejects.toThrow(zf.BackendError);
  });

  it('must be called first', () => {
    expect(() => zf.tensor([1])).toThrow('the engine is not ready: call `await init()` first');
    expect(() => zf.memory()).toThrow(zf.BackendError);
    expect(() => zf.zfnet('small', { width: 0.01 })).toThrow(zf.BackendError);
  });

  it('sets a new default backend when called again; tensors keep theirs', async () => {
    await zf.init({ backend: 'reference' });
    const first = zf.defaultBackend();
    const old = zf.tensor([1, 2]);
    await zf.init({ threads: 1 });
    const fresh = zf.tensor([1, 2]);
    expect([old.backend === first, fresh.backend === first]).toEqual([true, false]);
    expect([...old.mul(2).dataSync()]).toEqual([2, 4]);
    expect(() => old.add(fresh)).toThrow(zf.BackendError);
    zf.defaultBackend().dispose();
  });

  it("turns the NaN check on with check: 'nan', and off again without it", async () => {
    await zf.init({ backend: 'reference', check: 'nan' });
    expect(() => zf.tensor([-1]).log()).toThrow(zf.NonFiniteError);
    await zf.init({ backend: 'reference' });
    expect(zf.tensor([-1]).log().itemSync()).toBeNaN();
  });

  it('accepts a compiled module', async () => {
    const wasm = await WebAssembly.compile(readFileSync(new URL('../../build/simd.wasm', import.meta.url)));
    const backend = await create({ wasm, threads: 1 });
    zf.withBackend(backend, () => expect([...zf.tensor([1, 2]).mul(3).dataSync()]).toEqual([3, 6]));
    const threaded = await create({ wasm, threads: 2 });
    expect(threaded.info()).toMatchObject({ threads: 1, threadsOffBecause: 'the module given as init({ wasm }) does not share memory' });
  });

  it('accepts the bytes of the kernels, and their address', async () => {
    const file = new URL('../../build/simd.wasm', import.meta.url);
    for (const wasm of [readFileSync(file), new Uint8Array(readFileSync(file)).buffer, file, file.href]) {
      const backend = await create({ wasm, threads: 1 });
      zf.withBackend(backend, () => expect([...zf.tensor([1, 2]).mul(3).dataSync()]).toEqual([3, 6]));
    }
  });

  it('says which address of the kernels cannot be loaded', async () => {
    const wasm = new URL('none.wasm', import.meta.url);
    await expect(create({ wasm })).rejects.toThrow(zf.ValueError);
    await expect(create({ wasm })).rejects.toThrow(/none\.wasm', which could not be loaded .*serve the file zfnet\/simd\.wasm there/);
  });
});

describe('runtimes without some features', () => {
  const noSimd = { ...WebAssembly, validate: () => false };
  const refusing = (message: string) => ({ ...WebAssembly, Module, compile: () => Promise.reject(new Error(message)) });
  const { Module } = WebAssembly;
  let warn: ReturnType<typeof vi.spyOn>;
  beforeEach(() => {
    warn = vi.spyOn(console, 'warn').mockImplementation(() => undefined);
  });
  afterEach(() => warn.mockRestore());

  it.each([
    ['Refused to compile WebAssembly: neither wasm-eval nor unsafe-eval is allowed', /add 'wasm-unsafe-eval' to its script-src/],
    ['call to WebAssembly.compile() blocked by CSP', /add 'wasm-unsafe-eval' to its script-src/],
    ['Wasm code generation disallowed by embedder', /does not compile WebAssembly \(.*embedder\); import a compiled module/],
  ])('warn once of the slow fallback, with its reason: %s', async (message, reason) => {
    const { validate } = WebAssembly;
    const backend = await without('WebAssembly', { ...refusing(message), validate, Memory: WebAssembly.Memory }, () => create());
    expect(backend.info()).toMatchObject({ backend: 'reference', fallbackBecause: expect.stringMatching(reason) });
    expect(warn).toHaveBeenCalledTimes(1);
    expect(warn.mock.calls[0][0]).toMatch(/^zfnet: init\(\) uses the reference backend, which is about 100 times slower/);
    expect(warn.mock.calls[0][0]).toMatch(reason);
  });

  it('warn of nothing where the reference backend was requested', async () => {
    await create({ backend: 'reference' });
    expect(warn).not.toHaveBeenCalled();
  });

  it('fall back to the reference backend with a reason, unless wasm was requested by name', async () => {
    const backend = await without('WebAssembly', noSimd, () => create());
    expect(backend.info()).toMatchObject({ backend: 'reference', fallbackBecause: expect.stringContaining('no WebAssembly SIMD') });
    const none = await without('WebAssembly', undefined, () => create());
    expect(none.info().fallbackBecause).toContain('no WebAssembly');
    await without('WebAssembly', noSimd, () => expect(create({ backend: 'wasm' })).rejects.toThrow(zf.BackendError));
  });

  it('run on one thread, with a reason', async () => {
    const backend = await without('SharedArrayBuffer', undefined, () => create({ threads: 2 }));
    expect(backend.info()).toMatchObject({ backend: 'wasm', threads: 1, threadsOffBecause: 'this runtime has no SharedArrayBuffer' });
  });
});

describe('memory()', () => {
  it('counts bytes and tensors, and the peak since it was reset', async () => {
    await zf.shutdown();
    await zf.init({ backend: 'reference' });
    expect(zf.memory()).toEqual({ bytes: 0, tensors: 0, peakBytes: 0, reservedBytes: 0 });
    const x = zf.ones([100]);
    zf.ones([50]).dispose();
    expect(zf.memory()).toMatchObject({ bytes: 400, tensors: 1, peakBytes: 600 });
    zf.resetPeakMemory();
    expect(zf.memory().peakBytes).toBe(400);
    x.dispose();
    expect(zf.memory()).toMatchObject({ bytes: 0, tensors: 0, peakBytes: 400 });
  });
});

describe('names that users rely on', () => {
  const NAMES = `init backendInfo memory tensor zeros ones randn uniform scope noGrad manualSeed Tensor
    conv2d convTranspose2d maxPool2d maxPool2dWithSwitches maxUnpool2d avgPool2d localResponseNorm relu dropout linear matmul softmax
    logSoftmax crossEntropy zfnet deconvnet Module Sequential Conv2d MaxPool2d LocalResponseNorm ReLU Dropout Flatten Linear SGD
    ReduceLROnPlateau StepLR`.split(/\s+/);

  it.each(NAMES)('%s', (name) => {
    expect(typeof Reflect.get(zf, name)).toBe('function');
  });

  it('methods of tensors', async () => {
    await zf.init({ backend: 'reference' });
    const x = zf.tensor([1]) as unknown as Record<string, unknown>;
    for (const name of 'data dataSync item backward detach dispose add sub mul div pow neg exp log sqrt relu sum mean max min reshape'.split(
      ' ',
    ))
      expect(typeof x[name], name).toBe('function');
    for (const name of ['shape', 'dtype', 'requiresGrad', 'grad']) expect(name in x, name).toBe(true);
    expect(typeof (x as unknown as Disposable)[Symbol.dispose]).toBe('function');
  });

  it('init() creates another engine after its backend was disposed of', async () => {
    const first = await zf.init({ threads: 1 });
    first.dispose();
    const second = await zf.init({ threads: 1 });
    expect(second).not.toBe(first);
    expect([...(await zf.tensor([1, 2]).mul(2).data())]).toEqual([2, 4]);
  });

  it('of zfnet/testing', () => {
    expect(Object.keys(testing).sort()).toEqual([
      'GradcheckError',
      'OPERATION_TOLERANCES',
      'arbitraries',
      'checkBackend',
      'gradcheck',
      'operationCases',
    ]);
  });

  it("the first example of the documentation runs: the loss falls, and a picture of the input's shape comes back", async () => {
    await zf.init({ threads: 1 });
    const model = zf.zfnet('small', { classes: 2, inputSize: 28, width: 0.03, seed: 1, dropout: 0 });
    const sgd = new zf.SGD(model.parameters(), { lr: 0.01, momentum: 0.9, maxFilterRms: 0.1 });
    zf.manualSeed(3);
    const images = zf.randn([4, 3, 28, 28]).keep();
    const losses: number[] = [];
    for (let step = 0; step < 12; step++) {
      const loss = zf.crossEntropy(model.forward(images), zf.tensor(Int32Array.of(0, 1, 1, 0)));
      loss.backward();
      sgd.step();
      sgd.zeroGrad();
      losses.push(await loss.item());
    }
    expect(losses.at(-1)).toBeLessThan(losses[0]);
    const picture = await zf.deconvnet(model).project(images.slice([0, 0, 0, 0], [1, 3, 28, 28]), { layer: 'conv2', map: 1 });
    expect(picture.shape).toEqual([3, 28, 28]);
    zf.defaultBackend().dispose();
  });
});
