/** Preprocessing: the mean image, the paper's ten crops, and random crops that depend only on seed, epoch and index. */
import { describe, expect, it } from 'vitest';
import { createReferenceBackend } from '../../src/backend/reference/index.js';
import type { Image } from '../../src/data/dataset.js';
import { samplePlaces } from '../../src/data/index.js';
import { examplesToTensor, imagesToTensor, meanImage, Preprocess, sampleCrop, scaleFor, sideFor, tenCrops } from '../../src/zfnet/index.js';
import { bars } from './support.js';

const SIDE = 7;
const SIZE = 4;
const OPTIONS = { inputSize: SIZE, side: SIDE, channels: 3, scale: 1 / 64 } as const;

/** All values are different, so that each identifies its position. */
const image: Image = { width: SIDE, height: SIDE, channels: 3, data: Uint8Array.from({ length: SIDE * SIDE * 3 }, (_, i) => i) };
const mean = { shape: [3, SIDE, SIDE], data: Float32Array.from({ length: 3 * SIDE * SIDE }, (_, i) => 0.5 * i) };

/** By the definition in the paper: subtract the mean, crop, mirror. */
function expected(y: number, x: number, flip: boolean, scale = OPTIONS.scale): number[] {
  const values: number[] = [];
  for (let c = 0; c < 3; c++)
    for (let row = 0; row < SIZE; row++)
      for (let column = 0; column < SIZE; column++) {
        const py = y + row;
        const px = x + (flip ? SIZE - 1 - column : column);
        values.push(Math.fround((image.data[(py * SIDE + px) * 3 + c] - mean.data[(c * SIDE + py) * SIDE + px]) * scale));
      }
  return values;
}

describe('Preprocess', () => {
  const preprocess = new Preprocess(OPTIONS, mean);

  it('cuts out the centre with the mean subtracted', () => {
    expect([...preprocess.evaluation([image])]).toEqual(expected(1, 1, false));
  });

  it('cuts the ten crops in order: corners and centre, then mirrored', () => {
    const places: [number, number][] = [
      [0, 0],
      [0, 3],
      [3, 0],
      [3, 3],
      [1, 1],
    ];
    const crops = [false, true].flatMap((flip) => places.flatMap(([y, x]) => expected(y, x, flip)));
    expect([...preprocess.evaluation([image, image], 10)]).toEqual([...crops, ...crops]);
  });

  it('gives crops for evaluation and for training as tensors, on the backend that is asked for', () => {
    const backend = createReferenceBackend();
    const input = imagesToTensor(preprocess, [image, image], { crops: 10, backend });
    expect(input.shape).toEqual([20, 3, SIZE, SIZE]);
    expect(input.backend).toBe(backend);
    expect(input.dataSync()).toEqual(preprocess.evaluation([image, image], 10));
    expect(imagesToTensor(preprocess, [image], { backend }).dataSync()).toEqual(preprocess.evaluation([image]));
    const sample = { augment: 'random', seed: 3, epoch: 1 } as const;
    const examples = [5, 6].map((index) => ({ image, index }));
    const crops = examplesToTensor(preprocess, examples, sample, backend);
    expect(crops.shape).toEqual([2, 3, SIZE, SIZE]);
    expect(crops.dataSync()).toEqual(preprocess.training(examples, sample));
  });

  it('takes ten crops without mirroring if training used none', () => {
    const digits = new Preprocess({ ...OPTIONS, mirror: false }, mean);
    const out = digits.evaluation([image], 10);
    const crops = tenCrops(3, false);
    expect(crops.some(({ flip }) => flip)).toBe(false);
    expect(new Set(crops.map(({ y, x }) => `${y} ${x}`)).size).toBe(9);
    expect([...out]).toEqual(crops.flatMap(({ y, x }) => expected(y, x, false)));
  });

  it('keeps the range of pixels with a scale of 1', () => {
    const paper = new Preprocess({ ...OPTIONS, scale: scaleFor('paper') }, mean);
    expect([...paper.evaluation([image])]).toEqual(expected(1, 1, false, 1));
    expect(scaleFor('he')).toBe(1 / 64);
  });

  it('samples a crop by seed, epoch and index, not by order', () => {
    const draw = { augment: 'paper', seed: 3, epoch: 2 } as const;
    const both = preprocess.training(
      [
        { image, index: 8 },
        { image, index: 9 },
      ],
      draw,
    );
    const alone = preprocess.training([{ image, index: 9 }], draw);
    expect([...both.subarray(alone.length)]).toEqual([...alone]);
    const crop = sampleCrop('paper', SIDE - SIZE, 3, 2, 9);
    expect([...alone]).toEqual(expected(crop.y, crop.x, crop.flip));
  });

  it('converts its output back to pixels', () => {
    const out = preprocess.evaluation([image], 10).subarray(6 * 48, 7 * 48);
    const crop = tenCrops(3)[6];
    const back = preprocess.toImage(out, crop);
    for (let y = 0; y < SIZE; y++)
      for (let x = 0; x < SIZE; x++)
        for (let c = 0; c < 3; c++)
          expect(back.data[(y * SIZE + x) * 3 + c]).toBe(image.data[((crop.y + y) * SIDE + crop.x + SIZE - 1 - x) * 3 + c]);
  });

  it('names the expected size', () => {
    const other: Image = { width: 6, height: 7, channels: 3, data: new Uint8Array(126) };
    expect(() => preprocess.evaluation([other])).toThrow(/6×7 pixels in 3 channels, expected 7×7 in 3/);
    expect(() => new Preprocess(OPTIONS, { shape: [3, 6, 6], data: new Float32Array(108) })).toThrow(/mean image has shape \[3,6,6\]/);
  });
});

describe('the sides of the paper', () => {
  it.each([
    [224, 256],
    [28, 32],
    [64, 73],
  ])('%i pixels are cut from %i', (input, side) => expect(sideFor(input)).toBe(side));
});

describe('sampleCrop', () => {
  const draws = (augment: Parameters<typeof sampleCrop>[0], slack: number, count = 2000) =>
    Array.from({ length: count }, (_, i) => sampleCrop(augment, slack, 1, 4, i));
  const kinds = (crops: ReturnType<typeof draws>) => new Set(crops.map(({ y, x, flip }) => `${y} ${x} ${flip}`));

  it('samples each of the ten crops about equally often', () => {
    const crops = draws('paper', 5);
    expect(kinds(crops)).toEqual(new Set(tenCrops(5).map(({ y, x, flip }) => `${y} ${x} ${flip}`)));
    for (const kind of kinds(crops)) {
      const count = crops.filter(({ y, x, flip }) => `${y} ${x} ${flip}` === kind).length;
      expect(count).toBeGreaterThan(150);
      expect(count).toBeLessThan(250);
    }
  });

  it('shifts without mirroring, crops at random with it, or takes the centre crop', () => {
    expect(kinds(draws('shift', 2)).size).toBe(9);
    expect(draws('shift', 2).every(({ flip }) => !flip)).toBe(true);
    expect(kinds(draws('random', 2)).size).toBe(18);
    expect(kinds(draws('none', 5))).toEqual(new Set(['2 2 false']));
  });

  it('differs between epochs and seeds', () => {
    const list = (seed: number, epoch: number) => Array.from({ length: 50 }, (_, i) => sampleCrop('paper', 5, seed, epoch, i));
    expect(list(1, 1)).toEqual(list(1, 1));
    expect(list(1, 1)).not.toEqual(list(1, 2));
    expect(list(1, 1)).not.toEqual(list(2, 1));
  });
});

describe('meanImage', () => {
  it('is the mean of every pixel over the split, by channel', async () => {
    const { splits } = bars({ train: 70, size: 20, channels: 3 });
    const { shape, data } = await meanImage(splits.train, 20, 3);
    expect(shape).toEqual([3, 20, 20]);
    const images = await Promise.all(Array.from({ length: 70 }, async (_, i) => (await splits.train.get(i)).image));
    for (const [c, y, x] of [
      [0, 0, 0],
      [1, 3, 11],
      [2, 19, 19],
    ]) {
      const exact = images.reduce((sum, { data }) => sum + data[(y * 20 + x) * 3 + c], 0) / 70;
      expect(data[(c * 20 + y) * 20 + x]).toBeCloseTo(exact, 4);
    }
  });

  it('may use a random sample, reports progress, and omits broken images', async () => {
    const told: number[] = [];
    const reported: string[] = [];
    const [first, ...others] = samplePlaces(8, 4);
    const broken = [first];
    const { splits } = bars({ train: 8, size: 20, broken });
    const { data } = await meanImage(splits.train, 20, 1, {
      examples: 4,
      onProgress: (done) => told.push(done),
      onBroken: (error) => reported.push(error.message),
    });
    const images = await Promise.all(others.map(async (i) => (await splits.train.get(i)).image.data[5]));
    expect(data[5]).toBeCloseTo((images[0] + images[1] + images[2]) / 3, 4);
    expect(told).toEqual([4]);
    expect(reported).toEqual([`image ${first} is broken`]);
    await expect(meanImage(splits.train, 20, 1)).rejects.toThrow(`image ${first} is broken`);
  });

  it('samples all classes of a list in which they alternate', async () => {
    // Images of class k have the value 100 k everywhere; evenly spaced places would meet class 0 only.
    const image = (value: number) => ({ width: 4, height: 4, channels: 1 as const, data: new Uint8Array(16).fill(value) });
    const length = 300;
    const split = {
      length,
      labels: Int32Array.from({ length }, (_, i) => i % 3),
      get: async (index: number) => ({ image: image(100 * (index % 3)), label: index % 3, index, name: `${index}` }),
    };
    const { data } = await meanImage(split, 4, 1, { examples: 100 });
    // The mean is 100, with a standard deviation of 7 of a sample of 100 of 300.
    expect(Math.abs(data[0] - 100)).toBeLessThan(35);
  });
});
