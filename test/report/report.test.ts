/** The page as a whole, for a tiny network on a synthetic data set: complete, self-contained and accessible. */
import { parseHTML } from 'linkedom';
import { beforeAll, describe, expect, it } from 'vitest';
import { createReferenceBackend } from '../../src/backend/reference/index.js';
import type { Dataset, Image } from '../../src/data/index.js';
import type { MapActivations } from '../../src/deconv/index.js';
import { memory } from '../../src/index.js';
import { buildReport, chooseMaps, predictSplit, type ReportInput } from '../../src/report/index.js';
import { escapeHtml, html, trusted, writeHtml } from '../../src/report/page/html.js';
import { composition, percent } from '../../src/report/page/words.js';
import { setDefaultBackend } from '../../src/tensor/index.js';
import { Preprocess, zfnet } from '../../src/zfnet/index.js';
import { noiseSplit } from '../deconv/support.js';
import { collectGarbage } from '../support/gc.js';

const CLASSES = ['alarm-clock', 'dog <face>', 'cat'];

function dataset(): Dataset {
  return {
    name: 'noise',
    classes: CLASSES,
    channels: 3,
    splits: { train: noiseSplit(12, 32, 32, 1), val: noiseSplit(12, 32, 32, 2) },
    imageSize: [32, 32],
    credits: [{ title: 'Noise & more', author: 'A. "Nobody"', license: 'CC0-1.0', url: 'https://example.org/?a=1&b=2' }],
    fingerprint: '0'.repeat(16),
    warnings: [],
  };
}

async function input(): Promise<ReportInput> {
  const model = zfnet('small', { classes: 3, inputSize: 28, width: 0.04, seed: 3 });
  const preprocess = new Preprocess({ inputSize: 28, side: 32, channels: 3, scale: 1 / 64 });
  const data = dataset();
  const metric = (epoch: number) => ({
    epoch,
    step: epoch * 10,
    lr: epoch < 3 ? 0.02 : 0.002,
    trainLoss: 1 / epoch,
    trainTop1Error: 0.5 / epoch,
    valTop1Error: 0.6 / epoch,
    valTop5Error: 0,
    imagesPerSecond: 100,
  });
  return {
    model,
    preprocess,
    dataset: data,
    metrics: [1, 2, 3, 4].map(metric),
    predictions: { val: await predictSplit({ model, preprocess, classes: CLASSES }, data.splits.val, { batchSize: 7 }) },
    baselines: [{ name: 'Guessing', description: 'any class', top1Error: { val: 2 / 3 } }],
    training: { examples: 12, seconds: 75, engine: 'one thread' },
    command: 'npx zfnet demo --out "a & b"',
    mapsPerLayer: 1,
  };
}

describe('the page', () => {
  let text = '';
  let document: Document;
  let held = 0;
  beforeAll(async () => {
    setDefaultBackend(createReferenceBackend());
    const given = await input();
    await collectGarbage(); // Tensors that earlier tests left behind would be freed in between.
    const before = memory().bytes;
    text = await buildReport(given);
    held = memory().bytes - before;
    document = parseHTML(text).document as unknown as Document;
  }, 60_000);

  const all = (selector: string) => Array.from(document.querySelectorAll(selector));

  it('loads nothing: no script, no link, no address but data', () => {
    expect(all('script, iframe, object, embed, video, audio, base')).toHaveLength(0);
    expect(all('link').map((link) => link.getAttribute('href'))).toEqual(['data:,']);
    for (const element of all('[src], [srcset], [poster], image, use')) {
      const address = element.getAttribute('src') ?? element.getAttribute('href') ?? '';
      expect(address.slice(0, 22)).toBe('data:image/png;base64,');
    }
    const css = all('style, [style]').map(
      (element) => `${element.tagName === 'STYLE' ? element.textContent : ''}${element.getAttribute('style') ?? ''}`,
    );
    for (const each of css) expect(each).not.toMatch(/@import|url\(/);
    // Links may point to other sites, because they load nothing unless they are followed.
    const links = all('a[href^="http"]').map((link) => link.getAttribute('href') ?? '');
    const addresses = text.replace(/data:image\/png;base64,[^"]*/g, '').match(/\bhttps?:[^"'\s]+/g) ?? [];
    expect(addresses.map((address) => address.replaceAll('&amp;', '&')).filter((address) => !links.includes(address))).toEqual([]);
  });

  it('describes every image and chart', () => {
    expect(all('img').length).toBeGreaterThan(10);
    // The two pictures of a closed map have no alternative text besides its caption.
    for (const image of all('img')) expect((image.getAttribute('alt') ?? '').length > 5 || image.closest('summary') !== null).toBe(true);
    const charts = all('svg');
    expect(charts.length).toBe(3);
    for (const chart of charts) {
      expect(chart.getAttribute('role')).toBe('img');
      expect((chart.getAttribute('aria-label') ?? '').length).toBeGreaterThan(20);
    }
    for (const cell of all('.cell[tabindex]')) expect(cell.getAttribute('aria-label')).toBe(cell.getAttribute('data-tip'));
  });

  it('has one title, headings that skip no level, and unique ids', () => {
    const levels = all('h1, h2, h3, h4, h5, h6').map((heading) => Number(heading.tagName[1]));
    expect(levels.filter((level) => level === 1)).toHaveLength(1);
    expect(levels[0]).toBe(1);
    levels.slice(1).forEach((level, i) => {
      expect(level - levels[i]).toBeLessThanOrEqual(1);
    });
    const ids = all('[id]').map((element) => element.id);
    expect(new Set(ids).size).toBe(ids.length);
    for (const link of all('a[href^="#"]')) expect(ids).toContain(link.getAttribute('href')?.slice(1));
    for (const part of all('[aria-labelledby]')) expect(ids).toContain(part.getAttribute('aria-labelledby'));
  });

  it('has a language, a view for phones, both colour schemes', () => {
    expect(document.documentElement.getAttribute('lang')).toBe('en');
    expect(document.querySelector('meta[name=viewport]')?.getAttribute('content')).toContain('width=device-width');
    expect(text.includes('prefers-color-scheme: dark')).toBe(true);
    expect(document.title.length).toBeGreaterThan(5);
  });

  it('shows all five convolution layers, with nine pictures in three modes and nine image patches for each map', () => {
    expect(all('.layer h3').map((heading) => heading.textContent)).toEqual(['conv1', 'conv2', 'conv3', 'conv4', 'conv5']);
    const ways = all('.switch input').map((input) => input.getAttribute('value'));
    expect(ways).toEqual(['deconvnet', 'gradient', 'guided']);
    for (const map of all('details > .map')) {
      const sheets = Array.from(map.querySelectorAll('.sheet'), (sheet) => sheet.querySelectorAll('.cell').length);
      expect(sheets).toEqual([9, 9, 9, 9]);
      expect(Array.from(map.querySelectorAll('.way'), (way) => way.getAttribute('data-way'))).toEqual(ways);
    }
    expect(all('.map').length).toBeGreaterThan(2);
  });

  it('escapes text from outside', () => {
    expect(all('face, i')).toHaveLength(0);
    expect(all('.tile figcaption').map((caption) => caption.textContent)).toEqual(['alarm clock', 'dog <face>', 'cat']);
    expect(document.querySelector('.credits a')?.getAttribute('href')).toBe('https://example.org/?a=1&b=2');
    expect(document.querySelector('pre')?.textContent).toBe('npx zfnet demo --out "a & b"');
  });

  it('mentions dropout if the network has some', async () => {
    const tells = (page: string) => page.includes('switched off at random (dropout)');
    expect(tells(text)).toBe(true);
    const model = zfnet('small', { classes: 3, inputSize: 28, width: 0.04, seed: 3, dropout: 0 });
    expect(tells(await buildReport({ ...(await input()), model }))).toBe(false);
  });

  it('frees its memory', () => {
    expect(held).toBe(0);
  });
});

describe('chooseMaps', () => {
  const map = (number: number, ninth: number, mean: number, images: number[]): MapActivations => ({
    map: number,
    strongest: images.map((index, i) => ({ index, value: ninth + images.length - 1 - i, position: [0, 0], patch: [0, 0, 1, 1] })),
    mean,
    active: ninth > 0 ? 1 : 0,
  });
  const run = (from: number) => Array.from({ length: 9 }, (_, i) => from + i);
  /** Ten images of each class. */
  const labelOf = (index: number) => Math.floor(index / 10);

  it('chooses the most selective maps first, and dead ones never', () => {
    const maps = [map(0, 4, 2, run(0)), map(1, 9, 1, run(10)), map(2, 0, 0, run(20)), map(3, 5, 1, run(30))];
    expect(chooseMaps(maps, 4, labelOf).map((m) => m.map)).toEqual([1, 3, 0]);
  });

  it('prefers maps with other images and other classes, and falls back to the rest', () => {
    const twins = [map(0, 9, 1, run(0)), map(1, 8, 1, run(1)), map(2, 3, 1, run(20)), map(3, 2, 1, [10, 11, 12, 30, 31, 32, 40, 41, 42])];
    expect(chooseMaps(twins, 3, labelOf).map((m) => m.map)).toEqual([0, 2, 3]);
    expect(chooseMaps(twins, 4, labelOf).map((m) => m.map)).toEqual([0, 2, 3, 1]);
  });
});

describe('words', () => {
  it('say which classes', () => {
    expect(composition([1, 1, 1], CLASSES)).toBe('3 of 3 dog <face>');
    expect(composition([0, 0, 2], CLASSES)).toBe('2 of 3 alarm clock, also cat');
    expect(composition([0, 1, 2], CLASSES)).toBe('from 3 classes');
  });

  it('say shares', () => {
    expect(['0', '0.0123', '0.0999', '0.954', '1'].map((share) => percent(Number(share)).replace('\u00a0', ' '))).toEqual([
      '0 %',
      '1.2 %',
      '10 %',
      '95 %',
      '100 %',
    ]);
  });

  it('escape in templates, but for HTML and pictures', async () => {
    expect(escapeHtml(`<a b="c" d='e'>&`)).toBe('&lt;a b=&quot;c&quot; d=&#39;e&#39;&gt;&amp;');
    const picture: Image = { width: 2, height: 1, channels: 1, data: Uint8Array.of(1, 2) };
    const content = html`<p title="${'"'}">${['<', html`<b>${1}</b>`, null, false, undefined]}${trusted('<i>')}<img src="${picture}"></p>`;
    const text = await writeHtml(content, async ({ width, height }) => `${width}×${height}`);
    expect(text).toBe('<p title="&quot;">&lt;<b>1</b><i><img src="2×1"></p>');
  });
});
