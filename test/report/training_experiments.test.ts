/** Sections of the experiments that train, made from their numbers alone, as a report makes them from the JSON. */
import { describe, expect, it } from 'vitest';
import { ablateExperiment, type Experiment, featuresExperiment, transferExperiment } from '../../src/report/index.js';
import { ABLATIONS, transferRows } from '../../src/zfnet/index.js';

/** Returns numbers as they are read from `NAME.json`. */
const again = <T>(numbers: T): T => JSON.parse(JSON.stringify(numbers)) as T;
const textOf = ({ section }: Experiment) =>
  String(section.body)
    .replace(/<[^>]+>/g, ' ')
    .replace(/\s+/g, ' ');

/** Checks that apply to every experiment that is written from numbers alone. */
function check(experiment: Experiment, rebuilt: Experiment): void {
  expect(String(rebuilt.section.body)).toBe(String(experiment.section.body));
  expect(rebuilt.numbers).toEqual(experiment.numbers);
  const [picture] = Object.values(experiment.pictures);
  const { svg } = picture as { svg: string };
  expect(svg).toMatch(/^<svg xmlns/);
  expect(svg).not.toMatch(/var\(--/);
  expect(svg).not.toMatch(/NaN/);
  expect(String(experiment.section.body)).toMatch(/<svg aria-label="[^"]{20,}" role="img"/);
}

describe('features', () => {
  const row = (stage: string, classifier: 'svm' | 'softmax', valTop1Error: number) => ({
    name: `${classifier} ${stage}`,
    classifier,
    stage,
    layer: `relu${stage}`,
    features: 9,
    of: stage === 'conv1' ? 36 : 9,
    ...(stage === 'conv1' && { grid: [3, 3] as const }),
    strength: 1,
    trainTop1Error: 0.1,
    valTop1Error,
    valTop5Error: 0.05,
    ...(stage === 'conv1' && classifier === 'svm' && { paper: { caltech101: 44.8, caltech256: 24.6 } }),
  });
  const numbers = {
    rows: [row('conv1', 'svm', 0.8), row('conv1', 'softmax', 0.82), row('mine', 'svm', 0.5), row('mine', 'softmax', 0.6)],
    source: 'bars',
    classes: 10,
    trainExamples: 100,
    valExamples: 50,
    split: 'val',
  };

  it('state how the accuracy increases with the layers', () => {
    const experiment = featuresExperiment(numbers);
    check(experiment, featuresExperiment(again(numbers)));
    const text = textOf(experiment);
    expect(text).toContain('20 % with the features of conv1 and 50 % with those of mine, the best');
    expect(text).toContain('9 of 36');
    expect(text).toContain('conv1: 3 × 3');
    expect(text).toContain('44.8 %');
  });

  it('say so where they do not', () => {
    const { rows } = numbers;
    expect(textOf(featuresExperiment({ ...numbers, rows: [rows[2], rows[0]] }))).toContain('no later layer is better than mine');
  });
});

describe('transfer', () => {
  const fold = (method: 'kept layers' | 'from scratch', perClass: number, error: number) =>
    [0, 1].map((fold) => ({ method, perClass, fold, trainTop1Error: 0, valTop1Error: error + 0.02 * fold, valTop5Error: 0.1 }));
  const rows = transferRows([
    ...fold('kept layers', 5, 0.5),
    ...fold('kept layers', 15, 0.3),
    ...fold('from scratch', 5, 0.9),
    ...fold('from scratch', 15, 0.2),
  ]);
  const numbers = {
    rows,
    measure: 'accuracy' as const,
    layer: 'fc7',
    source: 'bars',
    split: 'train',
    testSplit: 'val',
    classes: 10,
    folds: 2,
    testPerClass: 50,
    learntFrom: { source: 'scenes', examples: 12000 },
    scratchSteps: 400,
  };

  it('tells who is ahead where, with deviations and the paper’s figures', () => {
    const experiment = transferExperiment(numbers);
    check(experiment, transferExperiment(again(numbers)));
    const text = textOf(experiment);
    expect(text).toContain(
      'the kept layers are better with 5 images per class and training from scratch is better with 15 images per class: 49 % against 9.0 % with 5 images',
    );
    expect(text).toContain('69 % ± 1.4 %');
    expect(text).toContain('83.8 %');
    expect(text).toContain('From scratch: 400 training steps');
  });

  it('does without networks from scratch', () => {
    const { scratchSteps: _, ...kept } = { ...numbers, rows: rows.slice(0, 2) };
    const text = textOf(transferExperiment(kept));
    expect(text).toContain('the accuracy is 49 % with 5 images per class and 69 % with 15 images per class');
    expect(text).not.toContain('From scratch:');
  });
});

describe('ablate', () => {
  const numbers = {
    rows: ABLATIONS.map(({ name, title, preset, paper }, i) => ({
      name,
      title,
      preset,
      paper,
      parameters: 1000 + i,
      epochs: 4,
      trainTop1Error: 0.1,
      valTop1Error: 0.2 + 0.01 * i,
      valTop5Error: 0.05,
    })),
    source: 'scenes',
    trainExamples: 12000,
    valExamples: 1920,
    classes: 24,
    inputSize: 64,
    width: 0.125,
  };

  it('names the best and the worst of each family, and shows the paper’s table', () => {
    const experiment = ablateExperiment(numbers);
    check(experiment, ablateExperiment(again(numbers)));
    const text = textOf(experiment);
    expect(text).toContain(
      'Here the top-1 error of AlexNet is 20 %. None of its variants has a smaller error; the largest error is that of the one with 8192 units in layers 6, 7 (26 %), the smallest that of the one without layers 3 and 4 (21 %).',
    );
    for (const { paper } of ABLATIONS)
      expect(text).toContain(`${paper.train.toFixed(1)} % ${paper.val1.toFixed(1)} % ${paper.val5.toFixed(1)} %`);
  });
});
