/** ResNet (He et al. 2015) as in torchvision. */

import { checkArgument, checkOptions, integer } from '../../backend/validate.js';
import { add, relu, type Shape, type Tensor } from '../../tensor/index.js';
import { ReLU } from '../layers/activation.js';
import { Conv2d } from '../layers/conv2d.js';
import { Flatten, Linear } from '../layers/linear.js';
import { BatchNorm2d } from '../layers/normalization.js';
import { AdaptiveAvgPool2d, MaxPool2d } from '../layers/pooling.js';
import { Module, type ReceptiveWindow, type Structure } from '../module.js';
import { Sequential } from '../sequential.js';
import { total } from '../summary.js';
import { RESNET_RULES } from './options.js';

const conv = (from: number, to: number, kernel: 1 | 3, stride = 1) =>
  new Conv2d(from, to, kernel, { stride, padding: kernel === 3 ? 1 : 0, bias: false });

/**
 * Residual block: relu(branch(x) + shortcut(x)). Gradients and projected signals pass through both. If the block changes the shape,
 * the shortcut is a strided 1×1 convolution, `downsample`, otherwise the identity. The receptive field of the branch contains that of
 * the shortcut.
 */
export class Residual extends Module {
  /** The layers of the branch. In the state they are named `conv1`, `bn1`, … without the prefix `branch`, as in torchvision. */
  readonly branch: Sequential;
  /** Strided 1×1 convolution with batch normalisation on the shortcut; null if input and output have the same shape. */
  readonly downsample: Sequential | null;

  constructor(layers: Record<string, Module>, from: number, to: number, stride: number) {
    super();
    for (const [name, value] of Object.entries({ from, to, stride })) checkArgument('Residual', name, value, integer(1));
    this.branch = new Sequential(layers);
    this.downsample = stride === 1 && from === to ? null : new Sequential({ '0': conv(from, to, 1, stride), '1': new BatchNorm2d(to) });
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

/** Residual block of two 3×3 convolutions. */
export class BasicBlock extends Residual {
  /** Output maps per map of the inner convolutions: 1, both have the same number. */
  static readonly expansion = 1;

  constructor(from: number, maps: number, stride: number) {
    const layers = {
      conv1: conv(from, maps, 3, stride),
      bn1: new BatchNorm2d(maps),
      relu: new ReLU(),
      conv2: conv(maps, maps, 3),
      bn2: new BatchNorm2d(maps),
    };
    super(layers, from, maps, stride);
  }
}

/** Residual block of 1×1, 3×3 and 1×1 convolutions, the last with four times the maps. The 3×3 one has the stride, as in torchvision. */
export class Bottleneck extends Residual {
  /** Output maps per map of the inner convolutions: the last 1×1 convolution has four times as many. */
  static readonly expansion = 4;

  constructor(from: number, maps: number, stride: number) {
    const to = maps * Bottleneck.expansion;
    const layers = {
      conv1: conv(from, maps, 1),
      bn1: new BatchNorm2d(maps),
      relu1: new ReLU(),
      conv2: conv(maps, maps, 3, stride),
      bn2: new BatchNorm2d(maps),
      relu2: new ReLU(),
      conv3: conv(maps, to, 1),
      bn3: new BatchNorm2d(to),
    };
    super(layers, from, to, stride);
  }
}

export interface ResnetOptions {
  /** Default 1000. */
  classes?: number;
  /** Factor on the number of maps of every layer. Default 1. */
  width?: number;
}

function resnet(Block: typeof BasicBlock | typeof Bottleneck, blocks: readonly number[], options: ResnetOptions): Sequential {
  checkOptions('resnet', options, RESNET_RULES);
  const { classes = 1000, width = 1 } = options;
  const scaled = (maps: number) => Math.max(1, Math.round(maps * width));
  let channels = scaled(64);
  const layer = (stage: number): Sequential => {
    const maps = scaled(64 * 2 ** stage);
    const list = Array.from({ length: blocks[stage] }, (_, i) => {
      const block = new Block(channels, maps, i === 0 && stage > 0 ? 2 : 1);
      channels = maps * Block.expansion;
      return block;
    });
    return new Sequential(list);
  };
  return new Sequential({
    conv1: new Conv2d(3, channels, 7, { stride: 2, padding: 3, bias: false }),
    bn1: new BatchNorm2d(channels),
    relu: new ReLU(),
    maxpool: new MaxPool2d(3, { stride: 2, padding: 1 }),
    layer1: layer(0),
    layer2: layer(1),
    layer3: layer(2),
    layer4: layer(3),
    avgpool: new AdaptiveAvgPool2d(1),
    flatten: new Flatten(),
    fc: new Linear(channels, classes),
  });
}

/**
 * ResNet with the names and shapes of torchvision: `conv1.weight` … `layer4.1.bn2.running_var`, `fc.bias`. Inputs are [N, 3, 224, 224] or
 * have other sides that are multiples of 32.
 *
 * @example const network = resnet18({ classes: 10 });
 */
export const resnet18 = (options: ResnetOptions = {}): Sequential => resnet(BasicBlock, [2, 2, 2, 2], options);
/**
 * ResNet-34 with the layers, names and shapes of torchvision.
 *
 * @example const network = resnet34({ classes: 10 });
 */
export const resnet34 = (options: ResnetOptions = {}): Sequential => resnet(BasicBlock, [3, 4, 6, 3], options);
/**
 * ResNet-50 with the layers, names and shapes of torchvision.
 *
 * @example const network = resnet50({ classes: 10 });
 */
export const resnet50 = (options: ResnetOptions = {}): Sequential => resnet(Bottleneck, [3, 4, 6, 3], options);
