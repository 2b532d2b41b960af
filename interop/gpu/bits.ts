/** Exact results: NaN, infinities, negative zero and subnormal numbers by their bits, conversions, and random numbers equal to the CPU's. */
import { type Backend, IN_PLACE, type Storage } from '../../src/backend/backend.js';
import { createBackend } from '../../src/index.js';
import { equal, put } from './assert.js';
import { check, type SuiteContext } from './suite.js';

const SPECIAL = [0, -0, 1, -1, Number.NaN, Infinity, -Infinity, 3e38, -3e38, 2.5, -2.5, 0.5, 255.9, 256, 3e9, -3e9, 1e-30];

/** Values in the classes that must agree exactly: NaN, infinities, and zero or not. */
const classOf = (value: number): string => (Number.isNaN(value) ? 'NaN' : Number.isFinite(value) ? 'finite' : String(value));

type Run = (backend: Backend, y: Storage) => void;

/** Runs a kernel on both backends and returns the elements. */
async function onBoth(backends: readonly Backend[], size: number, dtype: 'float32' | 'int32' | 'uint8', run: Run) {
  const results = [];
  for (const backend of backends) {
    const y = backend.allocate(dtype, size);
    run(backend, y);
    results.push(await backend.read(y));
    backend.release(y);
  }
  return results;
}

function sameBits(actual: ArrayLike<number>, expected: ArrayLike<number>): void {
  for (let i = 0; i < expected.length; i++) if (!Object.is(actual[i], expected[i])) equal(actual[i], expected[i], `element ${i}`);
}

function sameClasses(actual: ArrayLike<number>, expected: ArrayLike<number>): void {
  for (let i = 0; i < expected.length; i++)
    if (classOf(actual[i]) !== classOf(expected[i])) equal(actual[i], expected[i], `element ${i} of [${SPECIAL}]`);
}

export async function bits(context: SuiteContext): Promise<void> {
  const backends = [await createBackend({ backend: 'webgpu', gpu: context.gpu }), await createBackend({ backend: 'reference' })];
  const n = SPECIAL.length;
  const exact: [string, Run][] = [
    ['relu', (b, y) => b.relu(y, put(b, SPECIAL))],
    [
      'relu in place',
      (b, y) => {
        b.write(y, Float32Array.from(SPECIAL));
        b.relu(y, IN_PLACE);
      },
    ],
    ['neg', (b, y) => b.unary(y, put(b, SPECIAL), 'neg')],
    ['abs', (b, y) => b.unary(y, put(b, SPECIAL), 'abs')],
    ['sign', (b, y) => b.unary(y, put(b, SPECIAL), 'sign')],
    ['fill', (b, y) => b.fill(y, 1e-40)],
    ...(['mask', 'rectify', 'mask-and-rectify'] as const).map((rule): [string, Run] => [
      `reluGrad ${rule}`,
      (b, y) => b.reluGrad(y, put(b, SPECIAL), put(b, [...SPECIAL].reverse()), rule),
    ]),
  ];
  for (const [name, run] of exact)
    await check(context, name, async () => {
      const [actual, expected] = await onBoth(backends, n, 'float32', run);
      sameBits(actual, expected);
    });
  const flat = { shape: [n * n], stridesA: [1], stridesB: [1] };
  const left = SPECIAL.flatMap((value) => SPECIAL.map(() => value));
  const right = SPECIAL.flatMap(() => SPECIAL);
  for (const op of ['add', 'sub', 'mul', 'div', 'pow', 'max', 'min', 'greater', 'equal'] as const)
    await check(context, `${op} of special values`, async () => {
      const [actual, expected] = await onBoth(backends, n * n, 'float32', (b, y) => b.binary(y, put(b, left), put(b, right), op, flat));
      sameClasses(actual, Float32Array.from(expected));
    });
  for (const op of ['exp', 'log', 'sqrt', 'sigmoid', 'tanh', 'erf', 'square', 'reciprocal'] as const)
    await check(context, `${op} of special values`, async () => {
      const [actual, expected] = await onBoth(backends, n, 'float32', (b, y) => b.unary(y, put(b, SPECIAL), op));
      sameClasses(actual, Float32Array.from(expected));
    });
  for (const to of ['int32', 'uint8', 'float32'] as const)
    for (const from of ['float32', 'int32', 'uint8'] as const)
      await check(context, `cast ${from} to ${to}`, async () => {
        const values = from === 'float32' ? SPECIAL : from === 'int32' ? [0, -1, 255, 256, 2 ** 31 - 1, -(2 ** 31)] : [0, 1, 127, 255, 3];
        const [actual, expected] = await onBoth(backends, values.length, to, (b, y) => b.cast(y, put(b, values, from)));
        sameBits(actual, expected);
      });
  await check(context, 'stridedCopy of bytes', async () => {
    const p = { shape: [3, 5], yOffset: 1, yStrides: [1, 3], xOffset: 14, xStrides: [-5, -1] };
    const [actual, expected] = await onBoth(backends, 17, 'uint8', (b, y) => {
      b.fill(y, 9);
      b.stridedCopy(
        y,
        put(
          b,
          Array.from({ length: 15 }, (_, i) => i + 100),
          'uint8',
        ),
        p,
      );
    });
    sameBits(actual, expected);
  });
  for (const backend of backends) backend.dispose();
}

/** Random numbers, which are those of the wasm backend bit for bit. */
export async function random(context: SuiteContext): Promise<void> {
  const backends = [await createBackend({ backend: 'webgpu', gpu: context.gpu }), await createBackend({ backend: 'wasm', threads: 1 })];
  const size = 4099;
  const runs: [string, Run][] = [
    ['uniform from 0 to 1', (b, y) => b.uniform(y, 7, 3 * 2 ** 32 - 500, 0, 1)],
    ['uniform from -0.0137 to 0.0291', (b, y) => b.uniform(y, 2 ** 40 + 7, 5, -0.0137, 0.0291)],
    ['normal', (b, y) => b.normal(y, 7, 2 ** 48, 0, 0.01)],
    ['normal with a mean', (b, y) => b.normal(y, 2 ** 33, 2 ** 32 - 10, 0.3, 1.7)],
    ...[0, 0.4, 0.5, 1].map((probability): [string, Run] => [
      `dropout of ${probability}`,
      (b, y) => {
        const x = b.allocate('float32', size);
        b.fill(x, 1.5);
        b.dropout(y, x, { probability, seed: 5, counter: 2 ** 32 - 100 });
      },
    ]),
    [
      'dropout in place',
      (b, y) => {
        b.fill(y, 3);
        b.dropout(y, IN_PLACE, { probability: 0.3, seed: 1, counter: 2 });
      },
    ],
  ];
  for (const [name, run] of runs)
    await check(context, name, async () => {
      const [actual, expected] = await onBoth(backends, size, 'float32', run);
      sameBits(actual, expected);
    });
  for (const backend of backends) backend.dispose();
}
