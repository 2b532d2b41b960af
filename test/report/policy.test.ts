/** Every page builder with hostile names of classes, layers, images, runs and sources: a policy in the page, and no name becomes markup. */
import { parseHTML } from 'linkedom';
import { beforeAll, describe, expect, it } from 'vitest';
import { createReferenceBackend } from '../../src/backend/reference/index.js';
import type { Dataset, Image } from '../../src/data/index.js';
import { evolution, projectEvolution, topActivations } from '../../src/deconv/index.js';
import { Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sequential } from '../../src/nn/index.js';
import {
  ablateExperiment,
  ascendExperiment,
  buildReport,
  correspondExperiment,
  type Experiment,
  evolveExperiment,
  experimentPage,
  featuresExperiment,
  filtersExperiment,
  inputOf,
  invarianceExperiment,
  markingPage,
  occludeBoxesExperiment,
  occludeExperiment,
  top9Experiment,
  trainingPage,
  transferExperiment,
} from '../../src/report/index.js';
import { html, script } from '../../src/report/page/html.js';
import { page } from '../../src/report/page/page.js';
import { setDefaultBackend } from '../../src/tensor/index.js';
import { Preprocess, trainingOptions } from '../../src/zfnet/index.js';
import { fillWithNoise, noiseSplit } from '../deconv/support.js';
import { expectSafePage, HOSTILE } from '../support/pages.js';

beforeAll(() => setDefaultBackend(createReferenceBackend()));

const [NAME, OTHER, CLOSING, STYLED] = HOSTILE;
const CLASSES = [NAME, CLOSING, OTHER];
const SIDE = 12;

const image = (seed: number): Image => ({
  width: SIDE,
  height: SIDE,
  channels: 3,
  data: Uint8Array.from({ length: SIDE * SIDE * 3 }, (_, i) => (i * seed * 37) % 251),
});

/** A network whose layers have hostile names. */
const network = () =>
  fillWithNoise(
    new Sequential({
      [NAME]: new Conv2d(3, 3, 3, { padding: 1 }),
      relu1: new ReLU(),
      pool1: new MaxPool2d(2),
      [CLOSING]: new Conv2d(3, 4, 3, { padding: 1 }),
      relu2: new ReLU(),
      flatten: new Flatten(),
      [OTHER]: new Linear(4 * 36, 3),
    }),
    3,
  ).eval();

const preprocess = new Preprocess({ inputSize: SIDE, side: SIDE, channels: 3, scale: 1 / 64 });

function dataset(): Dataset {
  return {
    name: NAME,
    classes: CLASSES,
    channels: 3,
    splits: { train: noiseSplit(6, SIDE, SIDE, 1), [CLOSING]: noiseSplit(6, SIDE, SIDE, 2) },
    imageSize: [SIDE, SIDE],
    credits: [
      { title: NAME, author: CLOSING, license: OTHER, url: 'javascript:alert(1)' },
      { title: NAME, author: CLOSING, license: OTHER, url: 'https://example.org/?a="><script>alert(1)</script>' },
    ],
    fingerprint: '0',
    warnings: [],
  };
}

const found = (layers: string[]) =>
  topActivations(network(), noiseSplit(6, SIDE, SIDE, 2), { layers, count: 3, preprocess: (batch) => inputOf(preprocess, batch) });

const spread = { mean: 0.4, deviation: 0.1 };
const errors = { trainTop1Error: 0.1, valTop1Error: 0.5, valTop5Error: 0.2 };

const EXPERIMENTS: Record<string, () => Experiment | Promise<Experiment>> = {
  ablate: () =>
    ablateExperiment({
      rows: [
        { name: 'zfnet', title: NAME, preset: 'a', parameters: 9, epochs: 1, ...errors, paper: { train: 1, val1: 2, val5: 3 } },
        { name: 'x', title: CLOSING, preset: 'a', parameters: 9, epochs: 1, ...errors, paper: { train: 1, val1: 2, val5: 3 } },
      ],
      source: NAME,
      trainExamples: 9,
      valExamples: 9,
      classes: 3,
      inputSize: 80,
      width: 1,
    }),
  ascend: () =>
    ascendExperiment({
      preprocess,
      found: {
        [NAME]: [{ map: 0, value: 1, start: 'noise', picture: new Float32Array(3 * SIDE * SIDE) }],
        [OTHER]: [{ map: 0, value: 1, start: 'image', picture: new Float32Array(3 * SIDE * SIDE) }],
      },
      real: {
        split: CLOSING,
        images: 6,
        strongest: {
          [NAME]: [{ map: 0, value: 2, index: 1, image: image(1), class: CLOSING }],
          [OTHER]: [{ map: 0, value: 0.5, index: 1, image: image(1), class: CLOSING }],
        },
      },
      names: { [OTHER]: CLASSES },
      settings: { steps: 1, rate: 1, decay: 0, blur: 0, jitter: 0, starts: 1, seed: 0 },
    }),
  correspond: () =>
    correspondExperiment(
      {
        source: NAME,
        grey: 9,
        layers: [NAME, CLOSING],
        parts: [
          { part: OTHER, delta: { [NAME]: spread, [CLOSING]: spread } },
          { part: 'random', delta: { [NAME]: spread, [CLOSING]: spread } },
        ],
        groups: [2],
        draws: 1,
      },
      [[{ image: image(1), words: CLOSING }]],
    ),
  evolve: async () => {
    const epochs = [1, 2].map((epoch) => ({ epoch, open: async () => network() }));
    const split = noiseSplit(6, SIDE, SIDE, 2);
    const common = { preprocess: (batch: Parameters<typeof inputOf>[1]) => inputOf(preprocess, batch) };
    const seen = await evolution(epochs, split, { ...common, layers: [NAME, CLOSING] });
    const pictures = await projectEvolution(epochs, split, seen, { [NAME]: [0], [CLOSING]: [0] }, common);
    return evolveExperiment({ model: network(), preprocess, dataset: dataset(), split: CLOSING, found: seen, pictures });
  },
  features: () =>
    featuresExperiment({
      rows: [{ name: NAME, classifier: 'svm', stage: NAME, layer: CLOSING, features: 3, of: 9, grid: [1, 1], strength: 1, ...errors }],
      source: CLOSING,
      classes: 3,
      trainExamples: 9,
      valExamples: 9,
      split: OTHER,
    }),
  filters: async () => {
    const maps = await found([NAME, CLOSING]);
    const layers = [NAME, CLOSING].map((layer) => ({ layer, maps: maps[layer] }));
    return filtersExperiment({ name: STYLED, model: network(), preprocess, dataset: dataset(), split: CLOSING, images: 6, layers });
  },
  invariance: () => {
    const step = (amount: number) => ({ amount, distance: { [NAME]: [1] }, relative: { [NAME]: [0.5] }, probability: [0.5] });
    const steps = [step(0), step(1), step(2)];
    const moved = [{ image: image(1), words: NAME }];
    return invarianceExperiment(
      { images: [{ name: CLOSING, class: NAME }], inputSize: SIDE, layers: [NAME], translation: steps, scale: steps, rotation: steps },
      { images: [image(1)], moved: { translation: moved, scale: moved, rotation: moved } },
    );
  },
  occlude: () =>
    occludeExperiment({
      occlusion: {
        places: [
          [0, 0],
          [0, 4],
        ],
        grid: [1, 2],
        label: 0,
        clean: { probability: 0.9, label: 0, activation: 7 },
        probability: [0.5, 0.9],
        labels: [1, 0],
        activation: [6, 7],
        incremental: true,
        layer: CLOSING,
        map: 1,
      },
      image: image(1),
      name: NAME,
      chosen: CLOSING,
      isTruth: true,
      classes: CLASSES,
      square: 4,
      stride: 4,
      grey: 99,
      projection: new Float32Array(3 * SIDE * SIDE),
    }),
  occludeBoxes: () =>
    occludeBoxesExperiment({
      data: NAME,
      split: CLOSING,
      square: 4,
      stride: 2,
      grey: 9,
      images: 1,
      fell: 1,
      shares: [{ index: 0, drop: 0.9, area: 0.5 }],
      drop: spread,
      area: spread,
    }),
  top9: async () =>
    top9Experiment({
      model: network(),
      preprocess,
      dataset: dataset(),
      split: CLOSING,
      images: 6,
      found: await found([NAME, CLOSING]),
      modes: ['deconvnet', 'gradient'],
    }),
  transfer: () =>
    transferExperiment({
      rows: [{ name: NAME, method: 'kept layers', perClass: 5, folds: 2, ...spread, ...errors }],
      measure: 'accuracy',
      layer: NAME,
      source: CLOSING,
      split: OTHER,
      testSplit: STYLED,
      classes: 3,
      folds: 2,
      testPerClass: 5,
      learntFrom: { source: NAME, examples: 9 },
    }),
};

describe('pages of experiments', () => {
  it.each(Object.entries(EXPERIMENTS))('%s', async (_, make) => {
    const experiment = await make();
    const text = await experimentPage(experiment, `npx zfnet ${NAME} ${CLOSING}`);
    expectSafePage(text);
    for (const picture of Object.values(experiment.pictures))
      if ('svg' in picture) expect(picture.svg).not.toMatch(/<(script|b|img)\b|<svg on/);
  });
});

describe('other pages', () => {
  it('the report, with all of its sections and experiments', async () => {
    const made = await Promise.all(Object.values(EXPERIMENTS).map((make) => make()));
    const metric = (epoch: number) => ({
      epoch,
      step: epoch,
      lr: 0.1,
      trainLoss: 1,
      valTop1Error: 0.5,
      valTop5Error: 0,
      trainTop1Error: 0.5,
      imagesPerSecond: 9,
    });
    const predictions = Array.from({ length: 6 }, (_, index) => ({ index, label: 0, top: [1, 0, 2], probabilities: [0.9, 0.05, 0.05] }));
    const text = await buildReport({
      model: network(),
      preprocess,
      dataset: dataset(),
      metrics: [1, 2].map(metric),
      predictions: { [CLOSING]: { predictions, top1Error: 1, top5Error: 0 } },
      baselines: [{ name: NAME, description: CLOSING, top1Error: { [CLOSING]: 0.5 } }],
      training: { examples: 6, seconds: 1, engine: NAME },
      command: `npx zfnet ${CLOSING}`,
      experiments: made,
      mapsPerLayer: 1,
    });
    expectSafePage(text);
    expect(text).not.toContain('javascript:');
  }, 60_000);

  it('the page of training', async () => {
    const text = await trainingPage({
      run: NAME,
      config: {
        architecture: { preset: 'small', classes: 3, inputSize: 28, channels: 1, width: 0.1, dropout: 0.5 },
        init: 'he',
        data: { source: CLOSING, fingerprint: '0', classes: CLASSES, trainExamples: 9, valExamples: 9 },
        preprocess: { inputSize: 28, side: 32, channels: 1, scale: 1 },
        training: trainingOptions({ epochs: 9 }),
        engine: { backend: 'wasm', mode: 'strict' },
        changes: [],
      },
      metrics: [],
      steps: [],
      status: 'training',
      warnings: [OTHER, STYLED],
      now: new Date(0),
    });
    expectSafePage(text);
  });

  it('the page to mark parts on', async () => {
    const images = HOSTILE.map((file) => ({ file, width: 3, height: 2, picture: 'data:image/png;base64,AA' }));
    expectSafePage(await markingPage(images, HOSTILE, `npx zfnet ${CLOSING}`));
  });
});

describe('data and scripts of a page', () => {
  it('reach the script of the occlusion map unchanged', async () => {
    const text = await experimentPage(await EXPERIMENTS.occlude(), '');
    const { document } = parseHTML(text);
    const { words } = JSON.parse(document.querySelector('.occlusion')!.getAttribute('data-explorer')!);
    expect(words.join()).toContain('script');
  });

  it('are hashed each once, however often a script occurs', async () => {
    const own = script('console.log("é <b> & 1")');
    const text = await page({
      title: 'x',
      description: 'x',
      lead: html``,
      sections: [1, 2].map((n) => ({ id: `s${n}`, title: 'x', body: html`${own}` })),
    });
    expectSafePage(text);
    expect(text.match(/sha256-/g)).toHaveLength(1);
    expect(() => script('"</SCRIPT>"')).toThrow(/got code that contains "<\/script"/);
  });
});
