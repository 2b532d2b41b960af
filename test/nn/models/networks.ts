/** The networks at their least input sizes and small widths, for tests that run them. */
import type { NetworkName } from '../../../src/nn/models/index.js';

/** Input size in pixels and width with which a network is tested. */
export interface Small {
  inputSize: number;
  width: number;
}

const small = (inputSize: number, width: number): Small => ({ inputSize, width });

export const SMALL: Record<NetworkName, Small> = {
  lenet5: small(16, 1),
  'lenet5-1998': small(32, 0.25),
  'alexnet-2012': small(67, 0.03),
  vgg11: small(32, 0.03),
  'vgg11-lrn': small(32, 0.03),
  vgg13: small(32, 0.03),
  vgg16: small(32, 0.03),
  'vgg16-c': small(32, 0.03),
  vgg19: small(32, 0.03),
  'vgg11-bn': small(32, 0.03),
  'vgg13-bn': small(32, 0.03),
  'vgg16-bn': small(32, 0.03),
  'vgg19-bn': small(32, 0.03),
  nin: small(6, 0.05),
  'nin-mnist': small(6, 0.1),
  'nin-imagenet': small(55, 0.03),
  googlenet: small(32, 0.1),
  'bn-inception': small(32, 0.1),
  'inception-v3': small(75, 0.04),
  resnet18: small(32, 0.06),
  resnet34: small(32, 0.06),
  resnet50: small(33, 0.06),
  resnet101: small(33, 0.06),
  resnet152: small(33, 0.06),
  'resnet20-cifar': small(8, 0.25),
  'resnet32-cifar': small(8, 0.25),
  'resnet44-cifar': small(8, 0.25),
  'resnet56-cifar': small(8, 0.25),
  'resnet110-cifar': small(8, 0.25),
  'plain20-cifar': small(8, 0.25),
  'plain56-cifar': small(8, 0.25),
  plain18: small(32, 0.06),
  plain34: small(32, 0.06),
};

/** Networks that are tested in the slow suite. */
export const DEEP: readonly NetworkName[] = [
  'vgg13-bn',
  'vgg19-bn',
  'resnet101',
  'resnet152',
  'resnet44-cifar',
  'resnet56-cifar',
  'resnet110-cifar',
  'plain34',
  'plain56-cifar',
];
