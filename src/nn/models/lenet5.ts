/** LeNet-5 (LeCun, Bottou, Bengio & Haffner 1998): the network of the paper, and the modern form of it. */
import { checkOptions, integer } from '../../backend/validate.js';
import { ReLU } from '../layers/activation.js';
import { Conv2d } from '../layers/conv2d.js';
import { PartialConv2d, RadialBasis, randomCodes, ScaledTanh, Subsampling2d } from '../layers/lenet.js';
import { Flatten, Linear } from '../layers/linear.js';
import { MaxPool2d } from '../layers/pooling.js';
import type { Module } from '../module.js';
import type { Sequential } from '../sequential.js';
import { DIGIT_CODES } from './digit_codes.js';
import { MODEL_RULES, type ModelOptions, scaledBy } from './options.js';
import { SizedRow } from './sized_row.js';

/** Options of the two LeNets. */
export interface LenetOptions extends ModelOptions {
  /** Height and width of the input in pixels. Default 32. */
  inputSize?: number;
}

const RULES = { ...MODEL_RULES, inputSize: integer(1) };

/**
 * LeNet-5 as it is taught today: 5×5 convolutions of 6 and 16 maps with a full table, max pooling, ReLU, and fully connected layers of
 * 120, 84 and 10 units. Inputs are [N, 1, 32, 32].
 *
 * @example const network = lenet5();   // 61,706 parameters
 * @throws ShapeError naming the first layer for which the input size is too small; the least is 16
 */
export function lenet5(options: LenetOptions = {}): Sequential {
  checkOptions('lenet5', options, RULES);
  const { classes = 10, channels = 1, width = 1, inputSize = 32 } = options;
  const scaled = scaledBy(width);
  const row = new SizedRow('lenet5', channels, inputSize);
  for (const [i, maps] of [6, 16].entries()) {
    row.add(`conv${i + 1}`, new Conv2d(row.channels, scaled(maps), 5));
    row.add(`relu${i + 1}`, new ReLU());
    row.add(`pool${i + 1}`, new MaxPool2d(2));
  }
  row.add('flatten', new Flatten());
  for (const [i, units] of [120, 84].entries()) {
    row.add(`fc${i + 3}`, new Linear(row.channels, scaled(units)));
    row.add(`relu${i + 3}`, new ReLU());
  }
  row.add('fc5', new Linear(row.channels, classes));
  return row.build();
}

/** Maps of S2 that each map of C3 sees (Table I of the paper). */
const TABLE: readonly (readonly number[])[] = [
  ...[0, 1, 2, 3, 4, 5].map((i) => [i, (i + 1) % 6, (i + 2) % 6]),
  ...[0, 1, 2, 3, 4, 5].map((i) => [i, (i + 1) % 6, (i + 2) % 6, (i + 3) % 6]),
  ...[0, 1, 2].map((i) => [i, i + 1, i + 3, (i + 4) % 6]),
  [0, 1, 2, 3, 4, 5],
].map((inputs) => [...inputs].sort((a, b) => a - b));

/** Bits of the codes: characters of 7 × 12 pixels. */
const CODE_LENGTH = 84;

/**
 * LeNet-5 of 1998: layer `c3` sees only some of the maps of `s2`, subsampling has trained coefficients, activations are 1.7159 · tanh(2x/3),
 * and the outputs are distances to fixed codes of 7×12 pixels, with negative sign, so that they serve as logits. Inputs are [N, 1, 32, 32]
 * with a background of −0.1 and ink of 1.175. 60,000 parameters are trained. `width` scales the maps of `c5` only, since the table
 * fixes the others.
 *
 * For other than ten classes the codes are random.
 *
 * @example const network = lenet51998();   // 60,000 parameters
 * @throws ShapeError naming the first layer for which the input size is too small; the least is 32
 */
export function lenet51998(options: LenetOptions = {}): Sequential {
  checkOptions('lenet51998', options, RULES);
  const { classes = 10, channels = 1, width = 1, inputSize = 32 } = options;
  const row = new SizedRow('lenet51998', channels, inputSize);
  const add = (name: string, layer: Module) => {
    row.add(name, layer);
    row.add(`tanh_${name}`, new ScaledTanh());
  };
  add('c1', new Conv2d(channels, 6, 5));
  add('s2', new Subsampling2d(6));
  add('c3', new PartialConv2d(6, TABLE, 5));
  add('s4', new Subsampling2d(16));
  add('c5', new Conv2d(16, scaledBy(width)(120), 5));
  row.add('flatten', new Flatten());
  add('f6', new Linear(row.channels, CODE_LENGTH));
  row.add('rbf', new RadialBasis(classes === DIGIT_CODES.length ? DIGIT_CODES : randomCodes(classes, CODE_LENGTH)));
  return row.build();
}
