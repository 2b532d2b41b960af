/** Cases of batch, group and layer normalisation. */
import { batchNorm2d, groupNorm, layerNorm } from '../../tensor/index.js';
import { type Case, N, P, type Row, table } from './case.js';
import { large } from './rows.js';

const given = (name: string, shape: number[], options: Parameters<typeof batchNorm2d>[5]): Row => {
  const c = shape[1];
  return [
    name,
    [N(...shape), N(c), N(c), N(c), P(c)],
    ([x, scale, shift, mean, variance]) => batchNorm2d(x, scale, shift, mean, variance, options),
  ];
};
const training = (name: string, shape: number[], options = {}): Row => [
  name,
  [N(...shape), N(shape[1]), N(shape[1])],
  ([x, scale, shift]) => batchNorm2d(x, scale, shift, null, null, { training: true, ...options }),
];
const groups = (shape: number[], count: number, options = {}): Row => [
  `[${shape}] in ${count}${Object.entries(options).map(([name, value]) => `, ${name} ${value}`)}`,
  [N(...shape), N(shape[1]), N(shape[1])],
  ([x, weight, bias]) => groupNorm(x, count, weight, bias, options),
];
const layer = (shape: number[], normal: number[], options = {}): Row => [
  `[${shape}] over [${normal}]${Object.entries(options).map(([name, value]) => `, ${name} ${value}`)}`,
  [N(...shape), N(...normal), N(...normal)],
  ([x, weight, bias]) => layerNorm(x, normal, weight, bias, options),
];

export const normalizationCases: readonly Case[] = [
  ...table('batchNorm2d', {}, [
    given('of images', [2, 3, 4, 5], {}),
    given('of rows', [4, 5], 0.1),
    given('of images, fused ReLU', [2, 3, 5, 3], { relu: true }),
    given('no images', [0, 3, 2, 2], {}),
    [
      'without scale and shift',
      [N(2, 3, 4, 5), N(3), P(3)],
      ([x, mean, variance]) => batchNorm2d(x, null, null, mean, variance, { epsilon: 0.01 }),
    ],
    training('training', [2, 3, 4, 5]),
    training('training, rows', [7, 5]),
    training('training, planes of 17', [3, 2, 17, 1], { epsilon: 0.1 }),
    training('training, fused ReLU', [2, 3, 5, 7], { relu: true }),
    ['training, without scale and shift', [N(2, 3, 4, 5)], ([x]) => batchNorm2d(x, null, null, null, null, { training: true })],
    ['training, without shift', [N(3, 2, 3, 3), N(2)], ([x, scale]) => batchNorm2d(x, scale, null, null, null, { training: true })],
    large(training('training, enough for threads', [4, 9, 60, 61], { relu: true })),
    large(given('enough for threads', [4, 9, 60, 61], {})),
  ]),
  ...table('groupNorm', {}, [
    groups([2, 6, 4, 5], 3),
    groups([2, 6, 3, 3], 1),
    groups([2, 4, 3, 5], 4, { epsilon: 0.1 }),
    groups([3, 8], 2),
    groups([1, 6, 17], 2),
    groups([0, 4, 2, 2], 2),
    ['without weight and bias', [N(2, 4, 3, 3)], ([x]) => groupNorm(x, 2)],
    ['without bias', [N(2, 4, 5), N(4)], ([x, weight]) => groupNorm(x, 2, weight)],
    large(groups([6, 16, 30, 31], 4)),
  ]),
  ...table('layerNorm', {}, [
    layer([4, 7], [7]),
    layer([2, 3, 17], [17], { epsilon: 0.1 }),
    layer([2, 3, 4], [3, 4]),
    layer([5, 33], [33]),
    layer([0, 4], [4]),
    ['without weight and bias', [N(3, 8)], ([x]) => layerNorm(x, 8)],
    ['without weight', [N(3, 2, 4), N(2, 4)], ([x, bias]) => layerNorm(x, [2, 4], null, bias)],
    large(layer([300, 129], [129])),
  ]),
];
