/** VGG (Simonyan & Zisserman 2014) as in torchvision, without batch normalisation. */
import { checkOptions } from '../../backend/validate.js';
import { Dropout, ReLU } from '../layers/activation.js';
import { Conv2d } from '../layers/conv2d.js';
import { Flatten, Linear } from '../layers/linear.js';
import { AdaptiveAvgPool2d, MaxPool2d } from '../layers/pooling.js';
import type { Module } from '../module.js';
import { Sequential } from '../sequential.js';
import { CLASSIFIER_RULES } from './options.js';

/** Feature maps of each 3×3 convolution, by depth. Each inner list is a block, and max pooling follows each block. */
const BLOCKS = {
  11: [[64], [128], [256, 256], [512, 512], [512, 512]],
  13: [
    [64, 64],
    [128, 128],
    [256, 256],
    [512, 512],
    [512, 512],
  ],
  16: [
    [64, 64],
    [128, 128],
    [256, 256, 256],
    [512, 512, 512],
    [512, 512, 512],
  ],
  19: [
    [64, 64],
    [128, 128],
    [256, 256, 256, 256],
    [512, 512, 512, 512],
    [512, 512, 512, 512],
  ],
} as const;

export interface VggOptions {
  /** Default 1000. */
  classes?: number;
  /** Dropout probability. Default 0.5. */
  dropout?: number;
}

function vgg(depth: keyof typeof BLOCKS, options: VggOptions): Sequential {
  checkOptions(`vgg${depth}`, options, CLASSIFIER_RULES);
  const { classes = 1000, dropout = 0.5 } = options;
  const layers: Record<string, Module> = {};
  let place = 0;
  let channels = 3;
  const add = (layer: Module) => {
    layers[`features.${place++}`] = layer;
  };
  for (const block of BLOCKS[depth]) {
    for (const maps of block) {
      add(new Conv2d(channels, maps, 3, { padding: 1 }));
      add(new ReLU());
      channels = maps;
    }
    add(new MaxPool2d(2));
  }
  return new Sequential({
    ...layers,
    avgpool: new AdaptiveAvgPool2d(7),
    flatten: new Flatten(),
    'classifier.0': new Linear(512 * 49, 4096),
    'classifier.1': new ReLU(),
    'classifier.2': new Dropout(dropout),
    'classifier.3': new Linear(4096, 4096),
    'classifier.4': new ReLU(),
    'classifier.5': new Dropout(dropout),
    'classifier.6': new Linear(4096, classes),
  });
}

/**
 * VGG with the names and shapes of torchvision: `features.0.weight` … `classifier.6.bias`, inputs [N, 3, 224, 224].
 *
 * @example const bytes = trainingBytes(() => vgg11({ classes: 10 }), [8, 3, 224, 224]); // vgg11() alone builds it
 */
export const vgg11 = (options: VggOptions = {}): Sequential => vgg(11, options);
/**
 * VGG-13 with the layers, names and shapes of torchvision.
 *
 * @example const bytes = trainingBytes(() => vgg13({ classes: 10 }), [8, 3, 224, 224]); // vgg13() alone builds it
 */
export const vgg13 = (options: VggOptions = {}): Sequential => vgg(13, options);
/**
 * VGG-16 with the layers, names and shapes of torchvision.
 *
 * @example const bytes = trainingBytes(() => vgg16({ classes: 10 }), [8, 3, 224, 224]); // vgg16() alone builds it
 */
export const vgg16 = (options: VggOptions = {}): Sequential => vgg(16, options);
/**
 * VGG-19 with the layers, names and shapes of torchvision.
 *
 * @example const bytes = trainingBytes(() => vgg19({ classes: 10 }), [8, 3, 224, 224]); // vgg19() alone builds it
 */
export const vgg19 = (options: VggOptions = {}): Sequential => vgg(19, options);
