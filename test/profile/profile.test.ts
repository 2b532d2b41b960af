/** Profiles: their rows and sums, the trace, and that no kernel stays wrapped. */
import { describe, expect, it } from 'vitest';
import { createReferenceBackend } from '../../src/backend/reference/index.js';
import { Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sequential, SGD } from '../../src/nn/index.js';
import { type Profile, profile } from '../../src/profile/index.js';
import { listenToSpans } from '../../src/tensor/graph/spans.js';
import { BackendError, crossEntropy, matmul, randn, setDefaultBackend, span, tensor, zeros } from '../../src/tensor/index.js';
import { backends, strict, strictThreads } from '../support/backends.js';

const [BATCH, SIDE] = [2, 7];

const network = () =>
  new Sequential({
    conv1: new Conv2d(2, 3, [3, 2], { stride: 2, padding: 1 }),
    relu1: new ReLU(),
    pool1: new MaxPool2d(2),
    flatten: new Flatten(),
    block: new Sequential({ fc2: new Linear(12, 5) }),
  });

/** A training step of a small network. */
function trainingStep(): () => void {
  const model = network();
  const sgd = new SGD(model.parameters(), { lr: 0.1, momentum: 0.9 });
  const x = randn([BATCH, 2, SIDE, SIDE]).keep();
  const labels = tensor(Int32Array.from({ length: BATCH }, (_, i) => i));
  return () => {
    crossEntropy(model.forward(x), labels).backward();
    sgd.step();
    sgd.zeroGrad();
  };
}

const row = (found: Profile, kernel: string, layer?: string) => {
  const rows = found.rows.filter((each) => each.kernel === kernel && (layer === undefined || each.layer === layer));
  expect(rows, `${kernel} of ${layer}`).toHaveLength(1);
  return rows[0];
};

/** Properties of a backend that are functions: its kernels are among them. */
const methods = () => Object.entries(strict.backend).filter(([, value]) => typeof value === 'function');

describe.each(backends)('on $name', ({ backend }) => {
  it('counts the calls, the operations and the bytes of each kernel, by layer and shape', async () => {
    setDefaultBackend(backend);
    const step = trainingStep();
    const found = await profile(() => {
      for (let i = 0; i < 3; i++) step();
    });
    // Output [2, 3, 4, 4]: 7 pixels, 1 of padding on each side, a kernel of 3×2, stride 2.
    const conv = 3 * 2 * BATCH * 3 * 4 * 4 * 2 * 3 * 2;
    const sizes = { x: BATCH * 2 * SIDE * SIDE, w: 3 * 2 * 3 * 2, b: 3, y: BATCH * 3 * 4 * 4 };
    expect(row(found, 'conv2d')).toMatchObject({
      layer: 'conv1',
      shape: '2×2×7×7 → 3×4×4, 3×2/2',
      calls: 3,
      flop: conv,
      bytes: 3 * 4 * (sizes.x + sizes.w + sizes.b + sizes.y),
    });
    expect(row(found, 'conv2dWeightGrad')).toMatchObject({ layer: 'conv1', flop: conv, bytes: 3 * 4 * (sizes.x + sizes.w + sizes.y) });
    expect(found.rows.some(({ kernel }) => kernel === 'conv2dInputGrad')).toBe(false); // the image requires no gradient
    expect(row(found, 'linear')).toMatchObject({ layer: 'block.fc2', shape: '2×12 → 5', flop: 3 * 2 * BATCH * 12 * 5 });
    expect(found.rows.filter(({ kernel }) => kernel === 'matmul').map(({ layer, shape, flop }) => ({ layer, shape, flop }))).toEqual(
      expect.arrayContaining([
        { layer: 'block.fc2', shape: '(2×5)ᵀ · 2×12', flop: 3 * 2 * BATCH * 12 * 5 },
        { layer: 'block.fc2', shape: '2×5 · 5×12', flop: 3 * 2 * BATCH * 12 * 5 },
      ]),
    );
    // Switches are int32.
    expect(row(found, 'maxPool2d')).toMatchObject({
      layer: 'pool1',
      shape: '6×4×4 → 2×2, 2×2/2',
      bytes: 3 * 4 * (sizes.y + 2 * BATCH * 12),
    });
    expect(row(found, 'maxUnpool2d')).toMatchObject({ layer: 'pool1' });
    expect(row(found, 'crossEntropy')).toMatchObject({ layer: '', shape: '2×5', flop: 0, gflops: 0 });
  });

  it('adds up: the rows and the time outside kernels sum to the wall time', async () => {
    setDefaultBackend(backend);
    const found = await profile(trainingStep());
    const sum = (key: 'ms' | 'share') => found.rows.reduce((total, each) => total + each[key], 0);
    expect(sum('ms')).toBeCloseTo(found.kernelMs, 9);
    expect(found.kernelMs + found.outsideMs).toBeCloseTo(found.wallMs, 9);
    expect(sum('share')).toBeCloseTo(found.kernelMs / found.wallMs, 9);
    expect(found.outsideMs).toBeGreaterThan(0);
    for (const each of found.rows) {
      expect(each.bestMs).toBeLessThanOrEqual(each.ms);
      if (each.ms > 0) expect(each.gflops).toBeCloseTo(each.flop / each.ms / 1e6, 9);
      if (each.ms > 0) expect(each.gbs).toBeCloseTo(each.bytes / each.ms / 1e6, 9);
    }
    expect([...found.rows].sort((a, b) => b.ms - a.ms)).toEqual(found.rows);
    expect(found.info).toEqual(backend.info());
  });
});

it('reports how long each thread of the thread pool was busy and idle', async () => {
  const a = randn([256, 256], { backend: strictThreads.backend });
  const step = () => {
    for (let i = 0; i < 8; i++) matmul(a, a).dispose();
  };
  let found = await profile(step, { backend: strictThreads.backend });
  // On a loaded machine, the worker may start late, and the main thread then does all of the work.
  for (let i = 0; i < 100 && found.threads[1].busyMs === 0; i++) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    found = await profile(step, { backend: strictThreads.backend });
  }
  expect(found.threads.map(({ name }) => name)).toEqual(['main thread', 'worker 1']);
  for (const { busyMs, idleMs, share } of found.threads) {
    expect(busyMs).toBeGreaterThan(0);
    expect(busyMs).toBeLessThan(1.1 * found.wallMs);
    expect(busyMs + idleMs).toBeCloseTo(found.wallMs, 9);
    expect(share).toBeCloseTo(busyMs / found.wallMs, 9);
  }
  // A second profile starts from zero.
  const [, worker] = (await profile(() => {}, { backend: strictThreads.backend })).threads;
  expect(worker.busyMs).toBe(0);
  a.dispose();
});

it('reports the algorithm of each convolution if the backend has several', async () => {
  setDefaultBackend(strict.backend);
  const found = await profile(trainingStep());
  expect(row(found, 'conv2d').plan).toBe('direct');
  expect(row(found, 'linear').plan).toBe('');
});

it('reports the memory of tensors, and of batches of products', async () => {
  const backend = createReferenceBackend();
  setDefaultBackend(backend);
  const found = await profile(() => {
    const [a, b] = [zeros([3, 4, 6]), zeros([3, 6, 2])];
    const c = matmul(a, b);
    for (const each of [a, b, c]) each.dispose();
  });
  expect(row(found, 'matmul')).toMatchObject({ shape: '3 of 4×6 · 6×2', flop: 2 * 3 * 4 * 6 * 2 });
  expect(found.peakBytes).toBe(4 * 3 * (4 * 6 + 6 * 2 + 4 * 2));
  expect(found.reservedBytes).toBe(backend.memory().reservedBytes);
});

it('waits for a promise, and counts that time as outside kernels', async () => {
  const found = await profile(() => new Promise((resolve) => setTimeout(resolve, 20)), { backend: strict.backend });
  expect(found.rows).toEqual([]);
  expect(found.wallMs).toBeGreaterThan(10);
  expect(found.outsideMs).toBe(found.wallMs);
});

it('does not affect other backends', async () => {
  setDefaultBackend(strictThreads.backend);
  expect((await profile(trainingStep(), { backend: strict.backend })).rows).toEqual([]);
});

describe('afterwards', () => {
  it('no kernel is wrapped', async () => {
    const before = methods();
    setDefaultBackend(strict.backend);
    const step = trainingStep();
    let during = before;
    await profile(() => {
      during = methods();
      step();
    });
    const changed = during.filter(([, method], i) => method !== before[i][1]).map(([name]) => name);
    expect(changed).toEqual(expect.arrayContaining(['conv2d', 'linear', 'sgd', 'write', 'fill']));
    expect(changed).not.toContain('allocate');
    expect(methods()).toEqual(before);
    expect(listenToSpans(null)).toBeNull();
  });

  it('no kernel is wrapped if the function threw or rejected', async () => {
    const before = methods();
    setDefaultBackend(strict.backend);
    const fail = () => {
      trainingStep()();
      throw new RangeError('enough');
    };
    await expect(profile(fail)).rejects.toThrow('enough');
    await expect(profile(async () => fail())).rejects.toThrow('enough');
    expect(methods()).toEqual(before);
    expect(listenToSpans(null)).toBeNull();
    expect((await profile(trainingStep())).rows.length).toBeGreaterThan(5);
  });

  it('a second profile of the same backend has to wait for the first', async () => {
    const options = { backend: strict.backend };
    let end = () => {};
    const first = profile(
      () =>
        new Promise<void>((resolve) => {
          end = resolve;
        }),
      options,
    );
    await expect(profile(() => {}, options)).rejects.toThrow(BackendError);
    end();
    await first;
    await profile(() => {}, options);
  });
});

describe('the trace', () => {
  it('has the fields that Perfetto and Chrome need, with kernels inside their layers', async () => {
    setDefaultBackend(strict.backend);
    const step = trainingStep();
    const found = await profile(() => span('a step', step));
    const { traceEvents } = JSON.parse(JSON.stringify(found.trace()));
    for (const event of traceEvents) {
      expect(event).toMatchObject({ name: expect.any(String), ph: expect.stringMatching(/^[XCM]$/), pid: 1, tid: 1 });
      expect(event.ts).toBeGreaterThanOrEqual(0);
      if (event.ph === 'X') expect(event.dur).toBeGreaterThanOrEqual(0);
      if (event.ph === 'C') expect(event.args.bytes).toBeGreaterThan(0);
    }
    type Event = { name: string; cat: string; ts: number; dur: number; args: { layer?: string } };
    const of = (cat: string): Event[] => traceEvents.filter((event: Event) => event.cat === cat);
    expect(of('kernel')).toHaveLength(found.rows.reduce((sum, { calls }) => sum + calls, 0));
    const inside = (event: Event, around: Event) => around.ts <= event.ts && event.ts + event.dur <= around.ts + around.dur + 1e-6;
    for (const event of of('kernel')) {
      const around = of('layer').filter((each) => inside(event, each));
      expect(around.map(({ name }) => name)).toContain('a step');
      if (event.args.layer) expect(around.map(({ name }) => name)).toContain(event.args.layer);
    }
    const names = of('layer').map(({ name }) => name);
    expect(names.slice(0, 2)).toEqual(['a step', 'conv1']);
    // The loss belongs to no layer: its step back is called after the operation.
    for (const name of ['backward', 'block.fc2', 'crossEntropy', 'SGD']) expect(names).toContain(name);
    expect(names.filter((name) => name === 'conv1')).toHaveLength(2);
  });
});

describe('the table', () => {
  it('shows the longest rows and the sum of the others, and gives speeds as shares of a ceiling', async () => {
    setDefaultBackend(strict.backend);
    const found = await profile(trainingStep());
    const lines = found.text({ ceiling: 50, limit: 3 }).split('\n');
    expect(lines[0]).toMatch(/^layer +kernel +shape +calls +ms +share +GFLOP\/s +of ceiling +GB\/s/);
    expect(lines).toHaveLength(1 + 3 + 1 + 1 + 1 + 1);
    expect(lines[1]).toContain(found.rows[0].kernel);
    const rest = found.rows.slice(3);
    expect(lines[4]).toMatch(new RegExp(`^ *${rest.length} more +${rest.reduce((sum, { calls }) => sum + calls, 0)} `));
    expect(lines[5]).toMatch(/^ *outside kernels +[\d.]+ +[\d.]+ %/);
    expect(lines[6]).toMatch(/^busy: main thread [\d.]+ %; the rest of the time each thread is idle$/);
    expect(lines[7]).toMatch(/% of it in kernels; peak memory of tensors .* MiB, reserved .*1 thread, strict; ceiling 50\.0 GFLOP\/s$/);
    expect(found.text()).not.toContain('ceiling');
    const conv = row(found, 'conv2d');
    const line = found
      .text({ ceiling: 50 })
      .split('\n')
      .find((each) => each.includes('conv2d direct'));
    expect(line).toContain(`  ${conv.gflops.toFixed(1)}  `);
    expect(line).toContain(`  ${(conv.gflops / 50).toFixed(2)}  `);
  });
});
