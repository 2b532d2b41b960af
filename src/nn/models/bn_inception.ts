/** Inception with batch normalisation (Ioffe & Szegedy 2015). */
import { checkOptions } from '../../backend/validate.js';
import { Parallel } from '../containers/parallel.js';
import { Dropout } from '../layers/activation.js';
import { Flatten, Linear } from '../layers/linear.js';
import { AdaptiveAvgPool2d, AvgPool2d, MaxPool2d } from '../layers/pooling.js';
import type { Module } from '../module.js';
import { Sequential } from '../sequential.js';
import { basicConv } from './basic_conv.js';
import { DROPOUT_RULES, type DropoutModelOptions, scaledBy } from './options.js';

/** Maps of a block: 1×1; 3×3 reduced, 3×3; double 3×3 reduced, double 3×3; pool projection. 0: the branch is missing, or it passes the pool. */
interface Block {
  maps: readonly [one: number, reduce: number, three: number, reduceDouble: number, double: number, projection: number];
  pool: 'average' | 'max';
}

const block = (pool: Block['pool'], ...maps: Block['maps']): Block => ({ pool, maps });

/** Blocks 3c and 4e have stride 2. The paper prints 576 maps behind 4c and 4d, but its columns add up to 608, which ported weights have. */
const BLOCKS: Readonly<Record<string, Block>> = {
  '3a': block('average', 64, 64, 64, 64, 96, 32),
  '3b': block('average', 64, 64, 96, 64, 96, 64),
  '3c': block('max', 0, 128, 160, 64, 96, 0),
  '4a': block('average', 224, 64, 96, 96, 128, 128),
  '4b': block('average', 192, 96, 128, 96, 128, 128),
  '4c': block('average', 160, 128, 160, 128, 160, 128),
  '4d': block('average', 96, 128, 192, 160, 192, 128),
  '4e': block('max', 0, 128, 192, 192, 256, 0),
  '5a': block('average', 352, 192, 320, 160, 224, 128),
  '5b': block('max', 352, 192, 320, 192, 224, 128),
};

const conv = basicConv('batch-and-bias');

/** One block, and its number of output maps. */
function inception({ maps, pool }: Block, from: number, scaled: ReturnType<typeof scaledBy>): { layer: Module; maps: number } {
  const [one, reduce, three, reduceDouble, double, projection] = maps.map((count) => (count === 0 ? 0 : scaled(count)));
  const stride = one === 0 ? 2 : 1;
  const last = { stride, padding: 1 };
  const pooled =
    stride === 2
      ? new MaxPool2d(3, { stride, ceilMode: true })
      : pool === 'max'
        ? new MaxPool2d(3, { stride: 1, padding: 1 })
        : new AvgPool2d(3, { stride: 1, padding: 1 });
  const branches: Record<string, Module> = {
    ...(one > 0 && { branch1: conv(from, one, 1) }),
    branch2: new Sequential([conv(from, reduce, 1), conv(reduce, three, 3, last)]),
    branch3: new Sequential([conv(from, reduceDouble, 1), conv(reduceDouble, double, 3, { padding: 1 }), conv(double, double, 3, last)]),
    branch4: new Sequential(projection > 0 ? [pooled, conv(from, projection, 1)] : [pooled]),
  };
  return { layer: new Parallel(branches), maps: one + three + double + (projection || from) };
}

/**
 * BN-Inception: GoogLeNet with two 3×3 convolutions in the place of each 5×5, batch normalisation before every ReLU, and blocks `3c` and
 * `4e` of stride 2. No dropout by default, as the paper advises with batch normalisation. Inputs are [N, 3, 224, 224], or of another size
 * from 32 pixels on.
 *
 * @example const network = bnInception({ classes: 10, width: 0.25 });
 */
export function bnInception(options: DropoutModelOptions = {}): Sequential {
  checkOptions('bnInception', options, DROPOUT_RULES);
  const { classes = 1000, channels = 3, dropout = 0, width = 1 } = options;
  const scaled = scaledBy(width);
  const layers: Record<string, Module> = {
    conv1: conv(channels, scaled(64), 7, { stride: 2, padding: 3 }),
    maxpool1: new MaxPool2d(3, { stride: 2, ceilMode: true }),
    conv2: conv(scaled(64), scaled(64), 1),
    conv3: conv(scaled(64), scaled(192), 3, { padding: 1 }),
    maxpool2: new MaxPool2d(3, { stride: 2, ceilMode: true }),
  };
  let maps = scaled(192);
  for (const [name, spec] of Object.entries(BLOCKS)) {
    const made = inception(spec, maps, scaled);
    layers[`inception${name}`] = made.layer;
    maps = made.maps;
  }
  layers.avgpool = new AdaptiveAvgPool2d(1);
  layers.flatten = new Flatten();
  if (dropout > 0) layers.dropout = new Dropout(dropout);
  layers.fc = new Linear(maps, classes);
  return new Sequential(layers);
}
