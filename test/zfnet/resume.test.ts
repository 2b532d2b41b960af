/** Resuming: from the newest intact checkpoint, with the recipe of the checkpoint, and never from an impossible state. */
import { beforeEach, describe, expect, it } from 'vitest';
import { type Checkpoint, decodeCheckpoint, encodeCheckpoint } from '../../src/formats/checkpoint.js';
import { FormatError } from '../../src/formats/errors.js';
import { saveSafetensors } from '../../src/formats/safetensors.js';
import { sha256 } from '../../src/formats/sha256.js';
import { MemoryStore, openTrainedRun, PATHS, readMetrics, train } from '../../src/zfnet/index.js';
import { tinyJob, tinyNet, useReferenceBackend, weightsOf } from './support.js';

beforeEach(useReferenceBackend);

/** A new store with a run of three epochs, which is trained only once. */
let trained: Promise<{ files: [string, Uint8Array][]; weights: Record<string, string> }> | undefined;
async function run(): Promise<{ store: MemoryStore; weights: Record<string, string> }> {
  trained ??= (async () => {
    const store = new MemoryStore();
    const job = tinyJob({ store, options: { epochs: 3 } });
    await train(job);
    return { files: [...store.files], weights: weightsOf(job.model) };
  })();
  const { files, weights } = await trained;
  const store = new MemoryStore();
  for (const [path, bytes] of files) store.files.set(path, bytes);
  return { store, weights };
}

/** Resumes, with the warnings, the first step and the weights at the end. */
async function resume(store: MemoryStore, options: { epochs?: number } = {}) {
  const warnings: string[] = [];
  let first = 0;
  const job = tinyJob({
    store,
    model: tinyNet({ seed: 99 }),
    resume: true,
    options: { epochs: 3, ...options },
    onWarning: (message) => warnings.push(message),
    onStep: ({ step }) => (first ||= step),
  });
  const { metrics } = await train(job);
  return { warnings: warnings.join('\n'), first, metrics, weights: weightsOf(job.model) };
}

const flipped = (bytes: Uint8Array): Uint8Array => {
  const bad = bytes.slice();
  bad[bad.length - 5] ^= 1;
  return bad;
};

const text = (store: MemoryStore, path: string): string => new TextDecoder().decode(store.files.get(path));
const digests = (store: MemoryStore) => [...store.files].map(([path, bytes]) => [path, sha256(bytes)]);
const put = (store: MemoryStore, path: string, written: string) => store.files.set(path, new TextEncoder().encode(written));

/** Changes the last checkpoint and writes it whole, with a checksum that fits. */
function rewrite(store: MemoryStore, change: (checkpoint: Checkpoint) => Checkpoint): void {
  for (const path of [PATHS.best, PATHS.epoch(1), PATHS.epoch(2), PATHS.epoch(3)]) store.files.delete(path);
  store.files.set(PATHS.last, encodeCheckpoint(change(decodeCheckpoint(store.files.get(PATHS.last)!, 'last'))));
}

describe('a last checkpoint that cannot be used', () => {
  it.each([
    ['missing', (): undefined => undefined, /last\.safetensors is missing/],
    ['cut off', (bytes: Uint8Array) => bytes.slice(0, 1000), /last\.safetensors: .*truncated/],
    ['empty', () => new Uint8Array(), /last\.safetensors: the file has 0 bytes/],
    ['changed by one bit', flipped, /last\.safetensors: the checksum of the file is/],
  ])('%s: training resumes from the newest intact one, to the same bits', async (_, damage, reason) => {
    const { store, weights } = await run();
    const bad = damage(store.files.get(PATHS.last)!);
    if (bad) store.files.set(PATHS.last, bad);
    else store.files.delete(PATHS.last);
    store.files.set(PATHS.epoch(3), flipped(store.files.get(PATHS.epoch(3))!));
    store.files.delete(PATHS.best);
    const resumed = await resume(store);
    expect(resumed.warnings).toMatch(reason);
    expect(resumed.warnings).toMatch(/Resuming from checkpoints\/epoch-0002\.safetensors instead, after epoch 2 \(step 12\)/);
    expect(resumed.first).toBe(13);
    expect(resumed.weights).toEqual(weights);
    expect((await readMetrics(store)).map(({ epoch }) => epoch)).toEqual([1, 2, 3]);
    expect(store.files.get('last.safetensors.damaged')).toEqual(bad);
  });

  it('is an error that changes nothing if no other is intact', async () => {
    const { store } = await run();
    for (const path of [PATHS.best, PATHS.epoch(1), PATHS.epoch(2), PATHS.epoch(3)]) store.files.delete(path);
    store.files.delete(PATHS.last);
    await expect(resume(store)).rejects.toThrow(FormatError);
    await expect(resume(store)).rejects.toThrow(
      /no checkpoint of this run is whole: last\.safetensors is missing\. metrics\.jsonl records 3 epochs\. Put a whole checkpoint back/,
    );
    store.files.set(PATHS.best, new Uint8Array(3));
    put(store, PATHS.metrics, '');
    const before = digests(store);
    await expect(resume(store)).rejects.toThrow(/last\.safetensors is missing; best\.safetensors: the file has 3 bytes/);
    expect(digests(store)).toEqual(before);
  });

  it('does not prevent loading the best one', async () => {
    const { store } = await run();
    store.files.delete(PATHS.last);
    for (const epoch of [1, 2, 3]) store.files.delete(PATHS.epoch(epoch));
    expect((await resume(store, { epochs: 4 })).warnings).toMatch(/Resuming from best\.safetensors instead/);
  });
});

describe('metrics', () => {
  it('are held to one line per epoch up to the epoch that training resumes from, and lost ones are named', async () => {
    const { store } = await run();
    const [first, , third] = text(store, PATHS.metrics).split('\n');
    put(store, PATHS.metrics, `${third}\n${first}\n${first}\n`);
    const { warnings, metrics } = await resume(store, { epochs: 4 });
    expect(warnings).toMatch(/metrics\.jsonl has lines for only 2 of the 3 epochs/);
    expect(metrics.map(({ epoch }) => epoch)).toEqual([1, 3, 4]);
  });

  it.each([
    ['null', /line 2 is null, expected an object/],
    ['3', /line 2 is 3, expected an object/],
    ['{"epoch":"2"}', /line 2\.epoch is '2', expected a whole number/],
    ['{"epoch":2,"ep', /line 2 is not JSON/],
  ])('with the line %s are an error that names it', async (line, message) => {
    const { store } = await run();
    put(store, PATHS.metrics, text(store, PATHS.metrics).replace('\n', `\n${line}\n`));
    await expect(readMetrics(store)).rejects.toThrow(FormatError);
    await expect(resume(store)).rejects.toThrow(message);
  });
});

describe('an edited config.json', () => {
  it.each([
    ['"seed": 5', '"seed": 6', /training\.seed is 6 in config\.json and 5 in the checkpoint/],
    ['"batchSize": 4', '"batchSize": 8', /training\.batchSize is 8 in config\.json and 4/],
    ['"momentum": 0.9', '"momentum": 0.5', /training\.momentum is 0\.5 in config\.json and 0\.9/],
    ['"patience": 0', '"patience": 1', /training\.schedule\.patience is 1/],
    ['"lr": 0.02', '"lr": 0.03', /training\.lr is 0\.03/],
    ['"init": "he"', '"init": "glorot"', /init is 'glorot' in config\.json and 'he'/],
    ['"scale": 0.015625', '"scale": 1', /scale is 1 in config\.json and 0\.015625/],
    ['"maxFilterRms": 0.1', '"maxFilterRms": null', /maxFilterRms is null in config\.json and 0\.1/],
  ])('with %s changed to %s is refused, and the error names the setting', async (from, to, message) => {
    const { store } = await run();
    expect(text(store, PATHS.config)).toContain(from);
    put(store, PATHS.config, text(store, PATHS.config).replace(from, to));
    const before = digests(store);
    await expect(train({ ...tinyJob({ store, resume: true }), options: { epochs: 4 } })).rejects.toThrow(message);
    expect(digests(store)).toEqual(before);
  });

  it('with another number of epochs is accepted', async () => {
    const { store } = await run();
    put(store, PATHS.config, text(store, PATHS.config).replace('"epochs": 3', '"epochs": 4'));
    const { metrics } = await train({ ...tinyJob({ store, resume: true }), options: {} });
    expect(metrics).toHaveLength(4);
  });

  it('of a newer version is refused with that reason', async () => {
    const { store } = await run();
    put(store, PATHS.config, text(store, PATHS.config).replace('"version": 1', '"version": 2'));
    await expect(openTrainedRun(store)).rejects.toThrow(/written by a newer zfnet \(version 2 .*update zfnet/);
  });
});

describe('impossible training state', () => {
  const state = (change: object) => (checkpoint: Checkpoint) => ({
    ...checkpoint,
    info: { ...checkpoint.info, training: { ...(checkpoint.info.training as object), ...change } },
  });
  const sums = { loss: 1, errors: 0, examples: 8, seconds: 1 };
  it.each([
    ['a cursor below 0', { cursor: -1 }, /training'\.cursor is -1, expected a whole number of at least 0/],
    ['a cursor beyond the epoch', { cursor: 28, sums }, /cursor is 28, expected a multiple of the batch size 4 up to the 24/],
    ['a cursor within a batch', { cursor: 9, sums }, /cursor is 9/],
    ['a cursor at the end of an epoch without examples', { cursor: 24, step: 24 }, /sums count no examples/],
    ['half a cursor', { cursor: 0.5 }, /cursor is 0\.5/],
    ['more examples than are done', { cursor: 4, sums }, /among 8 examples, of which 4 are done/],
    ['an epoch of another type', { epoch: '3' }, /epoch is '3'/],
    ['more steps than the epochs have', { step: 19 }, /step is 19 after 3 epochs/],
    ['fewer steps than epochs', { step: 2 }, /step is 2 after 3 epochs/],
    ['a rate that is not a number', { lr: null }, /lr is null/],
    ['a best epoch yet to come', { best: { epoch: 4, top1Error: 0 } }, /best\.epoch is 4/],
    ['a best error above 1', { best: { epoch: 1, top1Error: 2 } }, /best\.top1Error is 2/],
    ['no schedule', { schedule: null }, /schedule is null/],
    ['a schedule of another kind', { schedule: { epoch: 3 } }, /schedule\.best is missing/],
    ['no random numbers', { random: undefined }, /random is missing/],
    ['a generator of another seed', { random: { general: { seed: 6, counter: 0 }, dropout: { seed: 5, counter: 2 ** 49 } } }, /seed 6/],
    ['a generator in another stream', { random: { general: { seed: 5, counter: 0 }, dropout: { seed: 5, counter: 0 } } }, /counter is 0/],
  ])('%s is refused', async (_, change, message) => {
    const { store } = await run();
    rewrite(store, state(change));
    await expect(resume(store, { epochs: 4 })).rejects.toThrow(FormatError);
    await expect(resume(store, { epochs: 4 })).rejects.toThrow(message);
  });

  it('missing, superfluous or misshapen velocities are refused', async () => {
    const { store } = await run();
    const { velocities } = decodeCheckpoint(store.files.get(PATHS.last)!, 'last');
    const { 'fc8.bias': own, ...others } = velocities;
    const attempt = async (changed: Checkpoint['velocities']) => {
      const { store: copy } = await run();
      rewrite(copy, (checkpoint) => ({ ...checkpoint, velocities: changed }));
      return await resume(copy, { epochs: 4 });
    };
    await expect(attempt(others)).rejects.toThrow(/no velocity of fc8\.bias, which momentum 0\.9 needs/);
    await expect(attempt({ ...velocities, fc9: own })).rejects.toThrow(/a velocity of 'fc9', which its network does not have/);
    await expect(attempt({ ...velocities, 'fc8.bias': { shape: [1], data: new Float32Array(1) } })).rejects.toThrow(
      /shape \[1\], expected/,
    );
  });

  it('a model without training state is refused', async () => {
    const { store } = await run();
    rewrite(store, ({ info: { training: _, ...info }, ...rest }) => ({ ...rest, info }));
    await expect(resume(store)).rejects.toThrow(/it contains a model but no training state/);
  });
});

it('a checkpoint of version 1, without checksum and recipe, opens and resumes to the same bits', async () => {
  const { store, weights } = await run();
  const old = (path: string) => {
    const { weights, velocities, mean, info } = decodeCheckpoint(store.files.get(path)!, path);
    const { recipe: _, ...rest } = info;
    const moving = Object.entries(velocities).map(([key, value]) => [`optimizer.velocity.${key}`, value]);
    const metadata = Object.entries(rest).map(([key, value]) => [key, JSON.stringify(value)]);
    const bytes = saveSafetensors(
      { ...weights, ...Object.fromEntries(moving), mean: mean! },
      { 'zfnet.checkpoint': '1', ...Object.fromEntries(metadata) },
    );
    return bytes;
  };
  const second = old(PATHS.epoch(2));
  for (const path of [PATHS.best, PATHS.epoch(1), PATHS.epoch(2), PATHS.epoch(3)]) store.files.delete(path);
  store.files.set(PATHS.last, second);
  const { model } = await openTrainedRun(store);
  expect(Object.keys(weightsOf(model))).toEqual(Object.keys(weights));
  const resumed = await resume(store);
  expect(resumed.warnings).toBe('');
  expect(resumed.weights).toEqual(weights);
});
