/** Looking into a run on the command line: `deconv` and `report`. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { decodePng } from '../../src/report/index.js';
import { CLASSES } from '../zfnet/support.js';
import { TINY, workplace, zfnet } from './support.js';

const place = workplace();
/** An image of the class whose images are 0, 3, 6, … of their split. */
const IMAGE = `bars/train/${CLASSES[0]}/0.png`;
const deconv = (...args: string[]) => zfnet(place.path, 'deconv', 'run', IMAGE, '--threads', '1', ...args);

beforeAll(async () => {
  const { status, stderr } = await zfnet(place.path, 'train', '--data', 'bars', '--out', 'run', '--epochs', '2', ...TINY);
  expect([stderr, status]).toEqual([expect.stringContaining('epoch 2/2'), 0]);
}, 60_000);

describe('deconv', () => {
  it('projects the strongest maps and reports their positions', async () => {
    const { status, stdout, stderr } = await deconv('--layer', 'conv2', '--strongest', '2', '--out', 'pictures/two.png', '--json');
    expect([stderr, status]).toEqual(['', 0]);
    const answer = JSON.parse(stdout);
    expect(answer).toMatchObject({ layer: 'conv2', mode: 'deconvnet', out: 'pictures/two.png' });
    expect(answer.maps.length).toBeGreaterThan(0);
    for (const { value, position, patch } of answer.maps) {
      expect(value).toBeGreaterThan(0);
      expect(position).toHaveLength(2);
      expect(patch[2] - patch[0]).toBeLessThanOrEqual(28);
    }
    const values = answer.maps.map(({ value }: { value: number }) => value);
    expect(values).toEqual([...values].sort((a, b) => b - a));
    const picture = decodePng(await readFile(join(place.path, 'pictures/two.png')));
    expect(Math.min(picture.width, picture.height)).toBeGreaterThan(100);
    // The picture has more shades than white and grey.
    expect(new Set(picture.data).size).toBeGreaterThan(20);
  });

  it('projects one position of one map, by each rule', async () => {
    const pictures = [];
    for (const mode of ['deconvnet', 'gradient', 'guided']) {
      const { status, stdout } = await deconv(
        '--layer',
        'fc8',
        '--map',
        '1',
        mode === 'guided' ? '--mode' : '--rules',
        mode,
        '--out',
        `${mode}.png`,
        '--json',
      );
      expect(status).toBe(0);
      expect(JSON.parse(stdout)).toMatchObject({ mode, maps: [{ map: 1, position: [0, 0], patch: [0, 0, 28, 28] }] });
      pictures.push((await readFile(join(place.path, `${mode}.png`))).toString('base64'));
    }
    expect(new Set(pictures).size).toBe(3);
    const { stdout } = await deconv('--layer', 'conv1', '--map', '0', '--position', '2,3', '--out', 'place.png', '--json');
    expect(JSON.parse(stdout)).toMatchObject({ maps: [{ position: [2, 3], patch: [0, 0, 6, 7] }] });
  });

  it.each([
    ['an unknown layer', ['--layer', 'conv9'], /no layer 'conv9'; the layers are conv1, relu1/],
    ['a map beyond the last', ['--layer', 'conv1', '--map', '99'], /map is 99, layer conv1 has maps 0 to/],
    ['a place beyond the edge', ['--layer', 'conv1', '--map', '0', '--position', '99,0'], /position is \[99, 0\]/],
    ['half a place', ['--layer', 'conv1', '--map', '0', '--position', '5'], /expected two whole numbers/],
    ['a place of no map', ['--layer', 'conv1', '--position', '1,1'], /give --map too/],
    ['one map and several', ['--layer', 'conv1', '--map', '0', '--strongest', '2'], /give one of them/],
    ['unknown rules', ['--layer', 'conv1', '--rules', 'strict'], /Expected one of deconvnet/],
    ['an unknown mode', ['--layer', 'conv1', '--mode', 'loud'], /Expected one of strict, fast/],
  ])('%s is wrong usage', async (_, args, message) => {
    const { status, stdout, stderr } = await deconv(...args, '--out', 'no.png');
    expect(stderr).toMatch(message);
    expect([status, stdout]).toEqual([2, '']);
  });

  it('names a file that is not an image, and a folder that is not a run', async () => {
    const image = await zfnet(place.path, 'deconv', 'run', 'run/config.json', '--layer', 'conv1', '--out', 'no.png');
    expect(image.stderr).toMatch(/config\.json: cannot be read as an image/);
    expect(image.status).toBe(1);
    const run = await zfnet(place.path, 'deconv', 'bars', IMAGE, '--layer', 'conv1', '--out', 'no.png');
    expect(run.stderr).toMatch(/bars is not a run/);
  });
});

describe('report', () => {
  it('writes the page into the run and reports the error rates', async () => {
    const { status, stdout, stderr } = await zfnet(place.path, 'report', 'run', '--threads', '1', '--json');
    // Only the table: no experiment was omitted.
    expect([stderr.replace(/ {2}top-1 error(.*\n){8}/, ''), status]).toEqual(['', 0]);
    const answer = JSON.parse(stdout);
    expect(answer).toMatchObject({ run: 'run', tests: [{ split: 'val', examples: 12, chance: 1 - 1 / CLASSES.length, chanceOfFive: 0 }] });
    const page = await readFile(join(place.path, answer.report), 'utf8');
    expect(page.startsWith('<!doctype html>')).toBe(true);
    for (const id of ['layer-conv5', 'filters-measured', 'evolve', 'occlude', 'invariance']) expect(page).toContain(`id="${id}"`);
  });
});
