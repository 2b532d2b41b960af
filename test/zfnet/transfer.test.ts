/** Learning from few images: the statistics over the folds, the samples, the results that are kept between calls, and the features. */
import { beforeAll, describe, expect, it } from 'vitest';
import { DataError } from '../../src/data/errors.js';
import { inChannels, sampleByClass, subset, takeByClass } from '../../src/data/index.js';
import { init } from '../../src/index.js';
import { fromHost, noGrad } from '../../src/tensor/index.js';
import { averageBlocks, gridFor } from '../../src/zfnet/experiments/features.js';
import {
  analyseFeatures,
  extractFeatures,
  Preprocess,
  stages,
  type TransferFold,
  type TransferJob,
  transfer,
  transferRows,
} from '../../src/zfnet/index.js';
import { bars, tinyNet } from './support.js';

beforeAll(() => init({ threads: 1 }));

const network = (seed = 1) => ({
  model: tinyNet({ seed, width: 0.03 }),
  preprocess: new Preprocess({ inputSize: 28, side: 32, channels: 1, scale: 1 / 64 }),
});

function job(options: Partial<TransferJob> = {}): TransferJob {
  const dataset = bars({ train: 30, val: 12 });
  return { network: network(), layer: 'relu7', dataset, pool: dataset.splits.train, perClass: [2, 4], folds: 2, ...options };
}

describe('rows of a transfer', () => {
  const fold = (method: TransferFold['method'], perClass: number, fold: number, valTop1Error: number): TransferFold => ({
    method,
    perClass,
    fold,
    trainTop1Error: 0.5 * valTop1Error,
    valTop1Error,
    valTop5Error: 0,
  });

  it('contain the mean accuracy over the folds, its deviation, and the paper’s figure', () => {
    const rows = transferRows([
      fold('kept layers', 15, 0, 0.2),
      fold('kept layers', 15, 1, 0.4),
      fold('kept layers', 15, 2, 0.6),
      fold('from scratch', 7, 0, 0.9),
    ]);
    expect(rows).toMatchObject([
      { name: 'kept layers, 15 per class', perClass: 15, folds: 3, paper: { caltech101: 83.8, caltech256: 65.7 } },
      { name: 'from scratch, 7 per class', perClass: 7, folds: 1, deviation: 0 },
    ]);
    expect(rows[0].mean).toBeCloseTo(0.6, 12);
    expect(rows[0].deviation).toBeCloseTo(0.2, 12);
    expect(rows[0].valTop1Error).toBeCloseTo(0.4, 12);
    expect(rows[0].trainTop1Error).toBeCloseTo(0.2, 12);
    expect(rows[1].mean).toBeCloseTo(0.1, 12);
    expect(rows[1].paper).toBeUndefined();
  });
});

describe('transfer', () => {
  it('computes the features of each image once, and reproducibly', async () => {
    const seen = new Map<number, number>();
    const counted = job();
    const { pool } = counted;
    const get = (place: number) => {
      seen.set(place, (seen.get(place) ?? 0) + 1);
      return pool.get(place);
    };
    const counting = { ...pool, get };
    const rows = await transfer({ ...counted, pool: counting });
    expect(rows.map(({ name, folds }) => [name, folds])).toEqual([
      ['kept layers, 2 per class', 2],
      ['kept layers, 4 per class', 2],
    ]);
    // Images learnt from in one fold are tested on in the other: two passes at most.
    expect(Math.max(...seen.values())).toBeLessThanOrEqual(2);
    expect(await transfer(job())).toEqual(rows);
  });

  it('continues after the finished folds', async () => {
    const folds: TransferFold[] = [];
    const rows = await transfer(job({ onFold: (fold) => void folds.push(fold) }));
    expect(folds).toHaveLength(4);
    const further: TransferFold[] = [];
    const controller = new AbortController();
    const onFold = (fold: TransferFold) => {
      further.push(fold);
      if (further.length === 2) controller.abort();
    };
    const stopped = transfer(job({ signal: controller.signal, onFold }));
    await expect(stopped).rejects.toThrow();
    const rest: TransferFold[] = [];
    expect(await transfer(job({ done: further, onFold: (fold) => void rest.push(fold) }))).toEqual(rows);
    expect([...further, ...rest]).toEqual(folds);
  });

  it('trains from scratch for the same number of updates, whatever the number of images', async () => {
    const steps: number[] = [];
    const rows = await transfer(
      job({
        perClass: [1, 3],
        folds: 1,
        scratch: { architecture: tinyNet().architecture, training: { batchSize: 4, augment: 'none' }, steps: 8 },
        onStep: ({ step }) => void steps.push(step),
      }),
    );
    expect(rows.map(({ name }) => name)).toEqual([
      'kept layers, 1 per class',
      'kept layers, 3 per class',
      'from scratch, 1 per class',
      'from scratch, 3 per class',
    ]);
    expect(steps.filter((step) => step === 1)).toHaveLength(2);
    // Batches of 3 (all there are) and of 4.
    expect(Math.max(...steps)).toBe(8);
  });

  it('names a class with too few images', async () => {
    await expect(transfer(job({ perClass: [11] }))).rejects.toThrow(/class horizontal has 10 images here, expected at least 11/);
    await expect(transfer(job({ perClass: [10] }))).rejects.toThrow(/class horizontal has no images left for testing: all 10/);
  });
});

describe('images of each class', () => {
  it('are sampled by seed and number of the sample; a smaller sample is contained in a larger one', () => {
    const split = bars({ train: 30 }).splits.train;
    const [a, again, other] = [0, 0, 1].map((sample) => sampleByClass(split, 3, { sample }));
    expect(sampleByClass(split, 3, { draw: 1 })).toEqual(other);
    expect(a).toEqual(again);
    expect(a).not.toEqual(other);
    for (const [label, own] of a.entries()) expect(own.map((place) => split.labels[place])).toEqual(own.map(() => label));
    expect(takeByClass(a, 5, ['x', 'y', 'z'])).toEqual(a.flatMap((own) => own.slice(0, 5)));
  });

  it('in a subset are numbered anew and keep their contents', async () => {
    const split = bars({ train: 9 }).splits.train;
    const part = subset(split, [7, 2, 2]);
    expect([...part.labels]).toEqual([1, 2, 2]);
    const [seventh, second] = [await part.get(0), await part.get(2)];
    expect(seventh).toMatchObject({ index: 0, label: 1, name: '7' });
    expect(second).toMatchObject({ index: 2, label: 2, name: '2' });
    expect(() => subset(split, [9])).toThrow(DataError);
    await expect(part.get(3)).rejects.toThrow(DataError);
  });

  it('can be converted between grey and colour', async () => {
    const grey = inChannels(bars({ train: 3, channels: 3 }), 1);
    const { image: colours } = await bars({ train: 3, channels: 3 }).splits.train.get(1);
    const { image } = await grey.splits.train.get(1);
    expect(image).toMatchObject({ width: 32, height: 32, channels: 1 });
    expect(image.data[5]).toBe(Math.round(0.299 * colours.data[15] + 0.587 * colours.data[16] + 0.114 * colours.data[17]));
    const back = await inChannels(grey, 3).splits.train.get(1);
    expect([...back.image.data.subarray(15, 18)]).toEqual([image.data[5], image.data[5], image.data[5]]);
  });
});

describe('features', () => {
  it('are taken at the end of each stage except the class scores', () => {
    expect(stages(tinyNet())).toEqual([
      { name: 'conv1', layer: 'norm1' },
      { name: 'conv2', layer: 'norm2' },
      { name: 'conv3', layer: 'relu3' },
      { name: 'conv4', layer: 'relu4' },
      { name: 'conv5', layer: 'pool5' },
      { name: 'fc6', layer: 'relu6' },
      { name: 'fc7', layer: 'relu7' },
    ]);
  });

  it('are the outputs of the network, averaged over blocks if there are too many', async () => {
    const { model, preprocess } = network();
    const split = bars({ train: 5 }).splits.train;
    const { layers, labels } = await extractFeatures({ model, preprocess }, split, ['norm1', 'relu7'], { maxFeatures: 48, batchSize: 2 });
    expect([...labels]).toEqual([0, 1, 2, 0, 1]);
    const { image } = await split.get(4);
    const input = fromHost(preprocess.evaluation([image]), [1, 1, 28, 28]);
    const own = noGrad(() => model.eval().activations(input, ['norm1', 'relu7']));
    const { matrix } = layers.relu7;
    expect(matrix.data.subarray(4 * matrix.columns)).toEqual(own.relu7.dataSync());
    const [, maps, height, width] = own.norm1.shape;
    const { matrix: first, grid, shape } = layers.norm1;
    expect([shape, grid]).toEqual([
      [maps, height, width],
      [4, 4],
    ]);
    expect(first.columns).toBe(maps * 16);
    const mean = (data: ArrayLike<number>) => Array.from(data).reduce((sum, value) => sum + value, 0) / data.length;
    expect(first.columns).toBeLessThanOrEqual(48);
    // 14 pixels in 4 blocks: the first is rows and columns 0 to 3.
    const plane = own.norm1.dataSync();
    const block = [0, 1, 2, 3].flatMap((y) => [0, 1, 2, 3].map((x) => plane[y * width + x]));
    expect(first.data[4 * first.columns]).toBeCloseTo(mean(block), 5);
  });

  it('are averaged over grids that fit', () => {
    expect(gridFor([24, 19, 19], 2048)).toEqual([9, 9]);
    expect(gridFor([24, 9, 5], 2048)).toBeUndefined();
    expect(gridFor([4096], 100)).toBeUndefined();
    expect(gridFor([512, 7, 7], 100)).toEqual([1, 1]);
    expect([...averageBlocks(Float32Array.from([1, 2, 3, 4, 5, 6]), [1, 1, 2, 3], [1, 2])]).toEqual([3, 4]);
  });

  it('of every stage get a row, with the paper’s figures if it has them', async () => {
    const { train, val } = bars({ train: 30, val: 12 }).splits;
    const rows = await analyseFeatures({ ...network(), classes: ['a', 'b', 'c'] }, train, val, { maxFeatures: 60 });
    expect(rows.map(({ name }) => name)).toEqual(stages(tinyNet()).flatMap(({ name }) => [`svm ${name}`, `softmax ${name}`]));
    for (const { valTop1Error, trainTop1Error, valTop5Error } of rows) {
      expect(valTop1Error * 12).toBeCloseTo(Math.round(valTop1Error * 12), 9);
      expect(trainTop1Error).toBeLessThan(0.67);
      expect(valTop5Error).toBe(0);
    }
    // Blurred bars can be classified by their first features.
    expect(rows[0].valTop1Error).toBeLessThan(0.4);
    expect(rows.find(({ name }) => name === 'svm fc7')?.paper).toEqual({ caltech101: 85.5, caltech256: 71.7 });
    expect(rows.find(({ name }) => name === 'softmax conv1')?.paper).toBeUndefined();
  });
});
