/** Errors of a network beside those of simpler methods, split by split. */
import { type FitReport, linearOnPixels, nearestNeighbour } from 'zfnet';
import { type Dataset, type Split, sampleSubset } from 'zfnet/data';
import { percent, type Reporter } from '../terminal/reporter.js';

/** Fractions. */
export interface Errors {
  top1Error: number;
  top5Error: number;
}

/** What a network is measured against. Fractions. */
export interface BaselineErrors {
  /** Top-1 errors of guessing and of the nearest training image in pixels. */
  chance: number;
  nearestNeighbour: number;
  /** Of a linear classifier on pixels, where it was asked for. */
  linear?: number;
  /** Top-5 error of guessing. */
  chanceOfFive: number;
}

export interface TestedSplit extends Errors, BaselineErrors {
  split: string;
  examples: number;
}

/** The largest number of training images that the simpler methods see; of a larger set they see a random sample of this size. */
const MOST_EXAMPLES = 20_000;

/** Everything that is not for training is for testing. */
export const testSplits = (dataset: Dataset): string[] => {
  const others = Object.keys(dataset.splits).filter((name) => name !== 'train');
  return others.length > 0 ? others : ['train'];
};

/**
 * How simpler methods do on some splits, learning from the split `train` what they learn.
 *
 * @param options.linear also a linear classifier, which takes longer than the others
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
  reporter.detail(`the simpler methods see ${MOST_EXAMPLES} of ${split.length} training images`);
  return sampleSubset(split, MOST_EXAMPLES);
}

/** A warning about a linear classifier. */
export const unconverged = (what: string, { iterations, residual, tolerance }: FitReport): string =>
  `${what} has not converged after ${iterations} iterations: its residual is ${residual.toPrecision(2)}, expected at most ${tolerance}; its errors are those of an unfinished fit`;

/** The errors as a small table. */
export function testTable(tests: readonly TestedSplit[]): string {
  const hasLinear = tests.some(({ linear }) => linear !== undefined);
  const rows = [
    ['wrong answer', ...tests.map(({ split }) => split)],
    ['this network', ...tests.map(({ top1Error }) => percent(top1Error))],
    ...(hasLinear ? [['linear classifier', ...tests.map(({ linear }) => (linear === undefined ? '' : percent(linear)))]] : []),
    ['nearest neighbour', ...tests.map((test) => percent(test.nearestNeighbour))],
    ['guessing', ...tests.map(({ chance }) => percent(chance))],
    ['wrong in five answers', ...tests.map(() => '')],
    ['this network', ...tests.map(({ top5Error }) => percent(top5Error))],
    ['guessing', ...tests.map(({ chanceOfFive }) => percent(chanceOfFive))],
  ];
  const widths = rows[0].map((_, i) => Math.max(...rows.map((row) => row[i].length)));
  return rows
    .map((row) => `  ${row.map((cell, i) => (i === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[i]))).join('   ')}`)
    .join('\n');
}
