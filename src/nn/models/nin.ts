/** Network in network (Lin, Chen & Yan 2013): convolutions followed by 1×1 convolutions, and the mean of each last map as a class score. */
import { checkOptions } from '../../backend/validate.js';
import { Dropout, ReLU } from '../layers/activation.js';
import { Conv2d } from '../layers/conv2d.js';
import { Flatten } from '../layers/linear.js';
import { AdaptiveAvgPool2d, MaxPool2d } from '../layers/pooling.js';
import type { Module } from '../module.js';
import { Sequential } from '../sequential.js';
import { DROPOUT_RULES, type DropoutModelOptions, scaledBy } from './options.js';

/** Maps of a convolution and of the two 1×1 convolutions that follow it; null stands for the number of classes. */
interface Block {
  maps: readonly [number, number, number | null];
  kernel: number;
  stride?: number;
  padding?: number;
}

interface Configuration {
  blocks: readonly Block[];
  classes: number;
  channels: number;
  /** Whether dropout follows every pooling (true), or only the last one. */
  dropAll: boolean;
}

const block = (maps: Block['maps'], kernel: number, padding: number, stride?: number): Block => ({ maps, kernel, padding, stride });

const CIFAR: Configuration = {
  blocks: [block([192, 160, 96], 5, 2), block([192, 192, 192], 5, 2), block([192, 192, null], 3, 1)],
  classes: 10,
  channels: 3,
  dropAll: true,
};
const MNIST: Configuration = {
  blocks: [block([96, 64, 48], 5, 2), block([128, 96, 48], 5, 2), block([128, 96, null], 5, 2)],
  classes: 10,
  channels: 1,
  dropAll: true,
};
const IMAGENET: Configuration = {
  blocks: [block([96, 96, 96], 11, 0, 4), block([256, 256, 256], 5, 2), block([384, 384, 384], 3, 1), block([1024, 1024, null], 3, 1)],
  classes: 1000,
  channels: 3,
  dropAll: false,
};

function networkInNetwork(op: string, configuration: Configuration, options: DropoutModelOptions): Sequential {
  checkOptions(op, options, DROPOUT_RULES);
  const { classes = configuration.classes, dropout = 0.5, width = 1 } = options;
  const scaled = scaledBy(width);
  const { blocks } = configuration;
  const layers: Record<string, Module> = {};
  let channels = options.channels ?? configuration.channels;
  for (const [i, { maps, kernel, stride = 1, padding = 0 }] of blocks.entries()) {
    for (const [j, count] of maps.entries()) {
      const to = count === null ? classes : scaled(count);
      // The names of the authors' files: the 1×1 convolutions are `cccp`, cascaded cross-channel parametric pooling.
      const name = j === 0 ? `${i + 1}` : `${2 * i + j}`;
      layers[j === 0 ? `conv${name}` : `cccp${name}`] =
        j === 0 ? new Conv2d(channels, to, kernel, { stride, padding }) : new Conv2d(channels, to, 1);
      layers[j === 0 ? `relu${name}` : `relu_cccp${name}`] = new ReLU();
      channels = to;
    }
    if (i === blocks.length - 1) break;
    layers[`pool${i + 1}`] = new MaxPool2d(3, { stride: 2, ceilMode: true });
    if (configuration.dropAll || i === blocks.length - 2) layers[`drop${i + 1}`] = new Dropout(dropout);
  }
  return new Sequential({ ...layers, avgpool: new AdaptiveAvgPool2d(1), flatten: new Flatten() });
}

/**
 * Network in network for CIFAR-10: inputs [N, 3, 32, 32], or of any other size from 6 pixels on. Its last layers are the class maps and their means.
 *
 * @example const network = nin({ classes: 10, width: 0.25 });
 */
export const nin = (options: DropoutModelOptions = {}): Sequential => networkInNetwork('nin', CIFAR, options);
/**
 * Network in network for MNIST: inputs [N, 1, 28, 28].
 *
 * @example const network = ninMnist({ classes: 10, width: 0.25 });
 */
export const ninMnist = (options: DropoutModelOptions = {}): Sequential => networkInNetwork('ninMnist', MNIST, options);
/**
 * Network in network for ImageNet: inputs [N, 3, 224, 224].
 *
 * @example const network = ninImagenet({ classes: 10, width: 0.25 });
 */
export const ninImagenet = (options: DropoutModelOptions = {}): Sequential => networkInNetwork('ninImagenet', IMAGENET, options);
