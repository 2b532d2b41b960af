/** Cases of operations that select, join, cut and reorder elements. */
import { add, arange, clone, flip, gather, indexSelect, mul, split, stack, take } from '../../tensor/index.js';
import { type Case, L, N, table } from './case.js';
import { on } from './rows.js';

const permutation = {
  ...L(20, 4, 5),
  values: (size: number) => Array.from({ length: size }, (_, i) => (7 * i + 3) % size),
};

export const selectionCases: readonly Case[] = [
  ...table('take', {}, [['a permutation', [N(4, 5), permutation], ([x, indices]) => take(x, indices)]]),
  ...table('indexSelect', {}, [
    ['flat, a permutation of rows', [N(4, 5), permutation], ([x, indices]) => indexSelect(x, indices)],
    ['flat, repeated, into another shape', [N(3, 4), L(12, 5, 7)], ([x, indices]) => indexSelect(x, indices)],
    ['flat, a few', [N(40), L(40, 6)], ([x, indices]) => indexSelect(x, indices)],
    ['flat, none', [N(3), L(3, 0)], ([x, indices]) => indexSelect(x, indices)],
    ['rows', [N(5, 3), L(5, 7)], ([x, indices]) => indexSelect(x, indices, { axis: 0 })],
    ['the middle axis, as PyTorch orders arguments', [N(2, 5, 3), L(5, 4)], ([x, indices]) => indexSelect(x, 1, indices)],
    ['the last axis, by an array', [N(2, 3, 5)], ([x]) => indexSelect(x, [4, 0, 0, 2], { axis: -1 })],
    ['a matrix of indices', [N(3, 4), L(3, 2, 2)], ([x, indices]) => indexSelect(x, indices, { axis: 0 })],
    ['along an axis, none', [N(3, 4)], ([x]) => indexSelect(x, [], { axis: 1 })],
  ]),
  ...table('gather', {}, [
    ['axis 0', [N(5, 4), L(5, 3, 4)], ([x, indices]) => gather(x, indices)],
    ['axis 1, as PyTorch orders arguments', [N(4, 6), L(6, 4, 2)], ([x, indices]) => gather(x, 1, indices)],
    ['the last axis, fewer rows', [N(3, 4, 5), L(5, 2, 3, 7)], ([x, indices]) => gather(x, indices, { axis: -1 })],
    ['none', [N(3, 4), L(4, 0, 4)], ([x, indices]) => gather(x, indices, { axis: 1 })],
  ]),
  ...table('flip', {}, [
    ...on([N(2, 3, 4, 5)], {
      'the last axis': ([x]) => flip(x, 3),
      'the first axis': ([x]) => flip(x, 0),
      'two axes': ([x]) => flip(x, [1, -1]),
      'all axes': ([x]) => flip(x),
    }),
    ['a matrix of 17 × 33', [N(17, 33)], ([x]) => flip(x, [0, 1])],
    ['rows of 33', [N(9, 33)], ([x]) => flip(x, 1)],
    ['nothing', [N(0, 3)], ([x]) => flip(x, 1)],
    ['whole numbers', [L(99, 3, 7)], ([x]) => flip(x, 1), { gradient: 'none' }],
  ]),
  ...table('clone', {}, [
    ['floats', [N(3, 7)], ([x]) => clone(x)],
    ['used twice', [N(5)], ([x]) => add(clone(x), mul(clone(x), x))],
    ['whole numbers', [L(99, 3, 7)], ([x]) => clone(x), { gradient: 'none' }],
  ]),
  ...table('stack', {}, [
    ['at 0', [N(3, 4), N(3, 4)], (all) => stack(all)],
    ['at the end', [N(3, 4), N(3, 4), N(3, 4)], (all) => stack(all, -1)],
    ['in the middle', [N(2, 3), N(2, 3)], (all) => stack(all, 1)],
    ['numbers', [N(), N()], (all) => stack(all)],
  ]),
  ...table('split', {}, [
    ['equal parts with a rest', [N(7, 3)], ([x]) => mul(split(x, 3)[2], 2)],
    ['given sizes', [N(2, 6)], ([x]) => add(split(x, [1, 4, 1], 1)[0], split(x, [1, 4, 1], 1)[2])],
    ['all parts', [N(2, 5)], ([x]) => stack(split(x, 1, 1), 0)],
    ['an empty part', [N(3, 2)], ([x]) => split(x, [0, 3])[0]],
  ]),
  ...table('arange', { gradient: 'none' }, [
    ['to 5', [], () => arange(5)],
    ['from 2 to 9 by 3', [], () => arange(2, 9, 3)],
    ['downwards, fractions', [], () => arange(1, -1, -0.25)],
    ['whole numbers', [], () => arange(-3, 4, { dtype: 'int32' })],
    ['nothing', [], () => arange(3, 3)],
  ]),
];
