/**
 * Invalid values in every field of a run's JSON: reading succeeds or throws a typed error, and a number in a file never causes a hang or
 * a huge allocation.
 */
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { decodeCheckpoint, encodeCheckpoint } from '../../src/formats/checkpoint.js';
import { ZfnetError } from '../../src/tensor/index.js';
import { MemoryStore, openRun, PATHS, train, verifyRun, zfnet } from '../../src/zfnet/index.js';
import { tinyJob, useReferenceBackend } from './support.js';

const NESTED = Object.fromEntries([['__proto__', { preset: 'a' }]]);
const JUNK: readonly unknown[] = [
  null,
  true,
  -1,
  0,
  0.5,
  2 ** 53,
  1e300,
  '',
  '__proto__',
  'constructor',
  'toString',
  'x\u0000\u202e',
  [],
  [null],
  [[[[]]]],
  {},
  NESTED,
  { length: -1 },
];

type Path = readonly (string | number)[];

/** The places of all values within a JSON value, itself included. */
function* placesIn(value: unknown, path: Path = []): Generator<Path> {
  yield path;
  if (typeof value !== 'object' || value === null) return;
  for (const [key, each] of Object.entries(value)) yield* placesIn(each, [...path, key]);
}

/** A copy with another value, or none, at one place. */
function replaced(value: unknown, [key, ...rest]: Path, junk: unknown): unknown {
  if (key === undefined) return junk;
  const copy = (Array.isArray(value) ? [...value] : { ...(value as object) }) as Record<string | number, unknown>;
  copy[key] = replaced(copy[key], rest, junk);
  return copy;
}

const files = new Map<string, Uint8Array>();
const encode = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));

beforeAll(async () => {
  useReferenceBackend();
  const store = new MemoryStore();
  await train(tinyJob({ store, options: { epochs: 1 } }));
  for (const path of [PATHS.config, PATHS.metrics, PATHS.last]) files.set(path, store.files.get(path)!);
});

/** Opens and verifies the run with one file changed. Only errors of the library may result. */
async function expectTyped(path: string, bytes: Uint8Array, what: unknown): Promise<void> {
  const store = new MemoryStore();
  for (const [name, content] of files) store.files.set(name, content);
  store.files.set(path, bytes);
  await verifyRun(store);
  try {
    (await openRun(store, { loadModel: async () => zfnet('small', { inputSize: 28, width: 0.01, classes: 3 }) })).model.dispose();
  } catch (error) {
    if (!(error instanceof ZfnetError)) throw new Error(`${path} with ${JSON.stringify(what)}: ${error}`, { cause: error });
  }
}

const parsed = (path: string): unknown => JSON.parse(new TextDecoder().decode(files.get(path)));

describe('invalid values in', () => {
  it('config.json, at every place', { timeout: 120_000 }, async () => {
    const config = parsed(PATHS.config);
    for (const place of placesIn(config))
      for (const junk of [undefined, ...JUNK])
        await expectTyped(PATHS.config, encode(replaced(config, place, junk) ?? null), { place, junk });
  });

  it('the config.json of an imported network, at every place', { timeout: 120_000 }, async () => {
    const { data, preprocess } = parsed(PATHS.config) as Record<string, unknown>;
    files.set('model.onnx', new Uint8Array(1));
    const config = { version: 1, network: { file: 'model.onnx', channelOrder: 'rgb', mean: [1] }, data, preprocess };
    for (const place of placesIn(config))
      for (const junk of [undefined, ...JUNK])
        await expectTyped(PATHS.config, encode(replaced(config, place, junk) ?? null), { place, junk });
  });

  it('a line of metrics.jsonl, at every place', async () => {
    const line = parsed(PATHS.metrics);
    for (const place of placesIn(line))
      for (const junk of [undefined, ...JUNK])
        await expectTyped(PATHS.metrics, encode(replaced(line, place, junk) ?? null), { place, junk });
  });

  it('the metadata of a checkpoint, at every place', { timeout: 240_000 }, async () => {
    const checkpoint = decodeCheckpoint(files.get(PATHS.last)!, 'last');
    for (const place of placesIn(checkpoint.info)) {
      if (place.length === 0) continue;
      for (const junk of [undefined, ...JUNK]) {
        const info = replaced(checkpoint.info, place, junk) as Record<string, unknown>;
        await expectTyped(PATHS.last, encodeCheckpoint({ ...checkpoint, info }), { place, junk });
      }
    }
  });

  it('any JSON', { timeout: 120_000 }, async () => {
    const checkpoint = decodeCheckpoint(files.get(PATHS.last)!, 'last');
    const config = parsed(PATHS.config);
    const places = [...placesIn(config)];
    const infoPlaces = [...placesIn(checkpoint.info)].slice(1);
    await fc.assert(
      fc.asyncProperty(fc.jsonValue(), fc.nat(), async (junk, at) => {
        await expectTyped(PATHS.config, encode(replaced(config, places[at % places.length], junk)), junk);
        await expectTyped(PATHS.metrics, encode(junk), junk);
        const info = replaced(checkpoint.info, infoPlaces[at % infoPlaces.length], junk) as Record<string, unknown>;
        await expectTyped(PATHS.last, encodeCheckpoint({ ...checkpoint, info }), junk);
      }),
      { numRuns: 60 },
    );
  });
});

it('names of properties that every object has are not presets', () => {
  for (const name of ['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'valueOf'])
    expect(() => zfnet(name as 'a')).toThrow(ZfnetError);
});

it('verifyRun distinguishes intact, damaged and missing files', async () => {
  const store = new MemoryStore();
  await train(tinyJob({ store, options: { epochs: 2 } }));
  expect((await verifyRun(store)).map(({ path, state, detail }) => `${path} ${state} ${detail}`)).toEqual([
    'config.json whole ',
    'metrics.jsonl whole 2 epochs',
    expect.stringMatching(/^best\.safetensors whole epoch [12]$/),
    'checkpoints/epoch-0001.safetensors whole epoch 1',
    'checkpoints/epoch-0002.safetensors whole epoch 2',
    'last.safetensors whole epoch 2',
  ]);
  const first = store.files.get(PATHS.epoch(1))!;
  first[first.length >> 1] ^= 4;
  store.files.set(PATHS.epoch(2), store.files.get(PATHS.best)!.slice(0, 99));
  store.files.delete(PATHS.last);
  store.files.set(PATHS.metrics, new TextEncoder().encode('[]\n'));
  const states = Object.fromEntries((await verifyRun(store)).map(({ path, state }) => [path, state]));
  expect(states).toEqual({
    'config.json': 'whole',
    'metrics.jsonl': 'damaged',
    'last.safetensors': 'missing',
    'best.safetensors': 'whole',
    'checkpoints/epoch-0001.safetensors': 'damaged',
    'checkpoints/epoch-0002.safetensors': 'damaged',
  });
});
