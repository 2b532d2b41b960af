/** An imported model as a classifier: one image in, logits out, whatever the graph does around that. */
import { type LayeredModel, type LayerSummary, Module, type ReceptiveField } from '../../nn/index.js';
import { concat, type Shape, ShapeError, scope, slice, type Tensor } from '../../tensor/index.js';
import { OnnxError } from './errors.js';
import type { OnnxModel } from './model.js';

export interface OnnxClassifierOptions {
  /** The order in which the model takes the channels of an image. Default `rgb`; Caffe's networks take `bgr`. Images here are RGB always. */
  channelOrder?: 'rgb' | 'bgr';
}

/**
 * The model up to its softmax: `forward` gives logits [N, classes], whether the graph ends in them, in probabilities, or in maps
 * of one pixel. Layers, parameters and what is seen of the image are the model's own. Disposing of it disposes of the model.
 */
export class OnnxClassifier extends Module implements LayeredModel {
  private readonly names: string[];
  private readonly logits: string;

  /** @throws OnnxError for a model that does not take one image */
  constructor(
    readonly model: OnnxModel,
    private readonly options: OnnxClassifierOptions = {},
  ) {
    super();
    const [input] = model.inputs;
    if (model.inputs.length !== 1 || (input.shape && input.shape.length !== 4))
      throw new OnnxError(
        `onnx: a classifier takes one input [N, C, H, W]; this model has ${model.inputs.map(({ name, shape }) => `${name} [${shape ?? '…'}]`).join(', ') || 'none'}`,
      );
    const all = model.layerNames();
    const end = all.findLastIndex((name) => !ENDINGS.includes(model.layer(name).kind));
    if (end < 0) throw new OnnxError('onnx: this model has no layer that computes anything');
    this.names = all.slice(0, end + 1);
    this.logits = all[end];
    this.training = model.training;
  }

  forward(x: Tensor): Tensor {
    const output = this.activations(x, [this.logits])[this.logits];
    if (output.rank === 2) return output;
    const [n, classes = 1, ...rest] = output.shape;
    if (n !== x.shape[0] || rest.some((extent) => extent !== 1))
      throw new ShapeError(
        `onnx: the model's last layer ${this.logits} has shape [${output.shape}], expected one number a class: [N, classes]`,
      );
    const flat = output.reshape([n, classes]);
    output.dispose();
    return flat;
  }

  layerNames(): string[] {
    return [...this.names];
  }

  layer(name: string): Module {
    return this.model.layer(name);
  }

  activations(x: Tensor, names: readonly string[]): Record<string, Tensor> {
    return scope(() => this.model.activations(this.ordered(x), names));
  }

  featureLayer(name: string): string {
    return this.model.featureLayer(name);
  }

  receptiveField(name: string): ReceptiveField {
    return this.model.receptiveField(name);
  }

  summarize(input: Shape): LayerSummary[] {
    return this.model.summarize(input).filter(({ name }) => this.names.includes(name));
  }

  /** The image as the model wants it. What goes down arrives in RGB again. */
  private ordered(x: Tensor): Tensor {
    if (this.options.channelOrder !== 'bgr') return x;
    const [n, channels, height, width] = x.shape;
    const planes = Array.from({ length: channels }, (_, c) => slice(x, [0, c, 0, 0], [n, c + 1, height, width]));
    return concat(planes.reverse(), 1);
  }

  override outputShape(input: Shape): Shape {
    const last = this.summarize(input).at(-1)!.outputShape;
    return last.slice(0, 2);
  }
}

/** What may come behind the logits. */
const ENDINGS = ['Softmax', 'LogSoftmax', 'ArgMax', 'Identity', 'Flatten', 'Reshape', 'Squeeze'];
