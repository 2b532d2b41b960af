/**
 * Measures the errors of baselines (guessing, nearest neighbour, linear classifier) and prints them beside those of a network, per split.
 */
import { type FitReport, linearOnPixels, nearestNeighbour } from 'zfnet';
import { type Dataset, type Split, sampleSubset } from 'zfnet/data';
import { percent, type Reporter } from '../terminal/reporter.js';

/** Top-1 and top-5 errors of a network, as fractions. */
export interface Errors {
  top1Error: number;
  top5Error: number;
}

/** Errors of the baselines, as fractions. */
export interface BaselineErrors {
  /** Top-1 error of guessing. */
  chance: number;
  /** Top-1 error of the class of the nearest training image, by distance of the pixels. */
  nearestNeighbour: number;
  /** Top-1 error of a linear classifier on pixels, if it was requested. */
  linear?: number;
  /** Top-5 error of guessing. */
  chanceOfFive: number;
}

export interface TestedSplit extends Errors, BaselineErrors {
  split: string;
  examples: number;
}

/** Largest number of training images of the baselines; a larger set is sampled at random. */
const MOST_EXAMPLES = 20_000;

/** Names of the splits to test on: all except `train`, or `train` if it is the only one. */
export const testSplits = (dataset: Dataset): string[] => {
  const others = Object.keys(dataset.splits).filter((name) => name !== 'train');
  return others.length > 0 ? others : ['train'];
};

/**
 * Measures the errors of the baselines on some splits. They learn from the split `train`.
 *
 * @param options.linear also measure a linear classifier, which takes longer than the others
 */
export async function measureBaselines(
  dataset: Dataset,
  splits: readonly string[],
  options: { linear: boolean },
  reporter: Reporter,
): Promise<BaselineErrors[]> {
  const train = sampled(dataset.splits.train, reporter);
  const tests = splits.map((name) => dataset.splits[name]);
  const total = train.length + tests.reduce((sum, split) => sum + split.length, 0);
  const listen = (label: string) => {
    const bar = reporter.bar(label, total, 'images');
    const onBroken = (error: Error) => reporter.warn(`left out: ${error.message}`);
    return { onBroken, onProgress: (done: number) => bar.update(done) };
  };
  const nearest = await nearestNeighbour(train, tests, listen('nearest neighbours in pixels'));
  const count = dataset.classes.length;
  const linear = options.linear
    ? await linearOnPixels(train, tests, count, {
        ...listen('linear classifier on pixels'),
        onFit: (fit) => {
          if (!fit.converged) reporter.warn(unconverged('the linear classifier on pixels', fit));
        },
      })
    : null;
  reporter.stop();
  return splits.map((_, i) => ({
    chance: 1 - 1 / count,
    chanceOfFive: 1 - Math.min(5, count) / count,
    nearestNeighbour: nearest[i],
    ...(linear && { linear: linear[i].top1Error }),
  }));
}

function sampled(split: Split, reporter: Reporter): Split {
  if (split.length <= MOST_EXAMPLES) return split;
  reporter.detail(`the baselines use ${MOST_EXAMPLES} of ${split.length} training images`);
  return sampleSubset(split, MOST_EXAMPLES);
}

/** Returns a warning about a linear classifier whose fit did not converge. */
export const unconverged = (what: string, { iterations, residual, tolerance }: FitReport): string =>
  `${what} has not converged after ${iterations} iterations: its residual is ${residual.toPrecision(2)}, expected at most ${tolerance}; its errors are those of an unfinished fit`;

/** Formats the errors as a text table. */
export function testTable(tests: readonly TestedSplit[]): string {
  const hasLinear = tests.some(({ linear }) => linear !== undefined);
  const rows = [
    ['top-1 error', ...tests.map(({ split }) => split)],
    ['this network', ...tests.map(({ top1Error }) => percent(top1Error))],
    ...(hasLinear ? [['linear classifier', ...tests.map(({ linear }) => (linear === undefined ? '' : percent(linear)))]] : []),
    ['nearest neighbour', ...tests.map((test) => percent(test.nearestNeighbour))],
    ['guessing', ...tests.map(({ chance }) => percent(chance))],
    ['top-5 error', ...tests.map(() => '')],
    ['this network', ...tests.map(({ top5Error }) => percent(top5Error))],
    ['guessing', ...tests.map(({ chanceOfFive }) => percent(chanceOfFive))],
  ];
  const widths = rows[0].map((_, i) => Math.max(...rows.map((row) => row[i].length)));
  return rows
    .map((row) => `  ${row.map((cell, i) => (i === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[i]))).join('   ')}`)
    .join('\n');
}
