/** VGG (Simonyan & Zisserman 2014), with and without batch normalisation. Names and shapes are those of torchvision. */
import { checkOptions } from '../../backend/validate.js';
import { Dropout, ReLU } from '../layers/activation.js';
import { Conv2d } from '../layers/conv2d.js';
import { Flatten, Linear } from '../layers/linear.js';
import { BatchNorm2d, LocalResponseNorm } from '../layers/normalization.js';
import { AdaptiveAvgPool2d, MaxPool2d } from '../layers/pooling.js';
import type { Module } from '../module.js';
import { Sequential } from '../sequential.js';
import { DROPOUT_RULES, type DropoutModelOptions, scaledBy } from './options.js';

/** Options of the VGG networks. */
export type VggOptions = DropoutModelOptions;

/** A configuration of the paper's Table 1. */
interface Configuration {
  /** Number of convolutions of each block. Max pooling follows each block. */
  convolutions: readonly [number, number, number, number, number];
  /** Normalisation: batch normalisation after every convolution, or local response normalisation after the first one. */
  norm?: 'batch' | 'local-response';
  /** Whether the third convolution of a block is 1×1, as in configuration C. */
  pointwise?: boolean;
}

const MAPS = [64, 128, 256, 512, 512] as const;
const A: Configuration = { convolutions: [1, 1, 2, 2, 2] };
const B: Configuration = { convolutions: [2, 2, 2, 2, 2] };
const C: Configuration = { convolutions: [2, 2, 3, 3, 3], pointwise: true };
const D: Configuration = { convolutions: [2, 2, 3, 3, 3] };
const E: Configuration = { convolutions: [2, 2, 4, 4, 4] };

function vgg(op: string, { convolutions, norm, pointwise = false }: Configuration, options: VggOptions): Sequential {
  checkOptions(op, options, DROPOUT_RULES);
  const { classes = 1000, dropout = 0.5, width = 1 } = options;
  const scaled = scaledBy(width);
  const layers: Record<string, Module> = {};
  let place = 0;
  let channels = options.channels ?? 3;
  const add = (layer: Module) => {
    layers[`features.${place++}`] = layer;
  };
  for (const [block, count] of convolutions.entries()) {
    for (let i = 0; i < count; i++) {
      const maps = scaled(MAPS[block]);
      add(pointwise && i === 2 ? new Conv2d(channels, maps, 1) : new Conv2d(channels, maps, 3, { padding: 1 }));
      if (norm === 'batch') add(new BatchNorm2d(maps));
      add(new ReLU());
      if (norm === 'local-response' && place === 2) add(new LocalResponseNorm({ size: 5, alpha: 5e-4, beta: 0.75, k: 2 }));
      channels = maps;
    }
    add(new MaxPool2d(2));
  }
  const units = scaled(4096);
  return new Sequential({
    ...layers,
    avgpool: new AdaptiveAvgPool2d(7),
    flatten: new Flatten(),
    'classifier.0': new Linear(channels * 49, units),
    'classifier.1': new ReLU(),
    'classifier.2': new Dropout(dropout),
    'classifier.3': new Linear(units, units),
    'classifier.4': new ReLU(),
    'classifier.5': new Dropout(dropout),
    'classifier.6': new Linear(units, classes),
  });
}

/**
 * VGG-11, configuration A of the paper: `features.0.weight` … `classifier.6.bias`, inputs [N, 3, H, W] of at least 32 pixels.
 *
 * @example const network = vgg11({ classes: 10, width: 0.1 });
 */
export const vgg11 = (options: VggOptions = {}): Sequential => vgg('vgg11', A, options);
/**
 * VGG-11 with local response normalisation after the first convolution, configuration A-LRN. Not in torchvision.
 *
 * @example const network = vgg11Lrn({ classes: 10, width: 0.1 });
 */
export const vgg11Lrn = (options: VggOptions = {}): Sequential => vgg('vgg11Lrn', { ...A, norm: 'local-response' }, options);
/**
 * VGG-13, configuration B.
 *
 * @example const network = vgg13({ classes: 10, width: 0.1 });
 */
export const vgg13 = (options: VggOptions = {}): Sequential => vgg('vgg13', B, options);
/**
 * VGG-16, configuration D.
 *
 * @example const network = vgg16({ classes: 10, width: 0.1 });
 */
export const vgg16 = (options: VggOptions = {}): Sequential => vgg('vgg16', D, options);
/**
 * VGG-16 whose third convolutions in blocks 3 to 5 are 1×1, configuration C. Not in torchvision.
 *
 * @example const network = vgg16C({ classes: 10, width: 0.1 });
 */
export const vgg16C = (options: VggOptions = {}): Sequential => vgg('vgg16C', C, options);
/**
 * VGG-19, configuration E.
 *
 * @example const network = vgg19({ classes: 10, width: 0.1 });
 */
export const vgg19 = (options: VggOptions = {}): Sequential => vgg('vgg19', E, options);
/**
 * VGG-11 with batch normalisation, torchvision's `vgg11_bn`.
 *
 * @example const network = vgg11Bn({ classes: 10, width: 0.1 });
 */
export const vgg11Bn = (options: VggOptions = {}): Sequential => vgg('vgg11Bn', { ...A, norm: 'batch' }, options);
/**
 * VGG-13 with batch normalisation, torchvision's `vgg13_bn`.
 *
 * @example const network = vgg13Bn({ classes: 10, width: 0.1 });
 */
export const vgg13Bn = (options: VggOptions = {}): Sequential => vgg('vgg13Bn', { ...B, norm: 'batch' }, options);
/**
 * VGG-16 with batch normalisation, torchvision's `vgg16_bn`.
 *
 * @example const network = vgg16Bn({ classes: 10, width: 0.1 });
 */
export const vgg16Bn = (options: VggOptions = {}): Sequential => vgg('vgg16Bn', { ...D, norm: 'batch' }, options);
/**
 * VGG-19 with batch normalisation, torchvision's `vgg19_bn`.
 *
 * @example const network = vgg19Bn({ classes: 10, width: 0.1 });
 */
export const vgg19Bn = (options: VggOptions = {}): Sequential => vgg('vgg19Bn', { ...E, norm: 'batch' }, options);
