/** ResNet (He et al. 2015) as in torchvision, and the plain networks that the paper compares it with. */

import { checkArgument, checkOptions, integer, oneOf } from '../../backend/validate.js';
import { add, relu, type Shape, type Tensor } from '../../tensor/index.js';
import { ReLU } from '../layers/activation.js';
import { Conv2d } from '../layers/conv2d.js';
import { Flatten, Linear } from '../layers/linear.js';
import { BatchNorm2d } from '../layers/normalization.js';
import { AdaptiveAvgPool2d, AvgPool2d, MaxPool2d } from '../layers/pooling.js';
import { Module, type ReceptiveWindow, type Structure } from '../module.js';
import { Sequential } from '../sequential.js';
import { total } from '../summary.js';
import { MODEL_RULES, type ModelOptions, scaledBy } from './options.js';
import { PaddedChannels } from './padded_channels.js';

const conv = (from: number, to: number, kernel: 1 | 3, stride = 1) =>
  new Conv2d(from, to, kernel, { stride, padding: kernel === 3 ? 1 : 0, bias: false });

/** Checks the widths and the stride of a block, before they are computed with. */
function checkWidths(block: string, widths: Record<string, number>): void {
  for (const [name, value] of Object.entries(widths)) checkArgument(block, name, value, integer(1));
}

/**
 * What a residual block adds to its branch where it changes the shape: a strided 1×1 convolution (option B of the paper), or every second
 * pixel with maps of zeros (option A), which has no parameters.
 */
export type ResidualShortcut = 'projection' | 'padding';

function shortcutOf(kind: ResidualShortcut, from: number, to: number, stride: number): Sequential {
  if (kind === 'projection') return new Sequential({ '0': conv(from, to, 1, stride), '1': new BatchNorm2d(to) });
  return new Sequential({ '0': new AvgPool2d(1, { stride }), '1': new PaddedChannels(from, to) });
}

/**
 * Residual block: relu(branch(x) + shortcut(x)). Gradients and projected signals pass through both. If the block changes the shape,
 * the shortcut is `downsample`, a strided 1×1 convolution by default, otherwise the identity. The receptive field of the branch contains that of
 * the shortcut.
 */
export class Residual extends Module {
  /** The layers of the branch. In the state they are named `conv1`, `bn1`, … without the prefix `branch`, as in torchvision. */
  readonly branch: Sequential;
  /** The shortcut, or null for the input itself. */
  readonly downsample: Sequential | null;

  constructor(layers: Record<string, Module>, from: number, to: number, stride: number, shortcut: ResidualShortcut = 'projection') {
    super();
    checkWidths('Residual', { from, to, stride });
    checkArgument('Residual', 'shortcut', shortcut, oneOf('projection', 'padding'));
    this.branch = new Sequential(layers);
    this.downsample = stride === 1 && from === to ? null : shortcutOf(shortcut, from, to, stride);
  }

  override children(): [string, Module][] {
    return [...this.branch.children(), ...(this.downsample ? [['downsample', this.downsample] as [string, Module]] : [])];
  }

  override train(on = true): this {
    this.branch.train(on);
    return super.train(on);
  }

  forward(x: Tensor): Tensor {
    // Each value is freed as soon as the next one is computed: the graph keeps what the backward pass needs.
    const branch = this.branch.forward(x);
    const shortcut = this.downsample ? this.downsample.forward(x) : x;
    const sum = add(branch, shortcut);
    branch.release('the next layer');
    if (shortcut !== x) shortcut.release('the next layer');
    const y = relu(sum);
    sum.release('the next layer');
    return y;
  }

  override outputShape(input: Shape): Shape | null {
    return this.branch.outputShape(input);
  }

  override receptiveWindow(): ReceptiveWindow | null {
    return this.branch.receptiveWindow();
  }

  override multiplyAdds(input: Shape): number | null {
    return total([this.branch.multiplyAdds(input), this.downsample ? this.downsample.multiplyAdds(input) : 0]);
  }

  override structure(): Structure {
    const branches = [['', this.branch] as const, ['downsample', this.downsample] as const];
    return { kind: 'branches', branches, join: 'add', activation: ['', new ReLU()] };
  }
}

/** Layers of a block of two 3×3 convolutions. */
const basicLayers = (from: number, maps: number, stride: number): Record<string, Module> => ({
  conv1: conv(from, maps, 3, stride),
  bn1: new BatchNorm2d(maps),
  relu: new ReLU(),
  conv2: conv(maps, maps, 3),
  bn2: new BatchNorm2d(maps),
});

/** Residual block of two 3×3 convolutions. */
export class BasicBlock extends Residual {
  /** Output maps per map of the convolutions. */
  static readonly expansion = 1;

  constructor(from: number, maps: number, stride: number, shortcut: ResidualShortcut = 'projection') {
    checkWidths('BasicBlock', { from, maps, stride });
    super(basicLayers(from, maps, stride), from, maps, stride, shortcut);
  }
}

const EXPANSION = 4;

/** Residual block of 1×1, 3×3 and 1×1 convolutions, the last with four times the maps. */
export class Bottleneck extends Residual {
  /** Output maps per map of the first two convolutions. */
  static readonly expansion = EXPANSION;

  /** @param strided the convolution that has the stride: the 3×3 one, as in torchvision, or the first 1×1 one, as in the paper */
  constructor(from: number, maps: number, stride: number, strided: '3x3' | '1x1' = '3x3') {
    checkWidths('Bottleneck', { from, maps, stride });
    checkArgument('Bottleneck', 'strided', strided, oneOf('3x3', '1x1'));
    const to = maps * EXPANSION;
    const layers = {
      conv1: conv(from, maps, 1, strided === '1x1' ? stride : 1),
      bn1: new BatchNorm2d(maps),
      relu1: new ReLU(),
      conv2: conv(maps, maps, 3, strided === '3x3' ? stride : 1),
      bn2: new BatchNorm2d(maps),
      relu2: new ReLU(),
      conv3: conv(maps, to, 1),
      bn3: new BatchNorm2d(to),
    };
    super(layers, from, to, stride);
  }
}

/** Block of a plain network: the layers of a `BasicBlock` without the shortcut. */
const plainBlock = (from: number, maps: number, stride: number): Sequential =>
  new Sequential({ ...basicLayers(from, maps, stride), relu2: new ReLU() });

/** Options of the ResNets. */
export interface ResnetOptions extends ModelOptions {
  /**
   * The convolution of a bottleneck that has the stride: `3x3` as in torchvision ("version 1.5"), or the first `1x1` as in the paper. The
   * weights have the same names and shapes. Only for networks of bottlenecks. Default `3x3`.
   */
  strided?: '3x3' | '1x1';
}

const RULES = { ...MODEL_RULES, strided: oneOf('3x3', '1x1') };

/** A kind of block, with the factor of its output maps. */
interface BlockKind {
  expansion: number;
  make(from: number, maps: number, stride: number): Module;
}

const BASIC: BlockKind = { expansion: 1, make: (from, maps, stride) => new BasicBlock(from, maps, stride) };
const PLAIN: BlockKind = { expansion: 1, make: plainBlock };
/** Blocks of the networks for CIFAR-10, whose shortcuts have no parameters. */
const PADDED: BlockKind = { expansion: 1, make: (from, maps, stride) => new BasicBlock(from, maps, stride, 'padding') };

/** Stages of blocks, `layer1`, `layer2`, …: from the second on, each halves the size and doubles the maps. */
function stagesOf(kind: BlockKind, blocks: readonly number[], maps: readonly number[], from: number): Record<string, Module> {
  let channels = from;
  const stage = (count: number, i: number): [string, Module] => {
    const list = Array.from({ length: count }, (_, j) => {
      const block = kind.make(channels, maps[i], j === 0 && i > 0 ? 2 : 1);
      channels = maps[i] * kind.expansion;
      return block;
    });
    return [`layer${i + 1}`, new Sequential(list)];
  };
  return Object.fromEntries(blocks.map(stage));
}

function resnet(op: string, kind: BlockKind, blocks: readonly number[], options: ResnetOptions): Sequential {
  checkOptions(op, options, RULES);
  const { classes = 1000, width = 1, channels = 3 } = options;
  const maps = [64, 128, 256, 512].map((count) => scaledBy(width)(count));
  return new Sequential({
    conv1: new Conv2d(channels, maps[0], 7, { stride: 2, padding: 3, bias: false }),
    bn1: new BatchNorm2d(maps[0]),
    relu: new ReLU(),
    maxpool: new MaxPool2d(3, { stride: 2, padding: 1 }),
    ...stagesOf(kind, blocks, maps, maps[0]),
    avgpool: new AdaptiveAvgPool2d(1),
    flatten: new Flatten(),
    fc: new Linear(maps[3] * kind.expansion, classes),
  });
}

function ofBottlenecks(op: string, blocks: readonly number[], options: ResnetOptions): Sequential {
  const make = (from: number, maps: number, stride: number) => new Bottleneck(from, maps, stride, options?.strided);
  return resnet(op, { expansion: Bottleneck.expansion, make }, blocks, options);
}

/**
 * ResNet-18 with the names and shapes of torchvision: `conv1.weight` … `layer4.1.bn2.running_var`, `fc.bias`. Inputs are
 * [N, 3, 224, 224], or of any other size.
 *
 * @example const network = resnet18({ classes: 10, width: 0.25 });
 */
export const resnet18 = (options: ModelOptions = {}): Sequential => resnet('resnet18', BASIC, [2, 2, 2, 2], options);
/**
 * ResNet-34 with the layers, names and shapes of torchvision.
 *
 * @example const network = resnet34({ classes: 10, width: 0.25 });
 */
export const resnet34 = (options: ModelOptions = {}): Sequential => resnet('resnet34', BASIC, [3, 4, 6, 3], options);
/**
 * ResNet-50 with the layers, names and shapes of torchvision.
 *
 * @example const network = resnet50({ classes: 10, width: 0.25 });
 */
export const resnet50 = (options: ResnetOptions = {}): Sequential => ofBottlenecks('resnet50', [3, 4, 6, 3], options);
/**
 * ResNet-101 with the layers, names and shapes of torchvision.
 *
 * @example const network = resnet101({ classes: 10, width: 0.25 });
 */
export const resnet101 = (options: ResnetOptions = {}): Sequential => ofBottlenecks('resnet101', [3, 4, 23, 3], options);
/**
 * ResNet-152 with the layers, names and shapes of torchvision.
 *
 * @example const network = resnet152({ classes: 10, width: 0.25 });
 */
export const resnet152 = (options: ResnetOptions = {}): Sequential => ofBottlenecks('resnet152', [3, 8, 36, 3], options);
/**
 * The plain network of 18 layers that the paper compares with ResNet-18: the same layers without shortcuts.
 *
 * @example const network = plain18({ classes: 10, width: 0.25 });
 */
export const plain18 = (options: ModelOptions = {}): Sequential => resnet('plain18', PLAIN, [2, 2, 2, 2], options);
/**
 * The plain network of 34 layers that the paper compares with ResNet-34.
 *
 * @example const network = plain34({ classes: 10, width: 0.25 });
 */
export const plain34 = (options: ModelOptions = {}): Sequential => resnet('plain34', PLAIN, [3, 4, 6, 3], options);

/** The network of 6 · n + 2 layers for CIFAR-10: a 3×3 convolution and three stages of n blocks with 16, 32 and 64 maps. */
function cifar(op: string, kind: BlockKind, depth: number, options: ModelOptions): Sequential {
  checkOptions(op, options, MODEL_RULES);
  const { classes = 10, width = 1, channels = 3 } = options;
  const maps = [16, 32, 64].map((count) => scaledBy(width)(count));
  const n = (depth - 2) / 6;
  return new Sequential({
    conv1: new Conv2d(channels, maps[0], 3, { padding: 1, bias: false }),
    bn1: new BatchNorm2d(maps[0]),
    relu: new ReLU(),
    ...stagesOf(kind, [n, n, n], maps, maps[0]),
    avgpool: new AdaptiveAvgPool2d(1),
    flatten: new Flatten(),
    fc: new Linear(maps[2], classes),
  });
}

/**
 * ResNet of 20 layers for CIFAR-10 (section 4.2 of the paper), with shortcuts without parameters (option A). Inputs [N, 3, 32, 32].
 *
 * @example const network = resnet20Cifar({ classes: 10, width: 0.25 });
 */
export const resnet20Cifar = (options: ModelOptions = {}): Sequential => cifar('resnet20Cifar', PADDED, 20, options);
/**
 * ResNet of 32 layers for CIFAR-10.
 *
 * @example const network = resnet32Cifar({ classes: 10, width: 0.25 });
 */
export const resnet32Cifar = (options: ModelOptions = {}): Sequential => cifar('resnet32Cifar', PADDED, 32, options);
/**
 * ResNet of 44 layers for CIFAR-10.
 *
 * @example const network = resnet44Cifar({ classes: 10, width: 0.25 });
 */
export const resnet44Cifar = (options: ModelOptions = {}): Sequential => cifar('resnet44Cifar', PADDED, 44, options);
/**
 * ResNet of 56 layers for CIFAR-10.
 *
 * @example const network = resnet56Cifar({ classes: 10, width: 0.25 });
 */
export const resnet56Cifar = (options: ModelOptions = {}): Sequential => cifar('resnet56Cifar', PADDED, 56, options);
/**
 * ResNet of 110 layers for CIFAR-10.
 *
 * @example const network = resnet110Cifar({ classes: 10, width: 0.25 });
 */
export const resnet110Cifar = (options: ModelOptions = {}): Sequential => cifar('resnet110Cifar', PADDED, 110, options);
/**
 * The plain network of 20 layers for CIFAR-10: `resnet20Cifar` without shortcuts.
 *
 * @example const network = plain20Cifar({ classes: 10, width: 0.25 });
 */
export const plain20Cifar = (options: ModelOptions = {}): Sequential => cifar('plain20Cifar', PLAIN, 20, options);
/**
 * The plain network of 56 layers for CIFAR-10. Its training error is above that of 20 layers: the degradation that residual sums remove.
 *
 * @example const network = plain56Cifar({ classes: 10, width: 0.25 });
 */
export const plain56Cifar = (options: ModelOptions = {}): Sequential => cifar('plain56Cifar', PLAIN, 56, options);
