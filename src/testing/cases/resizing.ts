/** Cases of interpolation and of pooling to a given output size. */
import { adaptiveAvgPool2d, adaptiveMaxPool2d, type InterpolateOptions, interpolate } from '../../tensor/index.js';
import { type Case, D, N, type Row, S, table } from './case.js';

const resize = (name: string, shape: number[], options: InterpolateOptions): Row => [name, [N(...shape)], ([x]) => interpolate(x, options)];
const average = (shape: number[], size: number | [number, number]): Row => [
  `[${shape}] to ${size}`,
  [N(...shape)],
  ([x]) => adaptiveAvgPool2d(x, size),
];
const maximum = (shape: number[], size: number | [number, number]): Row => [
  `[${shape}] to ${size}`,
  [D(...shape)],
  ([x]) => adaptiveMaxPool2d(x, size),
];

export const resizingCases: readonly Case[] = [
  ...table('interpolate', { sums: true }, [
    resize('nearest, twice', [2, 3, 4, 5], { scaleFactor: 2 }),
    resize('nearest, by 1.7', [1, 2, 5, 7], { scaleFactor: 1.7 }),
    resize('nearest, to a smaller size', [2, 2, 9, 8], { size: [4, 3] }),
    resize('nearest, the same size', [1, 2, 3, 4], { size: [3, 4] }),
    resize('bilinear, twice', [2, 3, 4, 5], { scaleFactor: 2, mode: 'bilinear' }),
    resize('bilinear, by [2.5, 0.6]', [1, 2, 5, 7], { scaleFactor: [2.5, 0.6], mode: 'bilinear' }),
    resize('bilinear, to [7, 3]', [2, 2, 4, 8], { size: [7, 3], mode: 'bilinear' }),
    resize('bilinear, corners aligned', [2, 2, 4, 5], { size: [7, 9], mode: 'bilinear', alignCorners: true }),
    resize('bilinear, corners aligned, to one pixel', [1, 2, 4, 5], { size: 1, mode: 'bilinear', alignCorners: true }),
    resize('bilinear, from one pixel', [2, 1, 1, 1], { size: [3, 2], mode: 'bilinear' }),
    resize('no images', [0, 2, 3, 3], { scaleFactor: 2 }),
  ]),
  ...table('adaptiveAvgPool2d', { sums: true }, [
    average([2, 3, 6, 8], 2),
    average([2, 3, 7, 5], 1),
    average([2, 2, 7, 10], [3, 4]),
    average([1, 2, 5, 4], [5, 3]),
    average([1, 2, 3, 4], [5, 6]),
    average([0, 2, 5, 5], 3),
  ]),
  ...table('adaptiveMaxPool2d', {}, [
    maximum([2, 3, 6, 8], 2),
    maximum([2, 3, 7, 5], 1),
    maximum([2, 2, 7, 10], [3, 4]),
    maximum([1, 2, 5, 4], [5, 3]),
    maximum([1, 2, 3, 4], [5, 6]),
    maximum([0, 2, 5, 5], 3),
    ['ties', [S(2, 2, 7, 10)], ([x]) => adaptiveMaxPool2d(x, [3, 4]), { gradient: 'compared' }],
  ]),
];
