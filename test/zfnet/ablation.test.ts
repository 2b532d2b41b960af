/** Variants of Table 3: their shapes and sizes, and a table of results that survives interruptions. */
import { beforeAll, describe, expect, it } from 'vitest';
import { shapesOnly } from '../../src/backend/shapes/index.js';
import { init } from '../../src/index.js';
import { StateError, summarize } from '../../src/nn/index.js';
import { ValueError, withBackend } from '../../src/tensor/index.js';
import {
  ABLATIONS,
  type AblationJob,
  ablate,
  architectureOf,
  MemoryStore,
  openRun,
  type PresetName,
  type Variant,
  ZfNet,
  zfnet,
} from '../../src/zfnet/index.js';
import { bars } from './support.js';

const sizeOf = (preset: PresetName, variant: Variant): number => {
  const model = withBackend(shapesOnly(), () => zfnet(preset, variant));
  return summarize(model, model.inputShape).reduce((sum, { parameters }) => sum + parameters, 0);
};

describe('variants', () => {
  // By hand: a layer of n inputs and m outputs has (n + 1) m parameters.
  const conv = (inputs: number, maps: number, kernel: number) => (inputs * kernel ** 2 + 1) * maps;
  const fc = (inputs: number, units: number) => (inputs + 1) * units;
  const A = 62_357_608;

  it.each<[string, Variant, number]>([
    [
      'a without conv3 and conv4',
      { without: ['conv3', 'conv4'] },
      A - 2 * conv(384, 384, 3) - conv(256, 384, 3) + conv(384, 384, 3) - conv(384, 256, 3) + conv(256, 256, 3),
    ],
    ['a without fc7', { without: ['fc7'] }, A - fc(4096, 4096)],
    ['a without fc6 and fc7', { without: ['fc6', 'fc7'] }, A - fc(9216, 4096) - fc(4096, 4096) - fc(4096, 1000) + fc(9216, 1000)],
    [
      'a with 2048 units',
      { units: [2048, 2048] },
      A - fc(9216, 4096) - fc(4096, 4096) - fc(4096, 1000) + fc(9216, 2048) + fc(2048, 2048) + fc(2048, 1000),
    ],
  ])('%s', (_, variant, parameters) => {
    expect(sizeOf('a', variant)).toBe(parameters);
  });

  it('with the maps of preset b are preset b', () => {
    expect(sizeOf('a', { maps: [96, 256, 512, 1024, 512] })).toBe(107_627_624);
  });

  it('of Table 3 can all be built, keep the names of the remaining layers, and are restored from their record', () => {
    for (const { preset, variant } of ABLATIONS) {
      const model = withBackend(shapesOnly(), () => zfnet(preset, { width: 0.05, ...variant }));
      const { without = [] } = variant;
      const expected = ['conv1', 'conv2', 'conv3', 'conv4', 'conv5', 'fc6', 'fc7', 'fc8'].filter(
        (name) => !without.some((gone) => gone === name),
      );
      expect(model.layerNames().filter((name) => /^(conv|fc)/.test(name))).toEqual(expected);
      expect(model.outputShape(model.inputShape)).toEqual([1, 1000]);
      const again = withBackend(shapesOnly(), () => zfnet(model.architecture.preset, JSON.parse(JSON.stringify(model.architecture))));
      expect(again.architecture).toEqual(model.architecture);
      expect(summarize(again, again.inputShape)).toEqual(summarize(model, model.inputShape));
    }
  });

  it.each([
    [{ without: ['conv1'] }, /each one of 'conv3', 'conv4', 'conv5', 'fc6', 'fc7'/],
    [{ units: [10] }, /units is \[10\], expected 2/],
    [{ maps: [1, 2, 3, 4, 0.5] }, /maps is .*, expected (5 whole numbers|an array of elements, each a whole number)/],
  ])('refuse %j', (variant, message) => {
    expect(() => architectureOf('a', variant as Variant)).toThrow(ValueError);
    expect(() => architectureOf('a', variant as Variant)).toThrow(message);
  });
});

describe('ablate', () => {
  beforeAll(() => init({ threads: 1 }));

  const chosen = ABLATIONS.filter(({ name }) => ['zfnet', 'zfnet-fc-2048', 'alexnet-without-6-7'].includes(name));
  const tiny = chosen.map((ablation) => ({ ...ablation, preset: 'small' as const }));

  function job(stores: Map<string, MemoryStore>, options: Partial<AblationJob> = {}): AblationJob {
    return {
      ablations: tiny,
      dataset: bars(),
      network: { inputSize: 28, width: 0.01 },
      training: { epochs: 2, batchSize: 8, lr: 0.02, seed: 1, schedule: { kind: 'constant' } },
      store: (name) => {
        const store = stores.get(name) ?? new MemoryStore();
        stores.set(name, store);
        return store;
      },
      ...options,
    };
  }

  it('gives one row per variant, and writes runs that open', async () => {
    const stores = new Map<string, MemoryStore>();
    const rows = await ablate(job(stores));
    expect(rows.map(({ name }) => name)).toEqual(['alexnet-without-6-7', 'zfnet', 'zfnet-fc-2048']);
    expect(rows[1]).toMatchObject({ epochs: 2, paper: { train: 33.1, val1: 38.4, val5: 16.5 } });
    for (const row of rows) {
      const { model, metrics } = await openRun(stores.get(row.name)!);
      expect(model).toBeInstanceOf(ZfNet);
      expect(row.parameters).toBe(model.parameters().reduce((sum, { size }) => sum + size, 0));
      expect(row.valTop1Error).toBeCloseTo(Math.min(...metrics.map(({ valTop1Error }) => valTop1Error!)), 9);
      expect(row.trainTop1Error * 24).toBeCloseTo(Math.round(row.trainTop1Error * 24), 9);
    }
    expect(rows[0].parameters).toBeLessThan(rows[2].parameters);
    expect(rows[2].parameters).toBeLessThan(rows[1].parameters);
  });

  it('keeps finished runs and resumes the others, with the same results', async () => {
    const whole = await ablate(job(new Map()));
    const stores = new Map<string, MemoryStore>();
    const controller = new AbortController();
    let steps = 0;
    const stop = () => {
      // The second of six steps of the second variant.
      if (++steps === 8) controller.abort();
    };
    const stopped = await ablate(job(stores, { signal: controller.signal, listener: { onStep: stop } }));
    expect(stopped).toEqual(whole.slice(0, 1));
    const found: boolean[] = [];
    let further = 0;
    const listener = { onStep: () => void further++ };
    const rows = await ablate(job(stores, { listener, onRow: (_, there) => void found.push(there) }));
    expect(rows).toEqual(whole);
    expect(found).toEqual([true, false, false]);
    expect(steps + further).toBe(3 * 6);
  });

  it('refuses runs with another recipe', async () => {
    const stores = new Map<string, MemoryStore>();
    await ablate(job(stores, { ablations: tiny.slice(0, 1) }));
    const other = job(stores, { ablations: tiny.slice(0, 1) });
    await expect(ablate({ ...other, training: { ...other.training, batchSize: 4 } })).rejects.toThrow(StateError);
    await expect(ablate({ ...other, network: { inputSize: 28, width: 0.02 } })).rejects.toThrow(StateError);
  });
});
