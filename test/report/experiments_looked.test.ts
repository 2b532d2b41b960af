/** The sections and figures of occlusion, invariance and correspondence, from invented numbers. */
import { parseHTML } from 'linkedom';
import { describe, expect, it } from 'vitest';
import type { Image } from '../../src/data/index.js';
import {
  correspondExperiment,
  type Experiment,
  experimentPage,
  invarianceExperiment,
  markingPage,
  occludeBoxesExperiment,
  occludeExperiment,
} from '../../src/report/index.js';

const CLASSES = ['dog-face', 'cat <face>', 'frog'];
const image = (seed: number): Image => ({
  width: 8,
  height: 8,
  channels: 3,
  data: Uint8Array.from({ length: 192 }, (_, i) => (i * seed * 37) % 251),
});

async function look(experiment: Experiment) {
  const text = await experimentPage(experiment, 'npx zfnet …');
  const { document } = parseHTML(text);
  const { '': figure } = experiment.pictures as Record<string, { svg: string }>;
  expect(text).not.toMatch(/NaN|undefined|Infinity|\[object/);
  expect(figure.svg).toMatch(/^<svg xmlns=/);
  expect(figure.svg).not.toMatch(/NaN|undefined|var\(/);
  // Charts have a description for screen readers.
  for (const drawing of Array.from(document.querySelectorAll('svg')))
    expect(drawing.getAttribute('aria-label')!.length).toBeGreaterThan(30);
  for (const picture of Array.from(document.querySelectorAll('img'))) expect(picture.getAttribute('alt')).toBeTruthy();
  expect(JSON.parse(JSON.stringify(experiment.numbers))).toEqual(experiment.numbers);
  return { document, body: document.querySelector('main')!.textContent!.replace(/\s+/g, ' '), figure: figure.svg };
}

describe('occlude', () => {
  const places: [number, number][] = [
    [0, 0],
    [0, 4],
    [4, 0],
    [4, 4],
  ];
  const occlusion = {
    places,
    grid: [2, 2] as [number, number],
    label: 0,
    clean: { probability: 0.9, label: 0, activation: 7 },
    probability: [0.8, 0.9, 0.9, 0.1],
    labels: [0, 0, 0, 1],
    activation: [6, 7, 6.5, 1.25],
    incremental: true,
    layer: 'conv5',
    map: 3,
  };
  const input = { occlusion, image: image(1), name: 'a.png', isTruth: true, classes: CLASSES, square: 4, stride: 4, grey: 120 };

  it('reports where the probability falls', async () => {
    const experiment = occludeExperiment({ ...input, projection: new Float32Array(192).fill(0.5) });
    const { body, document, figure } = await look(experiment);
    expect(body).toContain('With the square at the bottom on the right it drops to 10 %');
    expect(body).toContain('At 25 % of the positions the prediction changes (to cat <face>)');
    expect(body).toContain('1.25 (dark) to 7.00 (bright)');
    expect(document.querySelectorAll('.panels figure')).toHaveLength(5);
    // Four positions in each of three maps, in the page and in the figure.
    expect(document.querySelectorAll('.panels svg rect')).toHaveLength(12);
    expect(figure.match(/<rect /g)!.length).toBe(12 + 1 + 2);
    expect(experiment.numbers).toMatchObject({
      class: 'dog-face',
      label: ['dog-face', 'dog-face', 'dog-face', 'cat <face>'],
      places,
      grey: 120,
      map: 3,
    });
  });

  it('says so if nothing falls, and if whole images were computed', async () => {
    const flat = { ...occlusion, probability: [0.9, 0.9, 0.9, 0.9], labels: [0, 0, 0, 0], incremental: false };
    const { body } = await look(occludeExperiment({ ...input, occlusion: flat, projection: new Float32Array(192) }));
    expect(body).toContain('It is the same with the square at every position.');
    expect(body).toContain('The prediction is the same at every position.');
    expect(body).toContain('Every covered image was computed in full');
  });

  it('compares the drop with the boxes', async () => {
    const shares = [
      { index: 0, drop: 0.9, area: 0.5 },
      { index: 1, drop: 0.2, area: 0.25 },
      { index: 2, drop: null, area: 0.5 },
    ];
    const numbers = { images: 3, fell: 2, shares, drop: { mean: 0.55, deviation: 0.5 }, area: { mean: 0.375, deviation: 0.1 } };
    const { body, document } = await look(
      occludeBoxesExperiment({ data: 'scenes', split: 'val', square: 4, stride: 2, grey: 99, ...numbers }),
    );
    expect(body).toContain('On average 55 % of the drop lies inside the box, more than the share of the area, 38 %.');
    expect(body).toContain('In 1 of 2 images the share of the drop is larger than that of the area.');
    expect(body).toContain('In 1 image the probability dropped at no position');
    expect(document.querySelectorAll('.single svg circle')).toHaveLength(3);
  });
});

describe('invariance', () => {
  const step = (amount: number, d: number) => ({
    amount,
    distance: { conv1: [10 * d, 20 * d], fc7: [d, 2 * d] },
    relative: { conv1: [d, d / 2], fc7: [d / 4, d / 8] },
    probability: [1 - d, 1 - d / 2],
  });
  const numbers = {
    images: [
      { name: 'val/1', class: 'dog-face' },
      { name: 'b & c', class: 'frog' },
    ],
    inputSize: 80,
    layers: ['conv1', 'fc7'],
    translation: [step(-4, 0.8), step(0, 0), step(2, 0.4)],
    scale: [step(1, 0), step(1.5, 0.5)],
    rotation: [step(0, 0), step(180, 0.9), step(360, 0)],
  };

  it('is a figure of nine panels, made from the numbers alone', async () => {
    const { body, document, figure } = await look(invarianceExperiment(numbers));
    expect(document.querySelectorAll('.panels.wide figure')).toHaveLength(9);
    // Two images, one line per image in every panel.
    expect(figure.match(/stroke="#4269d0"/g)).toHaveLength(9);
    expect(figure.match(/stroke="#efb118"/g)).toHaveLength(9);
    expect(body).toContain(
      'by 2 pixels downwards, the smallest step, the images have features that differ by 30 % of their norm in conv1 and 7.5 % of their norm in fc7.',
    );
    expect(body).toContain('smallest at 180 degrees: 33 %');
    expect(figure).toContain('frog (b &amp; c)');
    expect(document.querySelectorAll('img')).toHaveLength(0);
  });

  it('shows the images if they are available', async () => {
    const moved = [{ image: image(2), words: 'moved' }];
    const pictures = { images: [image(1), image(2)], moved: { translation: moved, scale: moved, rotation: moved } };
    const { document } = await look(invarianceExperiment(numbers, pictures));
    expect(document.querySelectorAll('img')).toHaveLength(5);
  });
});

describe('correspond', () => {
  const delta = (conv5: number, fc7: number) => ({ conv5: { mean: conv5, deviation: 0.01 }, fc7: { mean: fc7, deviation: 0.02 } });
  const numbers = {
    source: 'scenes',
    grey: 120,
    layers: ['conv5', 'fc7'],
    parts: [
      { part: 'right eye', delta: delta(0.05, 0.3) },
      { part: 'nose', delta: delta(0.06, 0.1) },
      { part: 'random', delta: delta(0.1, 0.2) },
    ],
    groups: [5, 5],
    draws: 10,
  };

  it('shows the paper’s table beside it', async () => {
    const masked = [
      [
        { image: image(1), words: 'nose of a dog' },
        { image: image(2), words: 'nose of a cat' },
      ],
    ];
    const { body, document } = await look(correspondExperiment(numbers, masked));
    const rows = Array.from(document.querySelectorAll('tbody tr')).map((row) => Array.from(row.children).map((cell) => cell.textContent));
    expect(rows[0]).toEqual(['right eye', '0.050 ± 0.010', '0.300 ± 0.020', '0.067 ± 0.007', '0.069 ± 0.015']);
    expect(rows[2]).toEqual(['random', '0.100 ± 0.010', '0.200 ± 0.020', '0.107 ± 0.017', '0.073 ± 0.014']);
    expect(body).toContain('In conv5, every part changes the features more alike on average than random masks do.');
    expect(body).toContain('In fc7, nose changes the features more alike on average than random masks do; right eye less alike.');
    expect(document.querySelectorAll('.sheet .cell')).toHaveLength(2);
  });

  it('has a page for marking parts', async () => {
    const text = await markingPage(
      [{ file: 'a "b".png', width: 300, height: 200, picture: 'data:image/png;base64,AA' }],
      ['left eye', 'nose'],
      'npx zfnet correspond run --parts parts.json',
    );
    const { document } = parseHTML(text);
    const area = document.querySelector('.markable')!;
    expect([
      area.getAttribute('data-file'),
      area.getAttribute('data-width'),
      area.getAttribute('data-height'),
      area.getAttribute('tabindex'),
    ]).toEqual(['a "b".png', '300', '200', '0']);
    expect(Array.from(document.querySelectorAll('[name=part]')).map((input) => input.getAttribute('value'))).toEqual(['left eye', 'nose']);
    // The script is complete, and nothing is loaded from other sites.
    expect(() => new Function(document.querySelector('script')!.textContent!)).not.toThrow();
    expect(text).not.toMatch(/(src|href)="https?:/);
  });
});
