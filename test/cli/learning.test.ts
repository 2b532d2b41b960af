/** The experiments that train: their output, the arguments that they refuse, and resuming. */
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { TINY, workplace, zfnet } from './support.js';

const place = workplace();
const read = async (path: string) => JSON.parse(await readFile(join(place.path, path), 'utf8'));
const QUICK = ['--threads', '1', '--quiet', '--json'];

describe('experiments that train', () => {
  it('start from a run', async () => {
    const { status, stderr } = await zfnet(place.path, 'train', '--data', 'bars', '--out', 'first', '--epochs', '1', '--quiet', ...TINY);
    expect(stderr).toBe('');
    expect(status).toBe(0);
  });

  it('train --from --freeze keeps the lower layers, records it, and leaves a run like any other', async () => {
    const args = [
      'train',
      '--from',
      'first',
      '--freeze',
      'fc7',
      '--data',
      'bars',
      '--out',
      'second',
      '--epochs',
      '2',
      '--batch-size',
      '8',
      ...QUICK,
    ];
    const { status, stdout, stderr } = await zfnet(place.path, ...args);
    expect([stderr, status]).toEqual(['', 0]);
    expect(JSON.parse(stdout)).toMatchObject({ status: 'done', epoch: 2 });
    const config = await read('second/config.json');
    expect(config).toMatchObject({ from: 'first', freeze: 'conv1-fc7', training: { augment: 'none' } });
    expect(config.architecture).toEqual((await read('first/config.json')).architecture);
    const evaluated = await zfnet(place.path, 'evaluate', 'second', ...QUICK);
    expect(JSON.parse(evaluated.stdout).examples).toBe(12);
    const resumed = await zfnet(place.path, 'train', '--out', 'second', '--resume', '--freeze', 'fc7', '--epochs', '3', ...QUICK);
    expect(JSON.parse(resumed.stdout)).toMatchObject({ status: 'done', epoch: 3 });
  });

  it.each([
    [['--freeze', 'fc7'], /--freeze keeps trained layers: name the run/],
    [['--from', 'first', '--width', '0.5'], /leave out --width/],
    [['--from', 'first', '--freeze', 'fc8'], /leaves no layer to train/],
    [['--from', 'nowhere'], /nowhere is not a run/],
  ])('train refuses %j as wrong usage', async (args, message) => {
    const { status, stderr } = await zfnet(place.path, 'train', '--data', 'bars', '--out', 'third', ...args, ...QUICK);
    expect(stderr).toMatch(message);
    expect(status).toBe(2);
  });

  it('features writes one row per layer and classifier', async () => {
    const { status, stdout, stderr } = await zfnet(place.path, 'features', 'first', '--layers', 'conv1,fc7', ...QUICK);
    expect([stderr, status]).toEqual(['', 0]);
    const { files, ...numbers } = JSON.parse(stdout);
    expect(numbers).toEqual(await read('first/experiments/features.json'));
    expect(numbers).toMatchObject({ trainExamples: 36, valExamples: 12, classes: 3 });
    expect(numbers.rows.map(({ name }: { name: string }) => name)).toEqual(['svm conv1', 'softmax conv1', 'svm fc7', 'softmax fc7']);
    expect(files).toEqual(['png', 'html', 'json'].map((end) => `first/experiments/features.${end}`));
    expect(await readFile(join(place.path, files[1]), 'utf8')).toContain('How well each layer separates the classes');
    const wrong = await zfnet(place.path, 'features', 'first', '--layers', 'conv9', ...QUICK);
    expect([wrong.status, wrong.stderr]).toEqual([2, expect.stringContaining("there is no layer 'conv9'; the layers are conv1")]);
  });

  it('transfer trains on samples of images, and keeps finished folds', async () => {
    const args = ['transfer', 'first', '--data', 'bars', '--per-class', '2,4', '--folds', '2', '--steps', '4'];
    const { status, stdout, stderr } = await zfnet(place.path, ...args, ...QUICK);
    expect([stderr, status]).toEqual(['', 0]);
    const { files: _, ...numbers } = JSON.parse(stdout);
    expect(numbers).toEqual(await read('first/experiments/transfer.json'));
    expect(numbers).toMatchObject({ layer: 'fc7', split: 'train', testSplit: 'val', scratchSteps: 4, measure: 'accuracy' });
    const [kept] = numbers.rows;
    expect(numbers.rows).toHaveLength(4);
    expect(kept).toMatchObject({ perClass: 2, folds: 2, mean: expect.any(Number), deviation: expect.any(Number) });
    expect(kept.mean).toBeCloseTo(1 - kept.valTop1Error, 12);
    // The last line that a killed transfer wrote is cut off in the middle.
    const log = join(place.path, 'first/experiments/transfer-folds.jsonl');
    const lines = await readFile(log, 'utf8');
    expect(lines.trimEnd().split('\n')).toHaveLength(1 + 8);
    await rm(join(place.path, 'first/experiments/transfer.json'));
    await writeFile(log, lines.slice(0, -20));
    const again = await zfnet(place.path, ...args, '--threads', '1', '--verbose');
    expect(again.stderr).toContain('7 folds are finished already');
    expect(await read('first/experiments/transfer.json')).toEqual(numbers);
    const none = await zfnet(place.path, 'transfer', 'first', ...QUICK);
    expect([none.status, none.stderr]).toEqual([2, expect.stringContaining('give other images with --data')]);
  });

  it('ablate trains each variant once, by the recipe of a run', async () => {
    const args = ['ablate', 'first', '--only', 'zfnet', '--only', 'zfnet-fc-2048', '--input-size', '48', '--threads', '1'];
    const { status, stderr } = await zfnet(place.path, ...args);
    expect([status, stderr]).toEqual([0, expect.stringContaining('2/2 zfnet-fc-2048')]);
    const numbers = await read('first/experiments/ablate.json');
    expect(numbers.rows).toMatchObject([
      { name: 'zfnet', epochs: 1, paper: { train: 33.1, val1: 38.4, val5: 16.5 } },
      { name: 'zfnet-fc-2048', paper: { val1: 40.2 } },
    ]);
    expect((await read('first/experiments/runs/zfnet-fc-2048/config.json')).architecture).toMatchObject({
      preset: 'a',
      units: [2048, 2048],
    });
    const again = await zfnet(place.path, ...args);
    expect(again.stderr.match(/trained earlier/g)).toHaveLength(2);
    expect(await read('first/experiments/ablate.json')).toEqual(numbers);
    const wrong = await zfnet(place.path, 'ablate', '--only', 'zfnet-without-1', ...QUICK);
    expect([wrong.status, wrong.stderr]).toEqual([
      2,
      expect.stringContaining("there is no variant 'zfnet-without-1'; the variants are alexnet"),
    ]);
  });
});
