/** Inception v3 (Szegedy et al. 2015), with the layers, names and shapes of torchvision. */
import { boolean, checkOptions } from '../../backend/validate.js';
import type { Pair } from '../../tensor/index.js';
import { AuxiliaryHead } from '../containers/auxiliary_head.js';
import { Dropout } from '../layers/activation.js';
import { Flatten, Linear } from '../layers/linear.js';
import { AdaptiveAvgPool2d, AvgPool2d, MaxPool2d } from '../layers/pooling.js';
import type { Module } from '../module.js';
import { Sequential } from '../sequential.js';
import { basicConv, type Geometry } from './basic_conv.js';
import { Branches } from './branches.js';
import { HeadPool } from './head_pool.js';
import { type AuxiliaryModelOptions, DROPOUT_RULES, scaledBy } from './options.js';

/** A convolution of a branch: its name, its maps before scaling, and its kernel and geometry. */
type Step = readonly [name: string, maps: number, kernel: Pair, geometry?: Geometry];

const conv = basicConv('batch');
const PAD = { padding: 1 } as const;
const DOWN = { stride: 2 } as const;
const wide = { padding: [0, 3] as const };
const high = { padding: [3, 0] as const };

/** Creates the blocks of a network of some width. */
class Blocks {
  constructor(
    private readonly scaled: ReturnType<typeof scaledBy>,
    /** Maps of the output of the last block. */
    public channels: number,
  ) {}

  /** A branch of convolutions, behind a pooling if one is given. */
  private branch(steps: readonly Step[], before: Record<string, Module> = {}): { layer: Sequential; maps: number } {
    let maps = this.channels;
    const layers: Record<string, Module> = { ...before };
    for (const [name, count, kernel, geometry] of steps) {
      const to = this.scaled(count);
      layers[name] = conv(maps, to, kernel, geometry);
      maps = to;
    }
    return { layer: new Sequential(layers), maps };
  }

  /** A branch whose last convolution is split into a 1×3 and a 3×1 convolution, side by side. */
  private forked(steps: readonly Step[], name: string): { layer: Sequential; maps: number } {
    const { layer, maps } = this.branch(steps);
    const to = this.scaled(384);
    const fork = new Branches([
      new Sequential({ [`${name}a`]: conv(maps, to, [1, 3], { padding: [0, 1] }) }),
      new Sequential({ [`${name}b`]: conv(maps, to, [3, 1], { padding: [1, 0] }) }),
    ]);
    return { layer: new Sequential({ ...Object.fromEntries(layer.children()), '': fork }), maps: 2 * to };
  }

  private join(branches: readonly { layer: Module; maps: number }[]): Branches {
    this.channels = branches.reduce((sum, { maps }) => sum + maps, 0);
    return new Branches(branches.map(({ layer }) => layer));
  }

  private projection(maps: number): { layer: Sequential; maps: number } {
    return this.branch([['branch_pool', maps, 1]], { pool: new AvgPool2d(3, { stride: 1, padding: 1 }) });
  }

  private pooled(): { layer: Sequential; maps: number } {
    return { layer: new Sequential({ pool: new MaxPool2d(3, DOWN) }), maps: this.channels };
  }

  a(projection: number): Module {
    const double: Step[] = [
      ['branch3x3dbl_1', 64, 1],
      ['branch3x3dbl_2', 96, 3, PAD],
      ['branch3x3dbl_3', 96, 3, PAD],
    ];
    const five: Step[] = [
      ['branch5x5_1', 48, 1],
      ['branch5x5_2', 64, 5, { padding: 2 }],
    ];
    return this.join([this.branch([['branch1x1', 64, 1]]), this.branch(five), this.branch(double), this.projection(projection)]);
  }

  b(): Module {
    const double: Step[] = [
      ['branch3x3dbl_1', 64, 1],
      ['branch3x3dbl_2', 96, 3, PAD],
      ['branch3x3dbl_3', 96, 3, DOWN],
    ];
    return this.join([this.branch([['branch3x3', 384, 3, DOWN]]), this.branch(double), this.pooled()]);
  }

  c(maps: number): Module {
    const seven: Step[] = [
      ['branch7x7_1', maps, 1],
      ['branch7x7_2', maps, [1, 7], wide],
      ['branch7x7_3', 192, [7, 1], high],
    ];
    const double: Step[] = [
      ['branch7x7dbl_1', maps, 1],
      ['branch7x7dbl_2', maps, [7, 1], high],
      ['branch7x7dbl_3', maps, [1, 7], wide],
      ['branch7x7dbl_4', maps, [7, 1], high],
      ['branch7x7dbl_5', 192, [1, 7], wide],
    ];
    return this.join([this.branch([['branch1x1', 192, 1]]), this.branch(seven), this.branch(double), this.projection(192)]);
  }

  d(): Module {
    const three: Step[] = [
      ['branch3x3_1', 192, 1],
      ['branch3x3_2', 320, 3, DOWN],
    ];
    const seven: Step[] = [
      ['branch7x7x3_1', 192, 1],
      ['branch7x7x3_2', 192, [1, 7], wide],
      ['branch7x7x3_3', 192, [7, 1], high],
      ['branch7x7x3_4', 192, 3, DOWN],
    ];
    return this.join([this.branch(three), this.branch(seven), this.pooled()]);
  }

  e(): Module {
    const double: Step[] = [
      ['branch3x3dbl_1', 448, 1],
      ['branch3x3dbl_2', 384, 3, PAD],
    ];
    return this.join([
      this.branch([['branch1x1', 320, 1]]),
      this.forked([['branch3x3_1', 384, 1]], 'branch3x3_2'),
      this.forked(double, 'branch3x3dbl_3'),
      this.projection(192),
    ]);
  }
}

/**
 * Inception v3 with the layers, names and shapes of torchvision's `inception_v3`: `Conv2d_1a_3x3`, `Mixed_5b` … `Mixed_7c`, `AuxLogits`,
 * `fc`. Inputs are [N, 3, 299, 299], or of another size from 75 pixels on. The auxiliary classifier is active in training only, and its
 * loss counts 0.3. The published weights expect inputs in [−1, 1].
 *
 * @example const network = inceptionV3({ classes: 10, width: 0.25, auxiliary: false });
 */
export function inceptionV3(options: AuxiliaryModelOptions = {}): Sequential {
  checkOptions('inceptionV3', options, { ...DROPOUT_RULES, auxiliary: boolean });
  const { classes = 1000, channels = 3, dropout = 0.5, width = 1, auxiliary = true } = options;
  const scaled = scaledBy(width);
  const [n32, n64, n80, n192] = [32, 64, 80, 192].map((maps) => scaled(maps));
  const layers: Record<string, Module> = {
    Conv2d_1a_3x3: conv(channels, n32, 3, DOWN),
    Conv2d_2a_3x3: conv(n32, n32, 3),
    Conv2d_2b_3x3: conv(n32, n64, 3, PAD),
    maxpool1: new MaxPool2d(3, DOWN),
    Conv2d_3b_1x1: conv(n64, n80, 1),
    Conv2d_4a_3x3: conv(n80, n192, 3),
    maxpool2: new MaxPool2d(3, DOWN),
  };
  const blocks = new Blocks(scaled, n192);
  for (const [name, maps] of [['5b', 32] as const, ['5c', 64] as const, ['5d', 64] as const]) layers[`Mixed_${name}`] = blocks.a(maps);
  layers.Mixed_6a = blocks.b();
  for (const [name, maps] of Object.entries({ '6b': 128, '6c': 160, '6d': 160, '6e': 192 })) layers[`Mixed_${name}`] = blocks.c(maps);
  if (auxiliary) layers.AuxLogits = new AuxiliaryHead(auxiliaryClassifier(blocks.channels, scaled, classes));
  layers.Mixed_7a = blocks.d();
  layers.Mixed_7b = blocks.e();
  layers.Mixed_7c = blocks.e();
  return new Sequential({
    ...layers,
    avgpool: new AdaptiveAvgPool2d(1),
    dropout: new Dropout(dropout),
    flatten: new Flatten(),
    fc: new Linear(blocks.channels, classes),
  });
}

function auxiliaryClassifier(channels: number, scaled: ReturnType<typeof scaledBy>, classes: number): Sequential {
  const [maps, units] = [scaled(128), scaled(768)];
  return new Sequential({
    pool: new HeadPool(5),
    conv0: conv(channels, maps, 1),
    conv1: conv(maps, units, 5),
    mean: new AdaptiveAvgPool2d(1),
    flatten: new Flatten(),
    fc: new Linear(units, classes),
  });
}
