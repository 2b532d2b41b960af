/** Cases of activation functions, and of operations that choose elements by value. */
import {
  add,
  clamp,
  dropout2d,
  erf,
  Generator,
  gelu,
  greater,
  hardSigmoid,
  hardSwish,
  mul,
  prelu,
  relu6,
  silu,
  topk,
  where,
} from '../../tensor/index.js';
import { A, B, type Case, D, L, N, type Row, S, table, W, X } from './case.js';
import { extremes, unary } from './rows.js';

/** Rows with inputs far from zero, which are compared between backends. */
const wide = (op: Parameters<typeof unary>[0]): Row[] => [
  ...unary(op, N),
  ['far from zero', [W(97)], ([x]) => op(x), { gradient: 'compared' }],
  ['up to 8', [N(41)], ([x]) => op(mul(x, 8)), { gradient: 'compared' }],
];

export const activationCases: readonly Case[] = [
  ...table('erf', {}, wide(erf)),
  ...table('silu', {}, wide(silu)),
  ...table('gelu', {}, [
    ...wide((x) => gelu(x)),
    ['approximated', [N(5, 7)], ([x]) => gelu(x, { approximate: 'tanh' })],
    ['approximated, far from zero', [W(97)], ([x]) => gelu(x, { approximate: 'tanh' }), { gradient: 'compared' }],
  ]),
  ...table('hardSigmoid', {}, wide(hardSigmoid)),
  ...table('hardSwish', {}, wide(hardSwish)),
  ...extremes({ hardSigmoid, erf }, [X(67)]),
  ...table('relu6', {}, [
    ...unary(relu6, A),
    ['around 6', [D(4, 9)], ([x]) => relu6(mul(x, 9))],
    ['at its ends', [S(19)], ([x]) => relu6(mul(x, 6)), { gradient: 'compared' }],
  ]),
  ...table('prelu', {}, [
    ['a slope per channel', [A(2, 3, 4, 5), N(3)], ([x, slope]) => prelu(x, slope)],
    ['one slope', [A(2, 3, 4), N(1)], ([x, slope]) => prelu(x, slope)],
    ['rows', [A(5, 7), N(7)], ([x, slope]) => prelu(x, slope)],
    ['at zero', [S(2, 3, 4, 5), N(3)], ([x, slope]) => prelu(x, slope), { gradient: 'compared' }],
  ]),
  ...table('dropout2d', {}, [
    ['probability 0.5', [A(3, 7, 2, 3)], ([x]) => dropout2d(x, 0.5, new Generator(7))],
    ['probability 0.2', [A(2, 5, 1, 4)], ([x]) => dropout2d(x, 0.2, new Generator(8))],
    ['probability 0', [A(1, 2, 2, 2)], ([x]) => dropout2d(x, 0, new Generator(8))],
  ]),
  ...table('where', {}, [
    ['equal shapes', [N(3, 5), N(3, 5)], ([a, b]) => where(greater(a.detach(), 0), a, b)],
    ['an int32 condition', [L(2, 4, 6), N(4, 6), N(4, 6)], ([c, a, b]) => where(c, a, b)],
    ['broadcast operands', [L(2, 3, 1), N(5), N(3, 1)], ([c, a, b]) => where(c, a, b)],
    ['a condition that adds an axis', [L(2, 2, 1, 3), N(4, 1), N()], ([c, a, b]) => where(c, a, b)],
    ['numbers', [L(2, 7), N(7)], ([c, a]) => add(where(c, a, -1.5), where(c, 0, a))],
    ['whole numbers', [L(2, 9), L(50, 9), L(60, 9)], ([c, a, b]) => where(c, a, b), { gradient: 'none' }],
    ['a bytes condition', [{ ...L(2, 3, 4), dtype: 'uint8' }, N(3, 4), N(3, 4)], ([c, a, b]) => where(c, a, b)],
    ['bad values that are not chosen', [X(67)], ([x]) => where(clamp(greater(1, x), 0, 1), 3, x), { gradient: 'compared' }],
    ['nothing', [L(2, 0, 3), N(0, 3), N(3)], ([c, a, b]) => where(c, a, b)],
  ]),
  ...table('topk', {}, [
    ['of rows', [D(4, 7)], ([x]) => topk(x, 3).values],
    ['the smallest', [D(4, 7)], ([x]) => topk(x, 2, { largest: false }).values],
    ['axis 1 of images', [D(2, 6, 3, 4)], ([x]) => topk(x, 4, { axis: 1 }).values],
    ['all of them, below zero', [B(3, 33)], ([x]) => topk(x, 33).values],
    ['none', [D(3, 4)], ([x]) => topk(x, 0).values],
    ['indices with ties', [S(6, 17)], ([x]) => topk(x, 5).indices, { gradient: 'none' }],
    ['indices of the smallest, with ties', [S(5, 9)], ([x]) => topk(x, 9, { largest: false }).indices, { gradient: 'none' }],
    ['indices along axis 0', [S(9, 4)], ([x]) => topk(x, 3, { axis: 0 }).indices, { gradient: 'none' }],
    ['indices with NaN', [X(5, 11)], ([x]) => topk(x, 7).indices, { gradient: 'none' }],
    ['indices of the smallest with NaN', [X(5, 11)], ([x]) => topk(x, 11, { largest: false }).indices, { gradient: 'none' }],
  ]),
];
