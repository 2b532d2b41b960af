/** The experiments on single images on the command line: `occlude`, `invariance` and `correspond`. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { decodePng } from '../../src/report/index.js';
import { expectSafePage } from '../support/pages.js';
import { CLASSES } from '../zfnet/support.js';
import { TINY, workplace, zfnet } from './support.js';

const place = workplace();
const IMAGE = `bars/val/${CLASSES[0]}/0.png`;
const OTHERS = [`bars/val/${CLASSES[1]}/1.png`, `bars/val/${CLASSES[2]}/2.png`];
const run = (command: string, ...args: string[]) => zfnet(place.path, command, 'run', ...args, '--threads', '1', '--json');

beforeAll(async () => {
  const { status, stderr } = await zfnet(place.path, 'train', '--data', 'bars', '--out', 'run', '--epochs', '2', ...TINY);
  expect([stderr, status]).toEqual([expect.stringContaining('epoch 2/2'), 0]);
}, 60_000);

/** Runs a command that writes an experiment, and returns the JSON that it printed, which equals the file. */
async function experiment(name: string, command: string, ...args: string[]) {
  const { status, stdout, stderr } = await run(command, ...args);
  const said = args.includes('--data') ? /^bars is what the run was trained on: val consists of .*\n$/ : /^$/;
  expect([stderr, status]).toEqual([expect.stringMatching(said), 0]);
  const { files, ...numbers } = JSON.parse(stdout);
  const folder = args.includes('--out') ? args[args.indexOf('--out') + 1] : 'run/experiments';
  expect(files).toEqual(['png', 'html', 'json'].map((ending) => `${folder}/${name}.${ending}`));
  const [picture, page, json] = await Promise.all((files as string[]).map((file) => readFile(join(place.path, file))));
  expect(JSON.parse(json.toString())).toEqual(numbers);
  expect(decodePng(picture).width).toBeGreaterThan(300);
  expectSafePage(page.toString());
  expect(page.toString()).toContain(`npx zfnet ${command} run`);
  return numbers;
}

describe('occlude', () => {
  it('slides a square over an image', async () => {
    const found = await experiment(
      'occlude',
      'occlude',
      IMAGE,
      '--square',
      '10',
      '--stride',
      '9',
      '--class',
      CLASSES[1],
      '--layer',
      'conv2',
      '--map',
      '1',
    );
    expect(found).toMatchObject({ image: IMAGE, class: CLASSES[1], layer: 'conv2', map: 1, square: 10, stride: 9, incremental: true });
    expect(found.places).toEqual([0, 9, 18].flatMap((y) => [0, 9, 18].map((x) => [y, x])));
    for (const key of ['probability', 'label', 'activation']) expect(found[key]).toHaveLength(9);
    for (const label of found.label) expect(CLASSES).toContain(label);
    expect(found.grey).toBeGreaterThan(0);
  });

  it('accepts an image of the data, with its true class, and shows the map’s other images', async () => {
    const found = await experiment('occlude', 'occlude', '--index', '4', '--data', 'bars', '--square', '14', '--out', 'seen');
    expect(found).toMatchObject({ image: 'val 4', square: 14, stride: 7, layer: 'conv5' });
    expect(CLASSES).toContain(found.class);
    expect(await readFile(join(place.path, 'seen/occlude.html'), 'utf8')).toContain('The same map in other images');
  });

  it.each([
    ['a class that there is not', [IMAGE, '--class', 'nobody'], /there is no class 'nobody'; the run knows/],
    ['a square beyond the image', [IMAGE, '--square', '40'], /a square of 40 pixels does not fit an image of 28×28/],
    ['a layer that there is not', [IMAGE, '--layer', 'conv9'], /the layers are conv1/],
    ['an image and an index', [IMAGE, '--index', '1'], /not both/],
    ['an index beyond the last', ['--index', '99'], /val has images 0 to 11/],
    ['a layer for a whole split', ['--layer', 'conv1'], /--layer applies to one image/],
    ['data that knows no boxes', ['--data', 'bars'], /bars has no object boxes/],
  ])('%s is wrong usage', async (_, args, message) => {
    const { status, stdout, stderr } = await run('occlude', ...args);
    expect(stderr).toMatch(message);
    expect([status, stdout]).toEqual([2, '']);
  });
});

describe('invariance', () => {
  it('transforms images of the split, and files', async () => {
    const found = await experiment('invariance', 'invariance', '--images', '3');
    expect(found.images).toHaveLength(3);
    expect(found.layers).toEqual(['conv1', 'fc7']);
    for (const kind of ['translation', 'scale', 'rotation'])
      for (const { distance, relative, probability } of found[kind])
        for (const values of [distance.conv1, distance.fc7, relative.fc7, probability]) expect(values).toHaveLength(3);
    const files = await experiment('invariance', 'invariance', IMAGE, '--class', CLASSES[2], '--layers', 'conv3', '--out', 'moved');
    expect(files).toMatchObject({ images: [{ name: IMAGE, class: CLASSES[2] }], layers: ['conv3'], inputSize: 28 });
    expect(files.scale[0]).toMatchObject({ amount: 1, distance: { conv3: [0] } });
  });

  it('requires a class for each image, or none', async () => {
    const { status, stderr } = await run('invariance', IMAGE, OTHERS[0], '--class', CLASSES[0]);
    expect(stderr).toMatch(/--class is given 1 times for 2 images/);
    expect(status).toBe(2);
  });
});

describe('correspond', () => {
  it('masks the parts that are marked in a file', async () => {
    // The second file is beside the list, the first where the command is called; boxes are in pixels of the files.
    const box = (y: number, x: number) => [y, x, y + 9, x + 9];
    const images = [IMAGE, ...OTHERS].map((file, i) => ({
      file,
      parts: { start: box(2, 3 + i), end: box(18, 16 - i), lone: i === 0 ? box(0, 0) : undefined },
    }));
    await writeFile(join(place.path, 'parts.json'), JSON.stringify({ images }));
    const found = await experiment('correspond', 'correspond', '--parts', 'parts.json', '--layers', 'conv2,fc7', '--draws', '3');
    expect(found).toMatchObject({ layers: ['conv2', 'fc7'], source: 'parts.json', groups: [3], draws: 3 });
    expect(found.parts.map(({ part }: { part: string }) => part)).toEqual(['start', 'end', 'random']);
    for (const { delta } of found.parts) for (const layer of ['conv2', 'fc7']) expect(delta[layer].mean).toBeGreaterThan(0);
  });

  it('uses the faces of scenes', async () => {
    const found = await experiment('correspond', 'correspond', '--draws', '1', '--out', 'faces');
    expect(found.layers).toEqual(['conv5', 'fc7']);
    expect(found.parts.map(({ part }: { part: string }) => part)).toEqual(['right eye', 'left eye', 'nose', 'random']);
    expect(found.groups).toHaveLength(12);
  }, 30_000);

  it('writes a page for marking parts', async () => {
    const { status, stdout } = await run('correspond', IMAGE, OTHERS[0], '--mark', '--out', 'marked');
    expect([JSON.parse(stdout), status]).toEqual([{ files: ['marked/correspond-mark.html'] }, 0]);
    const page = await readFile(join(place.path, 'marked/correspond-mark.html'), 'utf8');
    expectSafePage(page);
    expect(page).toContain(`data-file="${IMAGE}"`);
    expect(page).toContain('data:image/webp;base64,');
  });

  it.each([
    ['a file that is not there', ['--parts', 'none.json'], /none\.json: cannot be read/],
    ['a file of something else', ['--parts', 'run/config.json'], /has no list of at least two images; expected/],
    ['images without --mark', [IMAGE], /images are marked first/],
    ['one image to mark', [IMAGE, '--mark'], /at least two/],
  ])('%s is wrong usage', async (_, args, message) => {
    const { status, stdout, stderr } = await run('correspond', ...args);
    expect(stderr).toMatch(message);
    expect([status, stdout]).toEqual([2, '']);
  });
});
