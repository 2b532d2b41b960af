/** GoogLeNet (Szegedy et al. 2014), as in the paper and as in torchvision. */
import { boolean, checkOptions } from '../../backend/validate.js';
import { AuxiliaryHead } from '../containers/auxiliary_head.js';
import { Parallel } from '../containers/parallel.js';
import { Dropout, ReLU } from '../layers/activation.js';
import { Flatten, Linear } from '../layers/linear.js';
import { LocalResponseNorm } from '../layers/normalization.js';
import { AdaptiveAvgPool2d, MaxPool2d } from '../layers/pooling.js';
import type { Module } from '../module.js';
import { Sequential } from '../sequential.js';
import { basicConv } from './basic_conv.js';
import { HeadPool } from './head_pool.js';
import { type AuxiliaryModelOptions, DROPOUT_RULES, scaledBy } from './options.js';

/** Maps of a block: 1×1; 3×3 reduced, 3×3; 5×5 reduced, 5×5; pool projection (Table 1 of the paper). */
type Columns = readonly [one: number, reduce3: number, three: number, reduce5: number, five: number, pool: number];

const BLOCKS: Readonly<Record<string, Columns>> = {
  '3a': [64, 96, 128, 16, 32, 32],
  '3b': [128, 128, 192, 32, 96, 64],
  '4a': [192, 96, 208, 16, 48, 64],
  '4b': [160, 112, 224, 24, 64, 64],
  '4c': [128, 128, 256, 24, 64, 64],
  '4d': [112, 144, 288, 32, 64, 64],
  '4e': [256, 160, 320, 32, 128, 128],
  '5a': [256, 160, 320, 32, 128, 128],
  '5b': [384, 192, 384, 48, 128, 128],
};

/** Differences between the network of the paper and torchvision's. */
interface Style {
  norm: 'none' | 'batch';
  /** Local response normalisation in the stem. */
  localResponse: boolean;
  /** Kernel of the branch that the paper calls 5×5; torchvision's is 3×3, a slip kept for the published weights. */
  wide: 3 | 5;
  /** Kernel of the pooling after block 4e. */
  lastPool: 2 | 3;
  dropout: number;
  headDropout: number;
}

const PAPER: Style = { norm: 'none', localResponse: true, wide: 5, lastPool: 3, dropout: 0.4, headDropout: 0.7 };
const TORCHVISION: Style = { norm: 'batch', localResponse: false, wide: 3, lastPool: 2, dropout: 0.2, headDropout: 0.7 };

const pool = (kernel: number): Module => new MaxPool2d(kernel, { stride: 2, ceilMode: true });

function build(op: string, style: Style, options: AuxiliaryModelOptions): Sequential {
  checkOptions(op, options, { ...DROPOUT_RULES, auxiliary: boolean });
  const { classes = 1000, dropout = style.dropout, width = 1, auxiliary = true } = options;
  const scaled = scaledBy(width);
  const conv = basicConv(style.norm);
  const layers: Record<string, Module> = {};
  let channels = options.channels ?? 3;
  const add = (name: string, layer: Module) => {
    layers[name] = layer;
  };
  const norm = (place: number) => {
    if (style.localResponse) add(`norm${place}`, new LocalResponseNorm({ size: 5, alpha: 1e-4, beta: 0.75, k: 1 }));
  };
  const inception = (name: string) => {
    const [one, reduce3, three, reduce5, five, projection] = BLOCKS[name].map((maps) => scaled(maps));
    const from = channels;
    channels = one + three + five + projection;
    const branches = {
      branch1: conv(from, one, 1),
      branch2: new Sequential([conv(from, reduce3, 1), conv(reduce3, three, 3, { padding: 1 })]),
      branch3: new Sequential([conv(from, reduce5, 1), conv(reduce5, five, style.wide, { padding: style.wide >> 1 })]),
      branch4: new Sequential([new MaxPool2d(3, { stride: 1, padding: 1, ceilMode: true }), conv(from, projection, 1)]),
    };
    add(`inception${name}`, new Parallel(branches));
  };
  const head = (name: string) => {
    if (auxiliary) add(name, new AuxiliaryHead(auxiliaryClassifier(style, channels, scaled, classes)));
  };

  add('conv1', conv(channels, scaled(64), 7, { stride: 2, padding: 3 }));
  add('maxpool1', pool(3));
  norm(1);
  add('conv2', conv(scaled(64), scaled(64), 1));
  add('conv3', conv(scaled(64), scaled(192), 3, { padding: 1 }));
  norm(2);
  add('maxpool2', pool(3));
  channels = scaled(192);
  for (const name of Object.keys(BLOCKS)) {
    inception(name);
    if (name === '3b') add('maxpool3', pool(3));
    if (name === '4a') head('aux1');
    if (name === '4d') head('aux2');
    if (name === '4e') add('maxpool4', pool(style.lastPool));
  }
  add('avgpool', new AdaptiveAvgPool2d(1));
  add('flatten', new Flatten());
  add('dropout', new Dropout(dropout));
  add('fc', new Linear(channels, classes));
  return new Sequential(layers);
}

function auxiliaryClassifier(style: Style, channels: number, scaled: ReturnType<typeof scaledBy>, classes: number): Sequential {
  const [maps, units] = [scaled(128), scaled(1024)];
  return new Sequential({
    // torchvision pools adaptively; the windows of the paper give the same size for inputs of 224 pixels.
    pool: style.norm === 'batch' ? new AdaptiveAvgPool2d(4) : new HeadPool(4),
    conv: basicConv(style.norm)(channels, maps, 1),
    flatten: new Flatten(),
    fc1: new Linear(maps * 16, units),
    relu: new ReLU(),
    dropout: new Dropout(style.headDropout),
    fc2: new Linear(units, classes),
  });
}

/**
 * GoogLeNet of the paper: local response normalisation in the stem, 5×5 convolutions, dropout 0.4, and two auxiliary classifiers, active
 * in training only, whose losses count 0.3 each. Inputs are [N, 3, 224, 224], or of another size from 32 pixels on. Layers have
 * torchvision's names: `conv1`, `inception3a` … `inception5b`, `fc`.
 *
 * @example const network = googlenet({ classes: 10, width: 0.25 });
 */
export const googlenet = (options: AuxiliaryModelOptions = {}): Sequential => build('googlenet', PAPER, options);

/**
 * torchvision's GoogLeNet: batch normalisation, no local response normalisation, and 3×3 in the place of 5×5 convolutions. Its published
 * state dictionary holds both auxiliary classifiers, and expects inputs in [−1, 1].
 */
export const torchvisionGooglenet = (options: AuxiliaryModelOptions = {}): Sequential => build('googlenet', TORCHVISION, options);
