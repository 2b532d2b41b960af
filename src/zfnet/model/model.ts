/** ZFNet by its table (Zeiler & Fergus 2013, Fig. 3), its variants, and the network it was compared with. */
import {
  arrayOf,
  checkFields,
  checkOptions,
  finite,
  integer,
  oneOf,
  positive,
  type RulesFor,
  rule,
  show,
  unknownName,
} from '../../backend/validate.js';
import {
  Conv2d,
  Dropout,
  Flatten,
  type InitScheme,
  initialize,
  Linear,
  LocalResponseNorm,
  MaxPool2d,
  type Module,
  ReLU,
  Sequential,
} from '../../nn/index.js';
import { Generator, type LrnOptions, type Shape, ShapeError, scope, ValueError } from '../../tensor/index.js';
import { initScheme } from '../rules.js';

interface ConvSpec {
  maps: number;
  kernel: number;
  stride: number;
  padding: number;
}

interface PoolSpec {
  kernel: number;
  stride: number;
  padding: number;
  ceil: boolean;
}

/** What a preset fixes. Every map and unit count is multiplied by `width`. */
interface Preset {
  description: string;
  inputSize: number;
  conv: readonly [ConvSpec, ConvSpec, ConvSpec, ConvSpec, ConvSpec];
  /** After conv1, conv2 and conv5. */
  pool: readonly [PoolSpec, PoolSpec, PoolSpec | null];
  /** After conv1 and conv2. */
  norm: { options: LrnOptions; place: 'after pool' | 'before pool' };
  /** Units of fc6 and fc7; none where the preset ends with conv5. */
  units: readonly number[];
  dropout: number;
}

const conv = (maps: number, kernel: number, stride: number, padding: number): ConvSpec => ({ maps, kernel, stride, padding });
const pool = (kernel: number, stride: number, padding: number, ceil: boolean): PoolSpec => ({ kernel, stride, padding, ceil });

const PAPER_NORM: Preset['norm'] = { options: { size: 5, alpha: 1e-4, beta: 0.75, k: 2 }, place: 'after pool' };
const CEIL = pool(3, 2, 0, true);

const A: Preset = {
  description: 'the paper’s network',
  inputSize: 224,
  conv: [conv(96, 7, 2, 1), conv(256, 5, 2, 0), conv(384, 3, 1, 1), conv(384, 3, 1, 1), conv(256, 3, 1, 1)],
  pool: [CEIL, CEIL, CEIL],
  norm: PAPER_NORM,
  units: [4096, 4096],
  dropout: 0.5,
};

export const PRESETS = {
  a: A,
  b: {
    ...A,
    description: 'the paper’s variant with 512, 1024 and 512 maps in layers 3, 4 and 5',
    conv: [A.conv[0], A.conv[1], conv(512, 3, 1, 1), conv(1024, 3, 1, 1), conv(512, 3, 1, 1)],
  },
  zfnet512: {
    description: 'ZFNet-512 of the ONNX model zoo',
    inputSize: 224,
    conv: [conv(96, 7, 2, 0), conv(256, 5, 2, 0), conv(512, 3, 1, 1), conv(512, 3, 1, 1), conv(512, 3, 1, 1)],
    pool: [pool(3, 2, 0, false), pool(3, 2, 0, false), pool(2, 2, 0, false)],
    norm: { options: { size: 5, alpha: 5e-4, beta: 0.75, k: 2 }, place: 'before pool' },
    units: [4096, 1024],
    dropout: 0,
  },
  'faster-rcnn': {
    description: 'the convolution layers of Caffe’s ZF model, as Faster R-CNN uses them (BGR, means 102.9801 115.9465 122.7717)',
    inputSize: 224,
    conv: [conv(96, 7, 2, 3), conv(256, 5, 2, 2), conv(384, 3, 1, 1), conv(384, 3, 1, 1), conv(256, 3, 1, 1)],
    pool: [pool(3, 2, 1, true), pool(3, 2, 1, true), null],
    norm: { options: { size: 3, alpha: 5e-5, beta: 0.75, k: 1, region: 'within' }, place: 'before pool' },
    units: [],
    dropout: 0,
  },
  alexnet: {
    description: 'the paper’s replication of Krizhevsky et al. 2012: 11×11 filters at stride 4, no groups',
    inputSize: 224,
    conv: [conv(96, 11, 4, 2), conv(256, 5, 1, 2), conv(384, 3, 1, 1), conv(384, 3, 1, 1), conv(256, 3, 1, 1)],
    pool: [pool(3, 2, 0, false), pool(3, 2, 0, false), pool(3, 2, 0, false)],
    norm: PAPER_NORM,
    units: [4096, 4096],
    dropout: 0.5,
  },
  small: {
    ...A,
    description: 'for inputs of 28 to 63 pixels: strides of 1',
    inputSize: 28,
    conv: [conv(96, 7, 1, 3), conv(256, 5, 1, 2), A.conv[2], A.conv[3], A.conv[4]],
  },
} as const satisfies Record<string, Preset>;

export type PresetName = keyof typeof PRESETS;

/** Layers that a network can do without, each with its ReLU and its dropout: those that the paper's Table 3 takes out, and conv5. */
export const REMOVABLE_LAYERS = ['conv3', 'conv4', 'conv5', 'fc6', 'fc7'] as const;
export type RemovableLayer = (typeof REMOVABLE_LAYERS)[number];

/** What differs from the preset, as in the paper's Table 3. */
export interface Variant {
  /** Layers that are left out; what is around them keeps its name. */
  without?: readonly RemovableLayer[];
  /** Maps of conv1 to conv5, before `width`. */
  maps?: readonly number[];
  /** Units of fc6 and fc7, before `width`. */
  units?: readonly number[];
}

export interface ZfnetOptions extends Variant {
  /** Number of classes. Default 1000. */
  classes?: number;
  /** Height and width of the input in pixels. Default: the preset's. */
  inputSize?: number;
  /** Channels of the input. Default 3. */
  channels?: number;
  /** A factor on every map and unit count. Default 1. */
  width?: number;
  /** Probability on fc6 and fc7. Default: the preset's, 0.5 in the paper. */
  dropout?: number;
  /** Initial weights. Default: the paper's N(0, 10⁻²) at full size (width 1 and at least the preset's input), else He's, which small networks need. fc8 always gets the paper's. */
  init?: InitScheme;
  /** Default 0. The same seed gives the same weights, on every backend and runtime. */
  seed?: number;
}

/** Everything needed to build the same network again; what checkpoints record. Of a variant, only what is not the preset's. */
export interface Architecture extends Variant {
  preset: PresetName;
  classes: number;
  inputSize: number;
  channels: number;
  width: number;
  dropout: number;
}

/** A network with the record of how it was built. */
export class ZfNet extends Sequential {
  constructor(
    layers: Record<string, Module>,
    readonly architecture: Architecture,
  ) {
    super(layers);
    checkFields('ZfNet', architecture, OPTIONS, ['preset', 'classes', 'inputSize', 'channels', 'width', 'dropout']);
  }

  /** [1, channels, size, size]. */
  get inputShape(): Shape {
    const { channels, inputSize } = this.architecture;
    return [1, channels, inputSize, inputSize];
  }
}

const OPTIONS: RulesFor<ZfnetOptions & Pick<Architecture, 'preset'>> = {
  classes: integer(1),
  inputSize: integer(1),
  channels: integer(1),
  width: positive,
  dropout: rule('a number from 0 to below 1', (value) => finite(0).test(value) && (value as number) < 1),
  init: initScheme,
  seed: integer(),
  without: arrayOf(oneOf(...REMOVABLE_LAYERS)),
  maps: arrayOf(integer(1)),
  units: arrayOf(integer(1)),
  // An `Architecture` names its preset, and can be passed as it is.
  preset: oneOf(...Object.keys(PRESETS)),
};

/** The architecture that options mean for a preset. Throws `ValueError` for values outside their range. */
export function architectureOf(preset: PresetName, options: ZfnetOptions = {}): Architecture {
  if (typeof preset !== 'string')
    throw new ValueError(`zfnet: preset is ${show(preset)}, expected one of ${Object.keys(PRESETS).join(', ')}`);
  if (!Object.hasOwn(PRESETS, preset)) throw new ValueError(unknownName('zfnet', 'preset', preset, Object.keys(PRESETS)));
  checkOptions('zfnet', options, OPTIONS);
  const spec: Preset = PRESETS[preset];
  const { classes = 1000, inputSize = spec.inputSize, channels = 3, width = 1, dropout = spec.dropout } = options;
  return { preset, classes, inputSize, channels, width, dropout, ...variantOf(spec, options) };
}

/** The checked differences to a preset; empty for the preset itself. */
function variantOf(spec: Preset, { without = [], maps, units }: Variant): Variant {
  checkCounts('maps', maps, spec.conv.length);
  checkCounts('units', units, spec.units.length);
  return {
    ...(without.length > 0 && { without: REMOVABLE_LAYERS.filter((name) => without.includes(name)) }),
    ...(maps && { maps: [...maps] }),
    ...(units && { units: [...units] }),
  };
}

function checkCounts(name: string, counts: readonly number[] | undefined, length: number): void {
  if (counts && counts.length !== length)
    throw new ValueError(`zfnet: ${name} is ${show(counts)}, expected ${length} whole numbers of at least 1`);
}

/** The initial weights of a network that is not told otherwise: the paper's at full size, He's below. */
export function defaultInit(architecture: Architecture): InitScheme {
  checkFields('defaultInit', architecture, OPTIONS, ['preset', 'width', 'inputSize']);
  const { preset, width, inputSize } = architecture;
  return width >= 1 && inputSize >= PRESETS[preset].inputSize && preset !== 'small' ? 'paper' : 'he';
}

/**
 * A ZFNet with layers named as in the paper: conv1, relu1, pool1, norm1, … fc8 (logits; the softmax belongs to the loss).
 *
 * @throws ShapeError naming the layer that an input size is too small for
 */
export function zfnet(preset: PresetName, options: ZfnetOptions = {}): ZfNet {
  const architecture = architectureOf(preset, options);
  const spec: Preset = PRESETS[preset];
  return scope(() => {
    const layers: Record<string, Module> = {};
    try {
      buildLayers(spec, architecture, layers);
      const model = new ZfNet(layers, architecture);
      const generator = new Generator(options.seed ?? 0, 'init');
      const scheme = options.init ?? defaultInit(architecture);
      initialize(model, scheme, generator);
      // Logits of several times unity would throw the first steps of SGD far enough to kill units for good.
      if (scheme !== 'paper' && spec.units.length > 0) initialize(model.layer('fc8'), 'paper', generator);
      return model;
    } catch (error) {
      // Memory may have run out: parameters outlive the scope, so they are given back here.
      for (const built of Object.values(layers)) built.dispose();
      throw error;
    }
  });
}

/** Puts the layers of a preset, or of a variant of it, into `layers`, as far as they fit. */
function buildLayers(spec: Preset, architecture: Architecture, layers: Record<string, Module>): void {
  const { without = [], maps = spec.conv.map((c) => c.maps), units = spec.units } = architecture;
  const left = (name: string) => !without.some((each) => each === name);
  const scaled = (count: number) => Math.max(1, Math.round(count * architecture.width));
  let shape: Shape = [1, architecture.channels, architecture.inputSize, architecture.inputSize];
  const add = (name: string, layer: Module) => {
    layers[name] = layer;
    try {
      shape = layer.outputShape(shape);
    } catch (error) {
      if (!(error instanceof ShapeError)) throw error;
      throw new ShapeError(
        `zfnet: an input of ${architecture.inputSize} pixels is too small for layer ${name} of preset '${architecture.preset}': ${error.message}. Take a larger input size${architecture.preset === 'small' ? '' : ", or the preset 'small'"}`,
        { cause: error },
      );
    }
  };
  const addPool = (block: number, spec: PoolSpec | null) => {
    if (spec) add(`pool${block}`, new MaxPool2d(spec.kernel, { stride: spec.stride, padding: spec.padding, ceilMode: spec.ceil }));
  };
  const addNorm = (block: number) => add(`norm${block}`, new LocalResponseNorm(spec.norm.options));

  spec.conv.forEach((c, i) => {
    const block = i + 1;
    if (left(`conv${block}`)) {
      add(`conv${block}`, new Conv2d(shape[1], scaled(maps[i]), c.kernel, { stride: c.stride, padding: c.padding }));
      add(`relu${block}`, new ReLU());
    }
    if (block <= 2) {
      if (spec.norm.place === 'before pool') addNorm(block);
      addPool(block, spec.pool[i]);
      if (spec.norm.place === 'after pool') addNorm(block);
    }
  });
  addPool(5, spec.pool[2]);
  if (units.length === 0) return;
  add('flatten', new Flatten());
  units.forEach((count, i) => {
    const block = 6 + i;
    if (!left(`fc${block}`)) return;
    add(`fc${block}`, new Linear(shape[1], scaled(count)));
    add(`relu${block}`, new ReLU());
    if (architecture.dropout > 0) add(`drop${block}`, new Dropout(architecture.dropout));
  });
  add('fc8', new Linear(shape[1], architecture.classes));
}
