/** The experiments on feature maps on the command line: `top9`, `evolve`, `filters` and `ascend`. */
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { decodePng } from '../../src/report/index.js';
import { expectSafePage } from '../support/pages.js';
import { TINY, workplace, zfnet } from './support.js';

const place = workplace();
const run = (...args: string[]) => zfnet(place.path, ...args, '--threads', '1');
const fileOf = (...parts: string[]) => join(place.path, ...parts);
const json = async (...parts: string[]) => JSON.parse(await readFile(fileOf(...parts), 'utf8'));
const pixels = async (...parts: string[]) => decodePng(await readFile(fileOf(...parts)));

beforeAll(async () => {
  for (const [out, seed] of [
    ['run', '1'],
    ['other', '2'],
  ]) {
    const { status, stderr } = await zfnet(place.path, 'train', '--data', 'bars', '--out', out, '--epochs', '3', '--seed', seed, ...TINY);
    expect([stderr, status]).toEqual([expect.stringContaining('epoch 3/3'), 0]);
  }
}, 120_000);

describe('top9', () => {
  it('finds the strongest activations of all convolutions, and writes JSON, pictures and a page', async () => {
    const { status, stdout, stderr } = await run('top9', 'run', '--json');
    expect([stderr, status]).toEqual(['', 0]);
    const answer = JSON.parse(stdout);
    const { files, ...numbers } = answer;
    expect(numbers).toEqual(await json('run/experiments/top9.json'));
    expect(numbers).toMatchObject({ split: 'val', images: 12, layer: 'conv1' });
    expect(numbers.layers.map(({ layer }: { layer: string }) => layer)).toEqual(['conv1', 'conv2', 'conv3', 'conv4', 'conv5']);
    expect(numbers.maps).toEqual(numbers.layers[0].maps);
    for (const { maps } of numbers.layers) {
      for (const { strongest } of maps) {
        expect(strongest).toHaveLength(9);
        const values = strongest.map(({ value }: { value: number }) => value);
        expect(values).toEqual([...values].sort((a, b) => b - a));
        for (const { index, position, patch } of strongest) {
          expect(index).toBeLessThan(12);
          expect(position).toHaveLength(2);
          expect(patch[2] - patch[0]).toBeGreaterThan(0);
        }
      }
    }
    expect(files).toHaveLength(7);
    const sheet = await pixels('run/experiments/top9-conv5.png');
    expect(new Set(sheet.data).size).toBeGreaterThan(20);
    const page = await readFile(fileOf('run/experiments/top9.html'), 'utf8');
    expectSafePage(page);
    expect(page).toContain('<h3>conv5</h3>');
  });

  it('warns of a damaged cache and computes the strongest activations again', async () => {
    const question = ['top9', 'run', '--json', '--layers', 'conv2', '--maps', '0-3', '--out'];
    expect((await run(...question, 'sound')).status).toBe(0);
    const cache = fileOf('run/experiments/top9-cache');
    for (const name of await readdir(cache)) {
      const bytes = await readFile(join(cache, name));
      // A digit of a value is still JSON, so only the checksum can tell.
      const at = bytes.lastIndexOf('1');
      bytes[at] = '2'.charCodeAt(0);
      await writeFile(join(cache, name), bytes);
    }
    const again = await run(...question, 'again');
    expect([again.status, again.stderr]).toEqual([0, expect.stringContaining('is damaged')]);
    expect(await json('again/top9.json')).toEqual(await json('sound/top9.json'));
  });

  it('uses its cache the second time, and computes again if the options differ', async () => {
    const cache = async () => (await readdir(fileOf('run/experiments/top9-cache'))).length;
    const once = await run('top9', 'run', '--json', '--layers', 'conv3', '--maps', '0-2,4', '--out', 'first');
    const kept = await cache();
    const again = await run('top9', 'run', '--json', '--layers', 'conv3', '--maps', '0-2,4', '--out', 'second');
    expect(await cache()).toBe(kept);
    expect(await json('second/top9.json')).toEqual(await json('first/top9.json'));
    expect(JSON.parse(again.stdout).maps.map(({ map }: { map: number }) => map)).toEqual([0, 1, 2, 4]);
    expect([once.status, again.status]).toEqual([0, 0]);
    await run('top9', 'run', '--layers', 'conv3', '--maps', '0-2,4', '--images', '10', '--out', 'second');
    expect(await cache()).toBe(kept + 1);
    expect((await json('second/top9.json')).images).toBe(10);
  });

  it('shows the three modes side by side', async () => {
    const { status } = await run('top9', 'run', '--layers', 'conv2', '--maps', '0', '--rules', 'all', '--out', 'modes');
    expect(status).toBe(0);
    expect((await json('modes/top9.json')).modes).toEqual(['deconvnet', 'gradient', 'guided']);
    const page = await readFile(fileOf('modes/top9.html'), 'utf8');
    for (const way of ['deconvnet', 'gradient', 'guided']) expect(page).toContain(`<small>${way}</small>`);
    await run('top9', 'run', '--layers', 'conv2', '--maps', '0', '--out', 'one');
    expect((await pixels('modes/top9-conv2.png')).width).toBeGreaterThan(1.5 * (await pixels('one/top9-conv2.png')).width);
  });
});

describe('evolve', () => {
  it('compares the checkpoints, by the old spellings of its options too', async () => {
    const { status, stdout, stderr } = await run(
      'evolve',
      'run',
      '--examples',
      '20',
      '--layer',
      'conv1',
      '--layer',
      'conv5',
      '--out',
      'evolved',
      '--json',
    );
    expect([stderr, status]).toEqual(['', 0]);
    const { files, ...numbers } = JSON.parse(stdout);
    expect(numbers).toEqual(await json('evolved/evolve.json'));
    expect(numbers).toMatchObject({ epochs: [1, 2, 3], split: 'train', images: 20 });
    expect(numbers.layers.map(({ layer }: { layer: string }) => layer)).toEqual(['conv1', 'conv5']);
    for (const { maps, likeness } of numbers.layers) {
      expect(likeness[2]).toBeCloseTo(1, 6);
      for (const { strongest } of maps) expect(strongest.map(({ epoch }: { epoch: number }) => epoch)).toEqual([1, 2, 3]);
    }
    expect(files.map((file: string) => file.replace(/^evolved\//, ''))).toEqual([
      'evolve-conv1.png',
      'evolve-conv5.png',
      'evolve-settling.png',
      'evolve.html',
      'evolve.json',
    ]);
  });
});

describe('filters', () => {
  it('measures the first layer, alone and compared with another run', async () => {
    const { status, stdout, stderr } = await run('filters', 'run', '--compare', 'other', '--out', 'filtered', '--json');
    expect([stderr, status]).toEqual(['', 0]);
    const { files, compare, ...numbers } = JSON.parse(stdout);
    for (const [name, each] of [
      ['run', numbers],
      ['other', compare],
    ]) {
      expect(each).toMatchObject({ run: name, layer: 'conv1', kernel: [7, 7], stride: [1, 1], images: 12, aliasing: 0 });
      expect(each.maps.length).toBeGreaterThan(0);
      for (const { rms, frequency, active } of each.maps) {
        expect(rms).toBeGreaterThan(0);
        expect(frequency).toBeLessThan(0.71);
        expect(active).toBeLessThanOrEqual(1);
      }
      expect(each.coverage.low + each.coverage.mid + each.coverage.high).toBeCloseTo(1, 10);
    }
    expect(numbers.maps).not.toEqual(compare.maps);
    expect(files).toHaveLength(6);
    expect(await readFile(fileOf('filtered/filters.html'), 'utf8')).toContain('The filters of the first layers, side by side');
  });
});

interface Ascended {
  map: number;
  value: number;
  realValue: number;
}

describe('ascend', () => {
  it('makes pictures and lists dead maps', async () => {
    const { status, stdout, stderr } = await run('ascend', 'run', '--layers', 'fc8,conv5', '--steps', '5', '--out', 'climbed', '--json');
    expect([stderr, status]).toEqual(['', 0]);
    const { files, ...numbers } = JSON.parse(stdout);
    expect(numbers).toEqual(await json('climbed/ascend.json'));
    expect(numbers).toMatchObject({ layer: 'fc8', settings: { steps: 5, seed: 0 }, layers: [{ layer: 'fc8' }, { layer: 'conv5' }] });
    expect(numbers.maps.map(({ map }: { map: number }) => map)).toEqual([0, 1, 2]);
    for (const { maps, dead } of numbers.layers)
      expect(dead).toEqual(maps.filter(({ realValue }: Ascended) => realValue <= 0).map(({ map }: Ascended) => map));
    for (const { maps, stronger } of numbers.layers) {
      expect(stronger).toBe(maps.filter(({ value, realValue }: Ascended) => value > realValue).length);
      for (const { realIndex } of maps) expect(Number.isInteger(realIndex)).toBe(true);
    }
    expect(numbers).toMatchObject({ measure: 'maximum', split: 'val' });
    expect(files).toHaveLength(4);
  });
});

describe('wrong usage', () => {
  it.each([
    ['an unknown layer', ['top9', 'run', '--layers', 'conv9'], /no layer 'conv9'; the layers are conv1, relu1/],
    [
      'maps beyond the last',
      ['top9', 'run', '--layers', 'conv1', '--maps', '900-902'],
      /layer conv1 has maps 0 to \d+, none of 900, 901, 902/,
    ],
    ['no list of maps', ['top9', 'run', '--maps', '7-3'], /Expected numbers such as 0-7/],
    ['an unknown split', ['top9', 'run', '--split', 'test'], /no split 'test'; it has train, val/],
    ['an epoch that is not there', ['evolve', 'run', '--epochs', '1,9'], /no checkpoint of epoch 9; it has 1, 2, 3/],
    ['one epoch', ['evolve', 'run', '--epochs', '2'], /at least two are needed/],
    ['no run', ['filters', 'bars'], /bars is not a run/],
    ['a rate of 0', ['ascend', 'run', '--rate', '0'], /above 0/],
  ])('%s', async (_, args, message) => {
    const { status, stdout, stderr } = await run(...args);
    expect(stderr).toMatch(message);
    expect([status, stdout]).toEqual([2, '']);
  });
});
