/** The losses by examples, for the list in cases.ts. */
import { bceWithLogits, crossEntropy, mseLoss, mul, type Reduction, smoothL1Loss } from '../../tensor/index.js';
import { type Case, floats, L, N, type Row, table, W } from './case.js';
import * as formula from './formula.js';

const REDUCTIONS: readonly Reduction[] = ['mean', 'sum', 'none'];

/** Targets in [0, 1). */
const U = floats(formula.units);
/** Errors on both sides of 1, none within 0.1 of it: numbers in (1.1, 2) and (−0.9, 0.9) by turns. */
const E = floats((size, seed) => formula.apart(size, seed).map((v, i) => Math.fround(i % 2 ? 1 + Math.abs(v) : 0.9 * v)));
/** Zeros. */
const Z = floats((size) => new Array(size).fill(0));

const weights = formula.positive(7, 3);

const reducedRows = (name: string, row: (reduction: Reduction) => Row[2], inputs: Row[1]): Row[] =>
  REDUCTIONS.map((reduction) => [`${name}, ${reduction}`, inputs, row(reduction)]);

export const lossCases: readonly Case[] = [
  ...table('crossEntropy', {}, [
    ...reducedRows(
      'label smoothing',
      (reduction) =>
        ([x, t]) =>
          crossEntropy(x, t, { labelSmoothing: 0.2, reduction }),
      [N(5, 7), L(7, 5)],
    ),
    ...reducedRows(
      'weights',
      (reduction) =>
        ([x, t]) =>
          crossEntropy(x, t, { weight: weights, reduction }),
      [N(6, 7), L(7, 6)],
    ),
    ['weights and label smoothing', [N(9, 7), L(7, 9)], ([x, t]) => crossEntropy(x, t, { weight: weights, labelSmoothing: 0.1 })],
    ['one loss per row of far apart logits', [W(5, 6), L(6, 5)], ([x, t]) => crossEntropy(x, t, { reduction: 'none' })],
    ['the sum under another operation', [N(4, 17), L(17, 4)], ([x, t]) => mul(crossEntropy(x, t, { reduction: 'sum' }), 3)],
  ]),
  ...table('mseLoss', {}, [
    ...reducedRows(
      '[3, 5]',
      (reduction) =>
        ([x, t]) =>
          mseLoss(x, t, { reduction }),
      [N(3, 5), N(3, 5)],
    ),
    ['one number', [N(), N()], ([x, t]) => mseLoss(x, t)],
    ['[2, 3, 4, 5]', [N(2, 3, 4, 5), N(2, 3, 4, 5)], ([x, t]) => mseLoss(x, t)],
  ]),
  ...table('smoothL1Loss', {}, [
    ...reducedRows(
      '[4, 17]',
      (reduction) =>
        ([x, t]) =>
          smoothL1Loss(x, t, { reduction }),
      [E(4, 17), Z(4, 17)],
    ),
    ['beta 0', [E(3, 5), Z(3, 5)], ([x, t]) => smoothL1Loss(x, t, { beta: 0 })],
    ['beta 3', [N(3, 5), N(3, 5)], ([x, t]) => smoothL1Loss(x, t, { beta: 3, reduction: 'sum' })],
  ]),
  ...table('bceWithLogits', {}, [
    ...reducedRows(
      '[4, 7]',
      (reduction) =>
        ([x, t]) =>
          bceWithLogits(x, t, { reduction }),
      [N(4, 7), U(4, 7)],
    ),
    ...reducedRows(
      'weights',
      (reduction) =>
        ([x, t]) =>
          bceWithLogits(x, t, { weight: weights, reduction }),
      [N(4, 7), U(4, 7)],
    ),
    ...reducedRows(
      'positive weights',
      (reduction) =>
        ([x, t]) =>
          bceWithLogits(x, t, { posWeight: weights, reduction }),
      [N(4, 7), U(4, 7)],
    ),
    ['logits of 0', [Z(3, 5), U(3, 5)], ([x, t]) => bceWithLogits(x, t)],
    ['logits of 0 with positive weights', [Z(3, 7), U(3, 7)], ([x, t]) => bceWithLogits(x, t, { posWeight: weights })],
    ['far apart logits', [W(5, 6), U(5, 6)], ([x, t]) => bceWithLogits(x, t, { reduction: 'none' })],
  ]),
];
