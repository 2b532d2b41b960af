/** Cases of variances, norms, softmax along an axis, and products of any rank. */
import { logSoftmax, matmul, norm, softmax, std, variance } from '../../tensor/index.js';
import { A, type Case, D, N, type Row, S, table } from './case.js';
import { on } from './rows.js';

const unbiased = (op: typeof std): Row[] => [
  ...on([N(3, 4, 5)], {
    'all of [3, 4, 5]': ([x]) => op(x),
    'axis 1': ([x]) => op(x, { axes: 1 }),
    'axes 0 and 2, kept': ([x]) => op(x, { axes: [0, 2], keepDims: true }),
    'axis 2, biased': ([x]) => op(x, { axes: 2, unbiased: false }),
  }),
  ['rows of 17', [N(5, 17)], ([x]) => op(x, { axes: -1 })],
  ['columns of 49', [N(6, 49)], ([x]) => op(x, { axes: 0 })],
];

const product = (a: number[], b: number[], options = {}): Row => [
  `[${a}] · [${b}]${Object.keys(options).join(' ')}`,
  [N(...a), N(...b)],
  ([a, b]) => matmul(a, b, options),
];

export const statisticsCases: readonly Case[] = [
  ...table('variance', {}, [...unbiased(variance), ['equal elements', [N(4, 1)], ([x]) => variance(x, { axes: 1, unbiased: false })]]),
  ...table('std', {}, [
    ...unbiased(std),
    ['equal elements', [N(4, 1)], ([x]) => std(x, { axes: 1, unbiased: false }), { gradient: 'compared' }],
  ]),
  ...table('norm', {}, [
    ...on([A(3, 4, 5)], {
      'all of [3, 4, 5]': ([x]) => norm(x),
      'axis 1': ([x]) => norm(x, { axes: 1 }),
      'axes 0 and 2, kept': ([x]) => norm(x, { axes: [0, 2], keepDims: true }),
      'p = 1': ([x]) => norm(x, { p: 1, axes: 2 }),
      'p = 3': ([x]) => norm(x, { p: 3, axes: -1 }),
      'p = 1.5': ([x]) => norm(x, { p: 1.5, axes: 0 }),
    }),
    ['p = ∞', [D(4, 5)], ([x]) => norm(x, { p: Number.POSITIVE_INFINITY, axes: 1 })],
    ['zeros among others', [S(4, 7)], ([x]) => norm(x, { axes: 1 }), { gradient: 'compared' }],
    ['p = 3, zeros among others', [S(4, 7)], ([x]) => norm(x, { p: 3, axes: 1 }), { gradient: 'compared' }],
  ]),
  ...table('softmax', {}, [
    ['axis 1 of images', [N(2, 5, 3, 4)], ([x]) => softmax(x, { axis: 1 })],
    ['axis 0', [N(7, 3)], ([x]) => softmax(x, { axis: 0 })],
    ['axis −2 of [3, 17, 5]', [N(3, 17, 5)], ([x]) => softmax(x, { axis: -2 })],
  ]),
  ...table('logSoftmax', {}, [
    ['axis 1 of images', [N(2, 5, 3, 4)], ([x]) => logSoftmax(x, { axis: 1 })],
    ['axis 0', [N(7, 3)], ([x]) => logSoftmax(x, { axis: 0 })],
  ]),
  ...table('matmul', { sums: true }, [
    product([4], [4]),
    product([4], [4, 5]),
    product([3, 4], [4]),
    product([4], [2, 4, 5]),
    product([2, 3, 4], [4]),
    product([2, 3, 4, 5], [5, 6]),
    product([2, 3, 4, 5], [2, 3, 5, 6]),
    product([2, 1, 4, 5], [3, 5, 6]),
    product([3, 4, 5], [2, 1, 5, 6]),
    product([1, 1, 4, 5], [2, 3, 5, 2]),
    product([2, 1, 3, 4], [1, 3, 4, 5]),
    product([2, 1, 4, 3], [3, 5, 4], { transposeA: true, transposeB: true }),
    product([2, 0, 4, 3], [3, 5]),
  ]),
];
