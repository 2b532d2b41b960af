/** The convolution with normalisation and ReLU that GoogLeNet and the Inception networks are built of. */
import type { Pair } from '../../tensor/index.js';
import { ReLU } from '../layers/activation.js';
import { Conv2d } from '../layers/conv2d.js';
import { BatchNorm2d } from '../layers/normalization.js';
import type { Module } from '../module.js';
import { Sequential } from '../sequential.js';

/**
 * What follows each convolution besides the ReLU: nothing, or batch normalisation. The convolution has no bias before batch normalisation,
 * except with `batch-and-bias`.
 */
export type ConvNorm = 'none' | 'batch' | 'batch-and-bias';

/** Stride and padding of a convolution. */
export interface Geometry {
  stride?: number;
  padding?: Pair;
}

/** Creates such convolutions, with torchvision's names `conv` and `bn`. The epsilon of the Inception networks is 0.001. */
export const basicConv =
  (norm: ConvNorm) =>
  (from: number, to: number, kernel: Pair, geometry: Geometry = {}): Sequential => {
    const layers: Record<string, Module> = { conv: new Conv2d(from, to, kernel, { ...geometry, bias: norm !== 'batch' }) };
    if (norm !== 'none') layers.bn = new BatchNorm2d(to, { epsilon: 0.001 });
    return new Sequential({ ...layers, relu: new ReLU() });
  };
