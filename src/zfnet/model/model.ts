/**
 * Builds networks from presets: ZFNet (Zeiler & Fergus 2013, Fig. 3), its variants, the AlexNet it was compared with, and the networks of
 * the line from LeNet-5 to ResNet.
 */
import {
  arrayOf,
  boolean,
  checkArgument,
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
  parameter,
  ReLU,
  Sequential,
} from '../../nn/index.js';
import { NETWORKS, type NetworkName, type NetworkPreset } from '../../nn/models/networks.js';
import { isModule } from '../../nn/module.js';
import { membersOf } from '../../nn/state/members.js';
import {
  type Backend,
  cast,
  type DType,
  Generator,
  type LrnOptions,
  type Shape,
  ShapeError,
  scope,
  ValueError,
  withBackend,
  zeros,
} from '../../tensor/index.js';
import { backendRule } from '../../tensor/tensor.js';
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

/** Geometry of a network. The option `width` multiplies all numbers of maps and units. */
interface Preset {
  description: string;
  inputSize: number;
  conv: readonly [ConvSpec, ConvSpec, ConvSpec, ConvSpec, ConvSpec];
  /** Max pooling after conv1, conv2 and conv5. */
  pool: readonly [PoolSpec, PoolSpec, PoolSpec | null];
  /** Local response normalisation after conv1 and conv2. */
  norm: { options: LrnOptions; place: 'after pool' | 'before pool' };
  /** Units of fc6 and fc7; empty if the network ends with conv5. */
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

/** The presets of ZFNet and of the networks beside it in the paper. */
const ZFNETS = {
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

/** Networks that `zfnet` can build, by name: ZFNet and its variants, and the networks of `NETWORKS`. */
export const PRESETS: Readonly<Record<keyof typeof ZFNETS, Preset> & Record<NetworkName, NetworkPreset>> = { ...ZFNETS, ...NETWORKS };

/** Name of a preset. */
export type PresetName = keyof typeof PRESETS;

/**
 * Whether a preset ends with class scores, so that it can be trained; `faster-rcnn` ends with its convolutions.
 *
 * @example isClassifier('vgg16');   // true
 */
export function isClassifier(preset: PresetName): boolean {
  checkArgument('isClassifier', 'preset', preset, oneOf(...Object.keys(PRESETS)));
  return presetOf(preset)?.units.length !== 0;
}

/** The geometry of a preset of ZFNet; null for another network. */
const presetOf = (preset: PresetName): Preset | null => (preset in ZFNETS ? ZFNETS[preset as keyof typeof ZFNETS] : null);

/** Layers that can be removed, together with their ReLU and dropout: those that Table 3 of the paper removes, and conv5. */
export const REMOVABLE_LAYERS = ['conv3', 'conv4', 'conv5', 'fc6', 'fc7'] as const;
/** Name of a layer that an ablation can remove. */
export type RemovableLayer = (typeof REMOVABLE_LAYERS)[number];

/** Differences from the preset, as in Table 3 of the paper. */
export interface Variant {
  /** Layers that are removed. The other layers keep their names. */
  without?: readonly RemovableLayer[];
  /** Maps of conv1 to conv5, before multiplication by `width`. */
  maps?: readonly number[];
  /** Units of fc6 and fc7, before multiplication by `width`. */
  units?: readonly number[];
}

/** Options of `zfnet`. */
export interface ZfnetOptions extends Variant {
  /** Number of classes. Default: the preset's, 1000 for ZFNet. */
  classes?: number;
  /** Height and width of the input in pixels. Default: the preset's (224, or 28 for `small`). */
  inputSize?: number;
  /** Channels of the input. Default: the preset's, 3 for ZFNet. */
  channels?: number;
  /** Factor on all numbers of maps and units. Default 1. */
  width?: number;
  /** Dropout probability, for ZFNet on fc6 and fc7. Default: the preset's, 0.5 in the paper. */
  dropout?: number;
  /** Whether a network that has auxiliary classifiers is built with them. They are active in training only. Default true. */
  auxiliary?: boolean;
  /**
   * Scheme of the initial weights. Default: that of the preset at full size (width of at least 1 and at least the input size of the
   * preset), `paper` for ZFNet; otherwise `he` in its place, which small networks need. A fully connected layer at the end is always
   * initialised by `paper`.
   */
  init?: InitScheme;
  /** Seed of the initial weights. The same seed gives the same weights on every backend and runtime. Default 0. */
  seed?: number;
  /** Backend of the weights. Default: the one that `init()` or `withBackend` set. */
  backend?: Backend;
  /** Element type of the weights. Default `float32`; `float64` needs a backend that has it, such as the reference backend. */
  dtype?: 'float32' | 'float64';
  /** Whether the weights are trained. Default true; false freezes all of them. */
  requiresGrad?: boolean;
}

/** Everything needed to build the same network again. Checkpoints record it. Fields of `Variant` are present only if they differ. */
export interface Architecture extends Variant {
  /** Name of the preset that gives the layers, such as `a`. */
  preset: PresetName;
  /** Number of outputs of the last layer. */
  classes: number;
  /** Height and width of the input in pixels. */
  inputSize: number;
  /** Channels of the input: 1 or 3. */
  channels: number;
  /** Factor on the number of maps and hidden units of every layer: 1 in the paper. */
  width: number;
  /** Probability of dropout in the hidden linear layers; 0 for none. */
  dropout: number;
  /** False for a network without the auxiliary classifiers of its preset; absent otherwise. */
  auxiliary?: false;
}

/** A `Sequential` that records the architecture from which it was built. */
export class ZfNet extends Sequential {
  constructor(
    layers: Record<string, Module>,
    /** The architecture, from which `zfnet` builds an equal network. */
    readonly architecture: Architecture,
  ) {
    super(layers);
    checkFields('ZfNet', architecture, OPTIONS, ['preset', 'classes', 'inputSize', 'channels', 'width', 'dropout']);
  }

  /** Shape of the input for one image: [1, channels, size, size]. */
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
  backend: backendRule,
  dtype: oneOf('float32', 'float64'),
  requiresGrad: boolean,
  without: arrayOf(oneOf(...REMOVABLE_LAYERS)),
  maps: arrayOf(integer(1)),
  units: arrayOf(integer(1)),
  auxiliary: boolean,
  // Accepted so that an `Architecture` can be passed as options.
  preset: oneOf(...Object.keys(PRESETS)),
};

/**
 * The architecture of a preset with the given options, without building the network.
 *
 * @example const { classes } = architectureOf('a', { classes: 10, width: 0.25 });
 * @throws ValueError for an unknown preset, and for options out of range
 */
export function architectureOf(preset: PresetName, options: ZfnetOptions = {}): Architecture {
  if (typeof preset !== 'string')
    throw new ValueError(`zfnet: preset is ${show(preset)}, expected one of ${Object.keys(PRESETS).join(', ')}`);
  if (!Object.hasOwn(PRESETS, preset)) throw new ValueError(unknownName('zfnet', 'preset', preset, Object.keys(PRESETS)));
  checkOptions('zfnet', options, OPTIONS);
  const spec = presetOf(preset);
  const own = { classes: 1000, channels: 3, auxiliary: false, ...PRESETS[preset] };
  const { classes = own.classes, inputSize = own.inputSize, channels = own.channels, width = 1, dropout = own.dropout } = options;
  const variant = spec ? variantOf(spec, options) : noVariantOf(preset, options);
  const heads = own.auxiliary && options.auxiliary === false ? { auxiliary: false as const } : {};
  return { preset, classes, inputSize, channels, width, dropout, ...heads, ...variant };
}

/** @throws ValueError if a difference is asked for that only the presets of ZFNet have */
function noVariantOf(preset: PresetName, { without, maps, units }: Variant): Variant {
  const [given] = Object.entries({ without, maps, units }).filter(([, value]) => value !== undefined && value.length > 0);
  if (given)
    throw new ValueError(
      `zfnet: ${given[0]} is ${show(given[1])}, which only the presets ${Object.keys(ZFNETS).join(', ')} have; leave it out for ${preset}`,
    );
  return {};
}

/** The checked differences from a preset; empty for the preset itself. */
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

/** Default scheme of initial weights: that of the preset, but `he` instead of `paper` for smaller networks. See `ZfnetOptions.init`. */
export function defaultInit(architecture: Architecture): InitScheme {
  checkFields('defaultInit', architecture, OPTIONS, ['preset', 'width', 'inputSize']);
  const { preset, width, inputSize } = architecture;
  const own: NetworkPreset | Preset = PRESETS[preset];
  const scheme = 'init' in own ? own.init : preset === 'small' ? 'he' : 'paper';
  return scheme === 'paper' && (width < 1 || inputSize < own.inputSize) ? 'he' : scheme;
}

/**
 * Builds the network of a preset. A ZFNet has its layers named after the paper: conv1, relu1, pool1, norm1, … fc8. The outputs are logits;
 * the loss applies the softmax.
 *
 * ```ts
 * const model = zfnet('a', { classes: 10, inputSize: 112, width: 0.25 });
 * ```
 *
 * @throws ValueError for an unknown preset, and for options out of range
 * @throws ShapeError naming the first layer for which the input size is too small
 */
export function zfnet(preset: PresetName, options: ZfnetOptions = {}): ZfNet {
  if (options?.backend !== undefined) {
    checkOptions('zfnet', options, OPTIONS);
    return withBackend(options.backend, () => zfnet(preset, { ...options, backend: undefined }));
  }
  const architecture = architectureOf(preset, options);
  return scope(() => {
    const layers: Record<string, Module> = {};
    try {
      const spec = presetOf(preset);
      if (spec) buildLayers(spec, architecture, layers);
      else Object.assign(layers, networkLayers(architecture));
      const model = new ZfNet(layers, architecture);
      if (!spec) checkInputSize(model);
      if (options.dtype === 'float64') for (const layer of Object.values(layers)) allocateAs(layer, options.dtype);
      const generator = new Generator(options.seed ?? 0, 'init');
      const scheme = options.init ?? defaultInit(architecture);
      initialize(model, scheme, generator);
      // With larger weights, logits of several units would make the first SGD steps so large that units die.
      const last = Object.values(layers).at(-1);
      if (scheme !== 'paper' && last instanceof Linear) initialize(last, 'paper', generator);
      for (const weights of model.parameters()) weights.requiresGrad = options.requiresGrad ?? true;
      return model;
    } catch (error) {
      // For example out of memory. Scopes do not free parameters, so they are disposed of here.
      for (const built of Object.values(layers)) built.dispose();
      throw error;
    }
  });
}

/** The layers of a network of `NETWORKS`. */
function networkLayers(architecture: Architecture): Record<string, Module> {
  const network: NetworkPreset = NETWORKS[architecture.preset as NetworkName];
  return Object.fromEntries(network.build({ auxiliary: true, ...architecture }).children());
}

/** @throws ShapeError naming the first layer for which the input size is too small */
function checkInputSize(model: ZfNet): void {
  const { preset, inputSize } = model.architecture;
  try {
    model.outputShape(model.inputShape);
  } catch (error) {
    if (!(error instanceof ShapeError)) throw error;
    throw new ShapeError(
      `zfnet: an input of ${inputSize} pixels is too small for preset '${preset}': ${error.message}. Use a larger input size`,
      { cause: error },
    );
  }
}

/** Replaces the parameters of a layer, and of the layers inside of it, by zeros of another element type, and converts its buffers. */
function allocateAs(layer: Module, dtype: DType): void {
  const { parameters, buffers } = membersOf<Module>(layer, isModule);
  for (const { value, replace } of parameters) {
    replace(parameter(zeros(value.shape, { dtype, backend: value.backend })));
    value.dispose();
  }
  for (const { value, replace } of buffers) {
    replace(cast(value, dtype).keep());
    value.dispose();
  }
  for (const [, child] of layer.children()) allocateAs(child, dtype);
}

/** Adds the layers of an architecture to `layers`. After an error, `layers` contains those that were built. */
function buildLayers(spec: Preset, architecture: Architecture, layers: Record<string, Module>): void {
  const { without = [], maps = spec.conv.map((c) => c.maps), units = spec.units } = architecture;
  const isKept = (name: string) => !without.some((each) => each === name);
  const scaled = (count: number) => Math.max(1, Math.round(count * architecture.width));
  let shape: Shape = [1, architecture.channels, architecture.inputSize, architecture.inputSize];
  const add = (name: string, layer: Module) => {
    layers[name] = layer;
    try {
      // All layers of the presets report their output shapes.
      shape = layer.outputShape(shape)!;
    } catch (error) {
      if (!(error instanceof ShapeError)) throw error;
      throw new ShapeError(
        `zfnet: an input of ${architecture.inputSize} pixels is too small for layer ${name} of preset '${architecture.preset}': ${error.message}. Use a larger input size${architecture.preset === 'small' ? '' : ", or the preset 'small'"}`,
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
    if (isKept(`conv${block}`)) {
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
    if (!isKept(`fc${block}`)) return;
    add(`fc${block}`, new Linear(shape[1], scaled(count)));
    add(`relu${block}`, new ReLU());
    if (architecture.dropout > 0) add(`drop${block}`, new Dropout(architecture.dropout));
  });
  add('fc8', new Linear(shape[1], architecture.classes));
}
