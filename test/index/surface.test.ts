/**
 * Invalid arguments for every export of every entry point give a result or a typed error. ZFNET_JUNK_RUNS and ZFNET_JUNK_SEED set the
 * number and the seed.
 */
import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { createReferenceBackend } from '../../src/backend/reference/index.js';
import * as zf from '../../src/index.js';
import { BatchNorm2d, Conv2d, Linear } from '../../src/nn/index.js';
import { DTypeError, OutOfMemoryError, setDefaultBackend, tensor, ValueError, withBackend, ZfnetError } from '../../src/tensor/index.js';
import { ENTRIES, EXCLUDED, throwJunk } from '../support/junk_targets.js';

const runs = Number(process.env.ZFNET_JUNK_RUNS ?? 12);
const seed = Number(process.env.ZFNET_JUNK_SEED ?? 20140906);
const only = process.env.ZFNET_JUNK_ONLY;

const image = () => tensor(new Float32Array(16), [1, 1, 4, 4], { requiresGrad: true });

beforeAll(() => setDefaultBackend(createReferenceBackend({ limitBytes: 2 ** 28 })));

describe('invalid arguments', () => {
  it('never throw an untyped error', async () => {
    expect(await throwJunk({ runs, seed, ...(only && { only: new RegExp(only) }) })).toEqual([]);
  }, 600_000);

  it('are found in a split whose get does not return examples', async () => {
    const { nearestNeighbour } = ENTRIES.zfnet as unknown as typeof import('../../src/index.js');
    for (const junk of [
      null,
      1,
      {},
      { image: null, label: 0, index: 0 },
      { image: { width: 2, height: 2, channels: 1, data: [] }, label: 0, index: 0 },
    ]) {
      const split = { length: 1, labels: Int32Array.of(0), get: async () => junk as never };
      await expect(nearestNeighbour(split, [split])).rejects.toThrow(/split: get\(0\) gave .*expected an example/);
    }
  });

  it('are refused when requiresGrad of an integer tensor is set', () => {
    const whole = tensor(new Int32Array([1, 2]), [2]);
    expect(() => {
      whole.requiresGrad = true;
    }).toThrow(DTypeError);
    expect(() => {
      (whole as { requiresGrad: unknown }).requiresGrad = 'yes';
    }).toThrow(ValueError);
    expect(whole.requiresGrad).toBe(false);
  });

  it('leave no memory of a layer that does not fit, and cannot exceed the limit of the reference backend', () => {
    const small = createReferenceBackend({ limitBytes: 1000 });
    withBackend(small, () => {
      expect(() => new BatchNorm2d(100)).toThrow(OutOfMemoryError);
      expect(() => new Linear(1, 200)).toThrow(OutOfMemoryError);
      expect(() => new Conv2d(1, 200, 1)).toThrow(OutOfMemoryError);
    });
    expect(small.memory().bytes).toBe(0);
    withBackend(createReferenceBackend(), () => expect(() => new BatchNorm2d(2 ** 31 - 1)).toThrow(OutOfMemoryError));
  });

  it('are tried in every entry point of the package', () => {
    const { exports } = JSON.parse(readFileSync('package.json', 'utf8')) as { exports: Record<string, object | string> };
    // The other paths are files: a script, the kernels and the manifest.
    const entries = Object.keys(exports).filter((path) => Object.hasOwn(Object(exports[path]), 'import'));
    expect(entries.map((path) => path.replace('.', 'zfnet')).sort()).toEqual(Object.keys(ENTRIES).sort());
  });

  it.each([
    ['zfnet', () => zf.zfnet('small', { classses: 2 } as never), /unknown option 'classses'.*did you mean 'classes'\?/],
    ['conv2d', () => zf.conv2d(image(), image(), null, { strides: 2 } as never), /unknown option 'strides'.*did you mean 'stride'\?/],
    ['Conv2d', () => new Conv2d(1, 1, 1, { strides: 2 } as never), /unknown option 'strides'.*did you mean 'stride'\?/],
    [
      'SGD',
      () => new zf.SGD([image()], { lr: 1, weight_decay: 1 } as never),
      /unknown option 'weight_decay'.*did you mean 'weightDecay'\?/,
    ],
    ['SGD of a model', () => new zf.SGD(new Linear(2, 2) as never, { lr: 1 }), /SGD: .*parameters\(\)/],
    ['an operation on an array', () => zf.relu([1, 2] as never), /relu: .*expected a tensor; make one with tensor/],
    [
      'an operation on a typed array',
      () => zf.matmul(new Float32Array(4) as never, image()),
      /matmul: .*expected a tensor; make one with tensor/,
    ],
    ['tensor of a text', () => tensor('abc' as never), /tensor: .*'abc'/],
  ])('are refused with the way out: %s', (_, call, message) => {
    expect(call).toThrow(ZfnetError);
    expect(call).toThrow(message);
  });

  it('are tried in every export except those listed, all of which exist', () => {
    for (const full of Object.keys(EXCLUDED)) {
      const [entry, name] = full.split('.');
      expect(ENTRIES[entry], full).toHaveProperty(name);
    }
  });
});
