/**
 * Frozen layers: lower layers whose weights stay fixed while the layers above are trained (in the paper, layers 1 to 7 below a new
 * softmax on top). Their output for an image never changes, so it is computed once and cached as far as memory allows; an epoch then costs
 * only as much as the layers above.
 */
import { arrayOf, checkArgument, checkOptions, func, integer, numeric, objectWith, type RulesFor, text } from '../../backend/validate.js';
import type { Example, Image, Split } from '../../data/dataset.js';
import { exampleAt, split as splitRule } from '../../data/rules.js';
import { Dropout, type Module, type Network, Sequential } from '../../nn/index.js';
import { checkModel, network } from '../../nn/rules.js';
import { layersInRow } from '../../nn/sequential.js';
import { type Backend, fromHost, noGrad, type Shape, sizeOf, type Tensor, ValueError } from '../../tensor/index.js';
import type { Augmentation } from '../input/augment.js';
import { examplesToTensor, imagesToTensor } from '../input/images_to_tensor.js';
import type { Preprocess } from '../input/preprocess.js';
import { preprocessing } from '../rules.js';

/** 1 GiB: the seventh layer of 260,000 images in the paper's network. */
const KEEP_BYTES = 2 ** 30;

/** Placeholder for an image that was not read because its output is cached. */
const UNREAD: Image = { width: 1, height: 1, channels: 1, data: new Uint8Array(1) };

/** Options of `FrozenLayers`. */
export interface FrozenOptions {
  /** Size of the cache in bytes. Outputs that do not fit are computed again whenever they are needed. Default 1 GiB. */
  keepBytes?: number;
  /** Called once, when the first output does not fit into the cache. */
  onFull?: () => void;
}

/**
 * Name of the last layer of a range of frozen layers: `conv1-fc7`, or `fc7` for short.
 *
 * @throws ValueError if a layer does not exist, if the range does not begin with the first layer, or if no layer remains to be trained
 */
export function lastFrozenLayer(model: Network, range: string): string {
  checkModel('lastFrozenLayer', model);
  checkArgument('lastFrozenLayer', 'range', range, text);
  const row = layersInRow(model);
  const names = row.map(([name]) => name);
  const [first, last] = names.includes(range) ? [names[0], range] : splitRange(range, names);
  if (first !== names[0])
    throw new ValueError(
      `freeze is '${range}', which begins at ${first}, expected a range from the first layer on, such as ${names[0]}-${last}; a layer below a frozen one would change its input`,
    );
  if (!row.slice(names.indexOf(last) + 1).some(([, layer]) => layer.parameters().length > 0))
    throw new ValueError(`freeze is '${range}', which leaves no layer to train; end it before ${names.at(-1)}`);
  return last;
}

function splitRange(range: string, names: readonly string[]): [first: string, last: string] {
  // Layer names may contain hyphens.
  for (let at = range.indexOf('-'); at >= 0; at = range.indexOf('-', at + 1)) {
    const ends: [string, string] = [range.slice(0, at), range.slice(at + 1)];
    if (ends.every((name) => names.includes(name))) return ends;
  }
  throw new ValueError(`freeze is '${range}', expected a layer or a range such as ${names[0]}-LAYER; the layers are ${names.join(', ')}`);
}

const OPTIONS: RulesFor<FrozenOptions> = { keepBytes: numeric, onFull: func };

/** Splits a network into frozen layers, whose outputs it caches, and the layers above, which are trained. */
export class FrozenLayers {
  /** The layers that are trained, as a network that shares its parameters with the whole one. */
  readonly head: Sequential;
  private readonly trunk: Sequential;
  private readonly outputShape: Shape;
  private readonly keepBytes: number;
  private readonly kept = new Map<Split, Map<number, Float32Array>>();
  private keptBytes = 0;
  private full = false;

  /**
   * @param model a network whose layers run one after the other
   * @param range as in `lastFrozenLayer`; following layers without parameters, except dropout, are frozen too
   */
  constructor(
    model: Network,
    range: string,
    private readonly preprocess: Preprocess,
    private readonly options: FrozenOptions = {},
  ) {
    checkArgument('FrozenLayers', 'model', model, network);
    checkArgument('FrozenLayers', 'preprocess', preprocess, preprocessing);
    checkOptions('FrozenLayers', options, OPTIONS);
    const row = layersInRow(model);
    const isFixed = ([, layer]: readonly [string, Module]) => layer.parameters().length === 0 && !(layer instanceof Dropout);
    const last = lastFrozenLayer(model, range);
    let cut = row.findIndex(([name]) => name === last) + 1;
    while (isFixed(row[cut])) cut++;
    this.trunk = new Sequential(Object.fromEntries(row.slice(0, cut)));
    this.head = new Sequential(Object.fromEntries(row.slice(cut)));
    const { channels, inputSize } = preprocess.options;
    const output = this.trunk.outputShape([1, channels, inputSize, inputSize]);
    if (!output) throw new ValueError('FrozenLayers: a frozen layer does not report its output shape; override outputShape(input)');
    this.outputShape = output.slice(1);
    this.keepBytes = options.keepBytes ?? KEEP_BYTES;
  }

  /** A view of a split that does not read images whose outputs are cached. Pass its examples to `outputs`. */
  skim(split: Split): Split {
    checkArgument('FrozenLayers.skim', 'split', split, splitRule);
    return {
      length: split.length,
      labels: split.labels,
      get: async (index) =>
        this.kept.get(split)?.has(index) ? { image: UNREAD, label: split.labels[index], index, name: '' } : await exampleAt(split, index),
    };
  }

  /**
   * Outputs of the frozen layers for the centre crops of some images: [N, …]. The caller disposes of them.
   *
   * @param examples from `split` or from `skim(split)`
   */
  async outputs(split: Split, examples: readonly Example[]): Promise<Tensor> {
    checkArgument('FrozenLayers.outputs', 'split', split, splitRule);
    checkArgument('FrozenLayers.outputs', 'examples', examples, arrayOf(objectWith('an example of the split', { index: integer() })));
    const kept = this.kept.get(split) ?? new Map<number, Float32Array>();
    this.kept.set(split, kept);
    const missing = examples.filter(({ index }) => !kept.has(index));
    const computed = new Map<number, Float32Array>();
    const size = sizeOf(this.outputShape);
    if (missing.length > 0) {
      const images = missing.map(({ image }) => image);
      const output = this.pass(imagesToTensor(this.preprocess, images, { backend: this.backend }));
      const values = await output.data();
      output.dispose();
      missing.forEach(({ index }, i) => {
        const own = values.slice(i * size, (i + 1) * size) as Float32Array;
        computed.set(index, own);
        this.keep(kept, index, own);
      });
    }
    const rows = new Float32Array(examples.length * size);
    examples.forEach(({ index }, i) => {
      rows.set((kept.get(index) ?? computed.get(index))!, i * size);
    });
    return fromHost(rows, [examples.length, ...this.outputShape], { backend: this.backend });
  }

  /** As `outputs`, for the training crops of `Preprocess.training`. Only the outputs of centre crops (augmentation `none`) are cached. */
  async trainingOutputs(
    split: Split,
    examples: readonly Example[],
    draw: { augment: Augmentation; seed: number; epoch: number },
  ): Promise<Tensor> {
    checkArgument(
      'FrozenLayers.trainingOutputs',
      'draw',
      draw,
      objectWith('{ augment, seed, epoch }', { augment: text, seed: integer(), epoch: integer() }),
    );
    if (draw.augment === 'none') return await this.outputs(split, examples);
    return this.pass(examplesToTensor(this.preprocess, examples, draw, this.backend));
  }

  /** Backend of the network. */
  private get backend(): Backend {
    return this.trunk.parameters()[0].backend;
  }

  /** Runs the frozen layers on crops [N, C, H, W], and frees the crops. */
  private pass(crops: Tensor): Tensor {
    this.trunk.eval();
    const output = noGrad(() => this.trunk.forward(crops));
    crops.dispose();
    return output;
  }

  private keep(kept: Map<number, Float32Array>, index: number, output: Float32Array): void {
    if (this.keptBytes + output.byteLength <= this.keepBytes) {
      kept.set(index, output);
      this.keptBytes += output.byteLength;
    } else if (!this.full) {
      this.full = true;
      this.options.onFull?.();
    }
  }
}
