/** Sentences of the report that state a finding: each follows from the numbers that it speaks of, in all outcomes. */
import { beforeAll, describe, expect, it } from 'vitest';
import { createReferenceBackend } from '../../src/backend/reference/index.js';
import { BatchNorm2d, Conv2d, Dropout, Flatten, Linear, MaxPool2d, type Network, ReLU, Sequential } from '../../src/nn/index.js';
import { findings } from '../../src/report/experiments/ascend.js';
import { settling } from '../../src/report/experiments/evolve.js';
import { fall, standing } from '../../src/report/experiments/occlude.js';
import {
  ablateExperiment,
  correspondExperiment,
  type Experiment,
  featuresExperiment,
  invarianceExperiment,
  occludeBoxesExperiment,
  transferExperiment,
} from '../../src/report/index.js';
import { beginning, filtersOrigin } from '../../src/report/origin.js';
import { percentsApart, splitInWords, splitTitle } from '../../src/report/page/words.js';
import { downwards, rectification } from '../../src/report/sections/layers.js';
import { worstPair } from '../../src/report/sections/mistakes.js';
import { likeness } from '../../src/report/sections/modes.js';
import { setDefaultBackend } from '../../src/tensor/index.js';

beforeAll(() => setDefaultBackend(createReferenceBackend()));

const textOf = ({ section }: Experiment) =>
  String(section.body)
    .replace(/<[^>]+>/g, ' ')
    .replace(/[\s\u00a0]+/g, ' ');
const plain = (text: string) => text.replaceAll('\u00a0', ' ');

describe('layers', () => {
  const conv = () => new Conv2d(1, 1, 3);
  const linear = () => new Linear(1, 1);
  it.each<[string, () => Network, string]>([
    [
      'all but the last',
      () => new Sequential({ conv1: conv(), relu1: new ReLU(), flatten: new Flatten(), fc: linear() }),
      'After every convolution and fully connected layer except the last, negative values are set to zero (ReLU).',
    ],
    [
      'a pool or a normalisation between',
      () =>
        new Sequential({
          conv1: conv(),
          bn: new BatchNorm2d(1),
          pool: new MaxPool2d(2),
          relu: new ReLU(),
          flatten: new Flatten(),
          fc: linear(),
        }),
      'After every convolution and fully connected layer except the last, negative values are set to zero (ReLU).',
    ],
    [
      'all',
      () => new Sequential({ conv1: conv(), relu1: new ReLU() }),
      'After every convolution and fully connected layer, negative values are set to zero (ReLU).',
    ],
    [
      'none',
      () => new Sequential({ flatten: new Flatten(), fc1: linear(), fc2: linear() }),
      'No convolution or fully connected layer is followed by a ReLU.',
    ],
    [
      'some',
      () => new Sequential({ conv1: conv(), conv2: conv(), relu2: new ReLU(), flatten: new Flatten(), fc: linear() }),
      'After 1 of the 3 convolutions and fully connected layers, negative values are set to zero (ReLU), but not after conv1 and fc.',
    ],
    ['no weights', () => new Sequential({ pool: new MaxPool2d(2) }), ''],
  ])('say what is set to zero: %s', (_, make, sentence) => expect(rectification(make())).toBe(sentence));

  const row = (side: number, sees: number) => ({
    outputShape: [1, 4, side, side],
    receptiveField: [0, 1].map(() => ({ size: sees, jump: 1, start: 0 })) as never,
  });
  it('say how the maps change, where they change in one direction', () => {
    expect(downwards([row(8, 3), row(4, 7)])).toBe('From layer to layer, the maps get smaller and their receptive fields get larger.');
    expect(downwards([row(8, 3), row(8, 7)])).toBe('From layer to layer, their receptive fields get larger.');
    expect(downwards([row(4, 3), row(8, 3)])).toBe('');
    expect(downwards([])).toBe('');
  });
});

describe('filters and training', () => {
  it('say where the filters come from', () => {
    expect(filtersOrigin('random')).toContain('random numbers');
    expect(filtersOrigin('pretrained')).toContain('another run');
    expect(filtersOrigin('imported')).toContain('trained elsewhere');
    expect(filtersOrigin(undefined)).toBe('');
    expect(beginning('random')).toContain('random numbers');
    expect(beginning('pretrained')).toContain('another run');
    expect(beginning('imported') + beginning(undefined)).toBe('');
  });

  it('call images unseen only if the network was trained on the data set', () => {
    const scenes = { name: 'scenes' } as Parameters<typeof splitTitle>[0];
    expect([splitTitle(scenes, 'val', true), splitTitle(scenes, 'val', false)]).toEqual(['Unseen photographs', 'val']);
    expect([splitInWords(scenes, 'val', true), splitInWords(scenes, 'val', false)]).toEqual([
      'photographs that were not used for training',
      'the images of “val”',
    ]);
  });
});

describe('mistakes', () => {
  it('name the pair that is mixed up most often, and ties', () => {
    const classes = ['a', 'b', 'c'];
    expect(
      worstPair(
        [
          [1, 2, 0],
          [1, 0, 0],
          [0, 0, 3],
        ],
        classes,
      ),
    ).toBe('The most frequent error: a was classified as b, 2 times.');
    expect(
      worstPair(
        [
          [1, 2, 0],
          [2, 0, 0],
          [0, 0, 3],
        ],
        classes,
      ),
    ).toBe('The most frequent error: a was classified as b and b was classified as a, 2 times each.');
    expect(
      worstPair(
        [
          [0, 1, 1],
          [1, 0, 1],
          [0, 0, 3],
        ],
        classes,
      ),
    ).toBe('No pair of classes stands out: 4 were confused 1 time each.');
    expect(
      worstPair(
        [
          [1, 0, 0],
          [0, 1, 0],
          [0, 0, 3],
        ],
        classes,
      ),
    ).toBe('No image was classified wrongly.');
  });
});

describe('rules', () => {
  const example = (layer: string, ...values: number[]) => {
    const ways = Object.fromEntries(
      ['deconvnet', 'gradient', 'guided'].map((mode, i) => [mode, { map: 0, strongest: [{ projection: Float32Array.of(1, values[i]) }] }]),
    );
    return { layer, ways } as unknown as Parameters<typeof likeness>[0][number];
  };
  it('are called the same only where they are', () => {
    expect(likeness([example('conv1', 1, 2, 3), example('conv2', 1, 1, 2)])).toBe('');
    expect(likeness([example('conv1', 1, 1, 1), example('conv2', 1, 1, 2)])).toBe('For conv1 all three give equal projections here.');
    expect(likeness([example('conv1', 1, 1, 1)])).toBe('In this network all three give equal projections of the examples below.');
  });
});

describe('features', () => {
  const row = (stage: string, valTop1Error: number, fit?: { converged: boolean }) => ({
    name: `svm ${stage}`,
    classifier: 'svm' as const,
    stage,
    layer: stage,
    features: 9,
    of: 9,
    strength: 1,
    ...(fit && { fit: { residual: 0.1, tolerance: 1e-3, iterations: 9, ...fit } }),
    trainTop1Error: 0,
    valTop1Error,
    valTop5Error: 0,
  });
  const told = (...rows: ReturnType<typeof row>[]) =>
    textOf(featuresExperiment({ rows, source: 'x', classes: 4, trainExamples: 9, valExamples: 9, split: 'val' }));
  const errors = (...values: number[]) => told(...values.map((value, i) => row(`l${i + 1}`, value)));

  it('rise, stay equal on the way, or fall', () => {
    expect(errors(0.8, 0.6, 0.5)).toContain(
      'and 50 % with those of l3, the best layer. Each layer up to l3 is better than the one before.',
    );
    expect(errors(0.8, 0.8, 0.5)).toContain('the best layer. Between them, l2 is only as good as the layer before it.');
    expect(errors(0.8, 0.9, 0.5)).toContain('the best layer. Between them, l2 is worse than the layer before it.');
  });

  it('name ties for the best', () => {
    expect(errors(0.8, 0.5, 0.5)).toContain('50 % with those of l2 and l3, the best layers, which are equal.');
    expect(errors(0.5, 0.8, 0.5)).toContain(
      'no layer is better than l1: the accuracy of the linear SVM is 50 % with the features of l1 and l3.',
    );
    expect(errors(0.5, 0.8)).toContain('no later layer is better than l1');
    expect(errors(0.5, 0.5)).toContain('all layers are equal');
    expect(errors(0.5)).toContain('the accuracy of the linear SVM is 50 % with the features of l1.');
  });

  it('say which classifiers did not converge', () => {
    expect(told(row('l1', 0.5, { converged: true }))).toContain('All classifiers converged.');
    expect(told(row('l1', 0.5, { converged: true }), row('l2', 0.4, { converged: false }))).toContain(
      '1 of 2 classifiers did not converge, so their accuracies are those of unfinished fits: linear SVM on l2.',
    );
    expect(told(row('l1', 0.5))).toContain('was not recorded');
  });
});

describe('transfer', () => {
  const row = (method: 'kept layers' | 'from scratch', perClass: number, mean: number, unconverged?: number) => ({
    name: `${method} ${perClass}`,
    method,
    perClass,
    folds: 3,
    mean,
    deviation: 0,
    trainTop1Error: 0,
    valTop1Error: 1 - mean,
    valTop5Error: 0,
    ...(unconverged && { unconverged }),
  });
  const base = {
    measure: 'accuracy' as const,
    layer: 'fc7',
    source: 'x',
    split: 'train',
    testSplit: 'val',
    classes: 4,
    folds: 3,
    testPerClass: 9,
  };
  const told = (...pairs: [number, number, number][]) =>
    textOf(
      transferExperiment({
        ...base,
        rows: pairs.flatMap(([n, kept, scratch]) => [row('kept layers', n, kept), row('from scratch', n, scratch)]),
        learntFrom: { source: 'y', examples: 9 },
      }),
    );

  it('tells who is ahead, and ties', () => {
    expect(told([5, 0.5, 0.4], [9, 0.6, 0.5])).toContain('Here the kept layers are better throughout: 50 % against 40 %');
    expect(told([5, 0.4, 0.5], [9, 0.5, 0.6])).toContain('Here training from scratch is better throughout:');
    expect(told([5, 0.5, 0.5], [9, 0.5, 0.5])).toContain('Here both methods are equal throughout:');
    expect(told([5, 0.5, 0.4], [9, 0.5, 0.5], [12, 0.4, 0.5])).toContain(
      'Here the kept layers are better with 5 images per class, training from scratch is better with 12 images per class and both methods are equal with 9 images per class:',
    );
    expect(told([5, 0.5004, 0.4996])).toContain('50.04 % against 49.96 %');
  });

  it('says which fits did not converge', () => {
    const experiment = (unconverged?: number) =>
      textOf(transferExperiment({ ...base, rows: [row('kept layers', 5, 0.5, unconverged)], learntFrom: { source: 'y', examples: 9 } }));
    expect(experiment(2)).toContain('It did not converge in 2 of 3 folds with 5 images per class');
    expect(experiment()).not.toContain('did not converge');
  });
});

describe('ablate', () => {
  const told = (base: number, ...variants: number[]) =>
    textOf(
      ablateExperiment({
        rows: [base, ...variants].map((valTop1Error, i) => ({
          name: (i === 0 ? 'zfnet' : `v${i}`) as never,
          title: i === 0 ? 'ZFNet' : `without layer ${i}`,
          preset: 'a' as const,
          paper: { train: 1, val1: 2, val5: 3 },
          parameters: 9,
          epochs: 1,
          trainTop1Error: 0,
          valTop1Error,
          valTop5Error: 0,
        })),
        source: 'x',
        trainExamples: 9,
        valExamples: 9,
        classes: 4,
        inputSize: 64,
        width: 1,
      }),
    );
  it('compares the variants with the network, ties included', () => {
    expect(told(0.3, 0.4, 0.2)).toContain(
      '1 of 2 variants has a smaller error; the largest error is that of the one without layer 1 (40 %), the smallest that of the one without layer 2 (20 %).',
    );
    expect(told(0.1, 0.4, 0.4, 0.2)).toContain(
      'None of its variants has a smaller error; the largest error is that of those without layer 1 and without layer 2 (40 %)',
    );
    expect(told(0.1, 0.2, 0.2)).toContain('None of its variants has a smaller error; their errors are all equal (20 %).');
    expect(told(0.3, 0.2)).toContain('Its variant without layer 1 has a smaller error (20 %).');
    expect(told(0.3, 0.3)).toContain('has an equal error (30 %).');
    expect(told(0.3, 0.4)).toContain('has a larger error (40 %).');
  });
});

describe('evolve', () => {
  const layer = (name: string, settled: number) => ({ layer: name, maps: [], likeness: [0.25, 1], sameImage: [0, 1], settled });
  const told = (low: number, high: number) => settling([layer('conv1', low), layer('conv5', high)], [1, 5, 9]);
  it('tells which layer settles first', () => {
    expect(told(1, 5)).toMatch(/Here too, the lowest layer settles first: conv1 at epoch 1 and conv5 at epoch 5 of 9\.$/);
    expect(told(5, 1)).toMatch(/Here the order is reversed: conv1 settles at epoch 5 and conv5 at epoch 1 of 9\.$/);
    expect(told(5, 5)).toMatch(
      /settle at the same epoch, 5 of 9; after epoch 1 their similarity to the last epoch is conv1 0\.25 and conv5 0\.25\.$/,
    );
    expect(told(1, 9)).toContain('At the last epoch every layer counts as settled.');
    expect(settling([layer('conv1', 1)], [1, 5])).not.toContain('Here');
  });
});

describe('invariance', () => {
  const told = (conv1: number, fc7: number, clean: number, moved: number) => {
    const step = (amount: number, a: number, b: number, p: number) => ({
      amount,
      distance: { conv1: [a], fc7: [b] },
      relative: { conv1: [a], fc7: [b] },
      probability: [p],
    });
    const steps = [step(0, 0, 0, clean), step(2, conv1, fc7, moved)];
    const still = [step(1, 0, 0, 1)];
    return textOf(
      invarianceExperiment({
        images: [{ name: 'a', class: 'b' }],
        inputSize: 9,
        layers: ['conv1', 'fc7'],
        translation: steps,
        scale: still,
        rotation: [step(0, 0, 0, 1)],
      }),
    );
  };
  it('tells of changes, of none, and of a probability that does not fall', () => {
    expect(told(0.3, 0.1, 0.9, 0.5)).toContain(
      'Shifted up and down by 2 pixels downwards, the smallest step, the images have features that differ by 30 % of their norm in conv1 and 10 % of their norm in fc7. The mean probability of the images’ classes is 90 % for the original images and smallest at 2 pixels: 50 %.',
    );
    expect(told(0.3, 0, 0.9, 0.9)).toContain(
      '30 % of their norm in conv1, and unchanged features in fc7. The mean probability of the images’ classes is 90 % for the original images, and not smaller at any step.',
    );
    expect(told(0, 0, 0.5, 0.9)).toContain('have unchanged features in conv1 and fc7.');
  });
});

describe('correspond', () => {
  const told = (...means: number[]) =>
    textOf(
      correspondExperiment({
        source: 'x',
        grey: 1,
        layers: ['conv5'],
        parts: [...means.map((mean, i) => ({ part: `part${i + 1}`, mean })), { part: 'random', mean: 0.2 }].map(({ part, mean }) => ({
          part,
          delta: { conv5: { mean, deviation: 0 } },
        })),
        groups: [2],
        draws: 1,
      }),
    );
  it('compares parts with random masks, ties included', () => {
    expect(told(0.1, 0.15)).toContain('In conv5, every part changes the features more alike on average than random masks do.');
    expect(told(0.1)).toContain('In conv5, part1 changes the features more alike');
    expect(told(0.3, 0.2)).toContain('In conv5, no part changes the features more alike');
    expect(told(0.1, 0.2, 0.3)).toContain(
      'part1 changes the features more alike on average than random masks do; part3 less alike and part2 equally.',
    );
  });
});

describe('occlusion', () => {
  it('says whether the watched map is the strongest', () => {
    const of = (map: number, strongest?: number | null) => standing({ map, strongest } as Parameters<typeof standing>[0]);
    expect(of(3, 3)).toBe('No other map of the layer has a stronger activation in this image.');
    expect(of(3, 5)).toBe('It is not the strongest map of the layer in this image, which is map 5.');
    expect(of(3, null)).toBe('No map of the layer has an activation above zero in this image.');
    expect(of(3)).toBe('');
  });

  it('says whether the probability drops', () => {
    expect(fall([0.5, 0.9], 0.9, 'With the square at the top', '50 %')).toBe('With the square at the top it drops to 50 %.');
    expect(fall([0.9, 0.9], 0.9, 'there', '90 %')).toBe('It is the same with the square at every position.');
    expect(fall([0.9, 0.95], 0.9, 'there', '90 %')).toBe('It is not smaller with the square at any position: the smallest value is 90 %.');
    expect(fall([0.95, 0.99], 0.9, 'there', '95 %')).toBe(
      'It is not smaller with the square at any position: the smallest value is 95 %, which is larger.',
    );
  });

  it('compares the drop with the area', () => {
    const told = (...drops: (number | null)[]) => {
      const own = drops.filter((drop): drop is number => drop !== null);
      const mean = own.length === 0 ? 0 : own.reduce((sum, drop) => sum + drop, 0) / own.length;
      return textOf(
        occludeBoxesExperiment({
          data: 'x',
          split: 'val',
          square: 2,
          stride: 1,
          grey: 0,
          images: drops.length,
          fell: own.length,
          shares: drops.map((drop, index) => ({ index, drop, area: 0.25 })),
          drop: { mean, deviation: 0 },
          area: { mean: 0.25, deviation: 0 },
        }),
      );
    };
    expect(told(0.5, 0.125)).toContain(
      'On average 31 % of the drop lies inside the box, more than the share of the area, 25 %. In 1 of 2 images',
    );
    expect(told(0.125)).toContain('less than the share of the area');
    expect(told(0.25)).toContain('equal to the share of the area');
    expect(told(null)).toContain('In none of the 1 image did the probability drop at any position.');
  });
});

describe('ascend', () => {
  const map = (number: number, value: number, realValue: number | null, start: 'noise' | 'image' = 'noise') => ({
    map: number,
    value,
    start,
    realValue,
    realIndex: realValue === null ? null : 0,
  });
  const layer = (
    maps: ReturnType<typeof map>[],
    rest: { dead?: number[]; dominating?: number[]; unmoved?: number[]; stronger: number },
  ) => ({
    layer: 'conv5',
    dead: [],
    dominating: [],
    unmoved: [],
    ...rest,
    maps,
  });
  const real = { split: 'val', images: 9, strongest: {} };

  it('says for how many maps the picture is stronger than every image', () => {
    expect(findings(layer([map(0, 2, 1), map(1, 2, 1)], { stronger: 2 }), real)).toBe(
      'For all 2 maps the picture gives a larger activation than each of the 9 images of “val”. No map is dead.',
    );
    expect(findings(layer([map(0, 2, 1)], { stronger: 1 }), real)).toContain('For the one map the picture gives a larger activation');
    expect(findings(layer([map(0, 2, 1), map(1, 1, 2, 'image')], { stronger: 1 }), real)).toBe(
      'For 1 of 2 maps the picture gives a larger activation than each of the 9 images of “val”; for the other 1 it does not. 1 picture started from the real image, because no start from noise reached its activation. No map is dead.',
    );
    expect(findings(layer([map(0, 1, 1), map(1, 1, 2)], { stronger: 0 }), real)).toContain(
      'For none of 2 maps the picture gives a larger activation than each of the 9 images of “val”. ',
    );
  });

  it('names dead, unmoved and dominating maps, and dead ones only with images', () => {
    expect(findings(layer([map(0, 2, 0), map(1, 9, 1)], { dead: [0], dominating: [1], stronger: 2 }), real)).toContain(
      '1 map is dead, since no image activates it: 0. Map 1 dominates.',
    );
    expect(findings(layer([map(0, 0, null), map(1, 0, null)], { unmoved: [0, 1], dominating: [2, 3], stronger: 0 }), undefined)).toBe(
      'There are no images for comparison, so dead maps are not known. No picture activates 2 maps: 0 and 1. Maps 2 and 3 dominate.',
    );
  });
});

describe('shares', () => {
  it('differ in words where they differ in value', () => {
    const apart = (a: number, b: number) => percentsApart(a, b).map(plain);
    expect(apart(0.5, 0.4)).toEqual(['50 %', '40 %']);
    expect(apart(0.504, 0.502)).toEqual(['50.4 %', '50.2 %']);
    expect(apart(0.5, 0.5)).toEqual(['50 %', '50 %']);
  });
});

describe('dropout', () => {
  it('with a probability of 0 is none', async () => {
    const { learningSection } = await import('../../src/report/sections/learning.js');
    const metric = {
      epoch: 1,
      step: 1,
      lr: 0.1,
      trainLoss: 1,
      trainTop1Error: 0.5,
      valTop1Error: null,
      valTop5Error: null,
      imagesPerSecond: 1,
    };
    const told = (probability: number) => {
      const model = new Sequential({ fc: new Linear(2, 2), drop: new Dropout(probability) });
      return String(
        learningSection({ metrics: [metric, { ...metric, epoch: 2 }], dataset: { classes: ['a', 'b'] }, model, training: {} } as never)
          ?.body,
      );
    };
    expect(told(0.5)).toContain('(dropout)');
    expect(told(0)).not.toContain('(dropout)');
    // Without validation, the caption does not name it.
    expect(told(0)).not.toContain('and in validation');
  });
});
