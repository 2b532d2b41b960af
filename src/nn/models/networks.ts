/** The networks that can be built by name, with the sizes of their papers. */
import type { InitScheme } from '../init.js';
import type { Sequential } from '../sequential.js';
import { alexnet2012 } from './alexnet_2012.js';
import { bnInception } from './bn_inception.js';
import { googlenet } from './googlenet.js';
import { inceptionV3 } from './inception_v3.js';
import { lenet5, lenet51998 } from './lenet5.js';
import { nin, ninImagenet, ninMnist } from './nin.js';
import type { AuxiliaryModelOptions, DropoutModelOptions, ModelOptions, SizedModelOptions } from './options.js';
import * as resnet from './resnet.js';
import * as vgg from './vgg.js';

/** A network that can be built by name: its description, the sizes of its paper, and its builder. */
export interface NetworkPreset {
  /** One line about the network. */
  description: string;
  /** Height and width of the input in pixels. */
  inputSize: number;
  /** Number of classes of the paper's data set. */
  classes: number;
  /** Channels of the input. */
  channels: number;
  /** Dropout probability; 0 for a network without dropout. */
  dropout: number;
  /** Scheme of the initial weights. */
  init: InitScheme;
  /** Whether the network has auxiliary classifiers. */
  auxiliary: boolean;
  /** Builds the network. Options that it does not have are ignored. */
  build(options: Required<SizedModelOptions & AuxiliaryModelOptions>): Sequential;
}

type Sizes = Partial<Pick<NetworkPreset, 'inputSize' | 'classes' | 'channels' | 'init'>>;

const IMAGENET = { inputSize: 224, classes: 1000, channels: 3, dropout: 0, init: 'he', auxiliary: false } as const;
const CIFAR = { inputSize: 32, classes: 10 } as const;
const DIGITS = { inputSize: 32, classes: 10, channels: 1 } as const;

/** A network without dropout. */
const plain = (description: string, make: (options: ModelOptions) => Sequential, sizes: Sizes = {}): NetworkPreset => ({
  ...IMAGENET,
  ...sizes,
  description,
  build: ({ classes, channels, width }) => make({ classes, channels, width }),
});

/** A network with dropout. */
const dropping = (
  description: string,
  make: (options: DropoutModelOptions) => Sequential,
  dropout: number,
  sizes: Sizes = {},
): NetworkPreset => ({
  ...plain(description, make, sizes),
  dropout,
  build: ({ classes, channels, width, dropout }) => make({ classes, channels, width, dropout }),
});

/** A network with dropout and auxiliary classifiers. */
const withHeads = (
  description: string,
  make: (options: AuxiliaryModelOptions) => Sequential,
  dropout: number,
  sizes: Sizes = {},
): NetworkPreset => ({
  ...dropping(description, make, dropout, sizes),
  auxiliary: true,
  build: ({ classes, channels, width, dropout, auxiliary }) => make({ classes, channels, width, dropout, auxiliary }),
});

/** The networks of the line from LeNet-5 to ResNet by name. `zfnet(name, options)` builds them, as the presets of ZFNet. */
export const NETWORKS = {
  lenet5: {
    ...plain('LeNet-5 as it is taught today: max pooling and ReLU', lenet5, DIGITS),
    build: ({ classes, channels, width, inputSize }) => lenet5({ classes, channels, width, inputSize }),
  },
  'lenet5-1998': {
    ...plain('LeNet-5 of LeCun et al. 1998: partial table, trained subsampling, scaled tanh, RBF output', lenet51998, {
      ...DIGITS,
      init: 'lecun',
    }),
    build: ({ classes, channels, width, inputSize }) => lenet51998({ classes, channels, width, inputSize }),
  },
  'alexnet-2012': {
    ...dropping('AlexNet of Krizhevsky et al. 2012: groups, and normalisation before the pooling', alexnet2012, 0.5, {
      inputSize: 227,
      init: 'paper',
    }),
    build: ({ classes, channels, width, dropout, inputSize }) => alexnet2012({ classes, channels, width, dropout, inputSize }),
  },
  vgg11: dropping('VGG-11, configuration A of Simonyan & Zisserman 2014', vgg.vgg11, 0.5),
  'vgg11-lrn': dropping('VGG-11 with local response normalisation, configuration A-LRN', vgg.vgg11Lrn, 0.5),
  vgg13: dropping('VGG-13, configuration B', vgg.vgg13, 0.5),
  vgg16: dropping('VGG-16, configuration D', vgg.vgg16, 0.5),
  'vgg16-c': dropping('VGG-16 with 1×1 convolutions, configuration C', vgg.vgg16C, 0.5),
  vgg19: dropping('VGG-19, configuration E', vgg.vgg19, 0.5),
  'vgg11-bn': dropping('VGG-11 with batch normalisation', vgg.vgg11Bn, 0.5),
  'vgg13-bn': dropping('VGG-13 with batch normalisation', vgg.vgg13Bn, 0.5),
  'vgg16-bn': dropping('VGG-16 with batch normalisation', vgg.vgg16Bn, 0.5),
  'vgg19-bn': dropping('VGG-19 with batch normalisation', vgg.vgg19Bn, 0.5),
  nin: dropping('network in network of Lin et al. 2013, for CIFAR-10', nin, 0.5, CIFAR),
  'nin-mnist': dropping('network in network for MNIST', ninMnist, 0.5, { inputSize: 28, classes: 10, channels: 1 }),
  'nin-imagenet': dropping('network in network for ImageNet', ninImagenet, 0.5),
  googlenet: withHeads('GoogLeNet of Szegedy et al. 2014, with its auxiliary classifiers', googlenet, 0.4, { init: 'glorot' }),
  'bn-inception': dropping('Inception with batch normalisation, of Ioffe & Szegedy 2015', bnInception, 0),
  'inception-v3': withHeads('Inception v3 of Szegedy et al. 2015', inceptionV3, 0.5, { inputSize: 299 }),
  resnet18: plain('ResNet-18 of He et al. 2015', resnet.resnet18),
  resnet34: plain('ResNet-34', resnet.resnet34),
  resnet50: plain('ResNet-50, with the stride in the 3×3 convolutions as in torchvision', resnet.resnet50),
  resnet101: plain('ResNet-101', resnet.resnet101),
  resnet152: plain('ResNet-152', resnet.resnet152),
  'resnet20-cifar': plain('ResNet of 20 layers for CIFAR-10, with shortcuts without parameters', resnet.resnet20Cifar, CIFAR),
  'resnet32-cifar': plain('ResNet of 32 layers for CIFAR-10', resnet.resnet32Cifar, CIFAR),
  'resnet44-cifar': plain('ResNet of 44 layers for CIFAR-10', resnet.resnet44Cifar, CIFAR),
  'resnet56-cifar': plain('ResNet of 56 layers for CIFAR-10', resnet.resnet56Cifar, CIFAR),
  'resnet110-cifar': plain('ResNet of 110 layers for CIFAR-10', resnet.resnet110Cifar, CIFAR),
  'plain20-cifar': plain('plain network of 20 layers for CIFAR-10, the counterpart of resnet20-cifar', resnet.plain20Cifar, CIFAR),
  'plain56-cifar': plain('plain network of 56 layers for CIFAR-10', resnet.plain56Cifar, CIFAR),
  plain18: plain('plain network of 18 layers, the counterpart of resnet18', resnet.plain18),
  plain34: plain('plain network of 34 layers, the counterpart of resnet34', resnet.plain34),
} as const satisfies Record<string, NetworkPreset>;

/** Name of a network in `NETWORKS`. */
export type NetworkName = keyof typeof NETWORKS;
