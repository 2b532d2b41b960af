/** Wraps an imported model as a classifier, which maps images to class scores and probabilities. */
import { arrayOf, checkArgument, checkOptions, integer, oneOf, orNull, quote, text } from '../../../backend/validate.js';
import { type LayeredModel, type LayerSummary, Module, type ReceptiveField } from '../../../nn/index.js';
import { concat, type Shape, ShapeError, scope, sigmoid, softmax, sub, type Tensor } from '../../../tensor/index.js';
import { checkShape } from '../../../tensor/shape.js';
import { checkFloat, checkSameBackend } from '../../../tensor/tensor.js';
import { OnnxError } from '../errors.js';
import { neededFor } from '../graph/nodes.js';
import { type InputOrder, inBatches, inOrderOfModel } from './batches.js';
import { checkImageInput, classScores, layoutOf, onnxModel, type Transform } from './class_scores.js';
import type { OnnxModel } from './model.js';
import type { OutputCandidate } from './outputs.js';
import { type Ending, SCORES, type Scores } from './scores.js';

/** Options of `OnnxClassifier`. */
export interface OnnxClassifierOptions {
  /** Channel order of the model's input. Default `rgb`; Caffe models use `bgr`. Images in this library are always RGB. */
  channelOrder?: 'rgb' | 'bgr';
  /**
   * Axis order of the model's input. Default: `nhwc` if the declared shape has 1 or 3 channels on the last axis but not on the second,
   * otherwise `nchw`.
   */
  layout?: 'nchw' | 'nhwc';
  /** Name of the output with the class scores. Default: chosen from the graph; see `chooseOutput`. */
  output?: string;
  /** How the output becomes probabilities. Default: found in the graph; `none` if it ends in neither softmax nor sigmoid. */
  scores?: Scores;
  /** The only valid batch size of the model, or null for any. Default: found from the output shapes for two batch sizes. */
  batch?: number | null;
}

const RULES = {
  channelOrder: oneOf('rgb', 'bgr'),
  layout: oneOf('nchw', 'nhwc'),
  output: text,
  scores: oneOf(...SCORES),
  batch: orNull(integer(1)),
};

/**
 * A classifier over an imported model. `forward` computes the scores before the final softmax or sigmoid, and `probabilities` converts
 * them to probabilities [N, classes]. Its layers are those that the scores depend on.
 *
 * A model with a fixed batch size (often 1) is run several times for a larger batch. `dispose()` also disposes the model.
 *
 *     const classifier = new OnnxClassifier(await loadOnnx(bytes));
 *     const probabilities = classifier.probabilities(classifier.forward(images));
 */
export class OnnxClassifier extends Module implements LayeredModel {
  /** Name of the output with the class scores. */
  readonly output: string;
  /** How the output becomes probabilities. */
  readonly scores: Scores;
  /** The final function of the graph, independent of the options: `none` if it is neither softmax nor sigmoid. */
  readonly graphScores: Ending['kind'];
  /** Whether the probabilities of the classes are independent (sigmoid), so that they do not sum to 1. */
  readonly independent: boolean;
  /** Outputs that could be class scores. */
  readonly candidates: readonly OutputCandidate[];
  /** The only valid batch size of the model; null if any is valid. */
  readonly batch: number | null;
  private readonly order: InputOrder;
  private readonly transform: Transform;
  /** Name of the value in the graph that contains the class scores of `output`. */
  private readonly outputValue: string;
  private readonly names: string[];
  private readonly last: string;

  /**
   * @throws OnnxError for a model without exactly one image input, for an unknown output, and if the output is ambiguous
   * @throws ValueError for unknown options
   */
  constructor(
    /** The imported model, which the classifier runs and disposes of. */
    readonly model: OnnxModel,
    options: OnnxClassifierOptions = {},
  ) {
    super();
    checkArgument('OnnxClassifier', 'the model', model, onnxModel);
    checkOptions('OnnxClassifier', options, RULES);
    checkImageInput(model);
    this.order = { channelOrder: options.channelOrder ?? 'rgb', layout: options.layout ?? layoutOf(model) };
    const found = classScores(model, options);
    const { chosen, ending, value } = found;
    this.candidates = found.candidates;
    [this.output, this.outputValue] = [chosen.name, chosen.value];
    this.batch = found.batch;
    this.graphScores = ending.kind;
    this.scores = found.scores;
    this.transform = found.transform;
    this.independent = (this.scores === 'sigmoid' || this.scores === 'sigmoid-logits') && chosen.count !== 1;
    const needed = new Set(neededFor([value], model.nodes).map(({ name }) => name));
    this.names = model.layerNames().filter((name) => needed.has(name));
    this.last = this.names.at(-1) ?? '';
    if (this.names.length === 0 || model.lookup.maker(value)?.name !== this.last)
      throw new OnnxError(`onnx: output ${quote(this.output)} of this model does not depend on the image`);
    this.training = model.training;
  }

  /** Axis order of the model's input. */
  get layout(): 'nchw' | 'nhwc' {
    return this.order.layout;
  }

  /** Returns the scores of the last layer, [N, classes] (or [N, 1] for two classes), the input of `probabilities`. */
  forward(x: Tensor): Tensor {
    checkSameBackend('forward', x);
    return this.rows(this.activations(x, [this.last])[this.last], x.shape[0]);
  }

  /**
   * Returns the probabilities of the classes. A single score with a sigmoid is the probability of the second of two classes.
   *
   * @param output the result of `forward`, or the activations of the last layer
   * @returns [N, classes]
   */
  probabilities(output: Tensor): Tensor {
    checkFloat('probabilities', output);
    if (output.rank === 0) throw new ShapeError('probabilities: output has shape [], expected [N, classes]');
    return scope(() => {
      const rows = output.reshape([output.shape[0], -1]);
      const single = rows.shape[1] === 1;
      if (single && this.scores !== 'sigmoid' && this.scores !== 'sigmoid-logits')
        throw new OnnxError(
          `onnx: output ${quote(this.output)} is a single value per image without a sigmoid; if it is a probability, set scores 'sigmoid'`,
        );
      return transformed(rows, this.transform, single);
    });
  }

  /** @internal The unmodified output of the graph, for comparisons. */
  rawOutput(x: Tensor): Tensor {
    const { outputValue: name } = this;
    return this.rows(this.batched(x, [name], (feed) => this.model.values(feed, [name]))[name], x.shape[0]);
  }

  /** Whether the values of the last layer have no bounds, because it is linear or a pooling, such as `Gemm`. */
  get endsInWeights(): boolean {
    return WEIGHING.has(this.model.layer(this.last).kind);
  }

  /** Reshapes [N, classes, 1, …] to [N, classes]. */
  private rows(output: Tensor, images: number): Tensor {
    if (output.rank === 2 && output.shape[0] === images) return output;
    const [n, classes = 1, ...rest] = output.shape;
    if (n !== images || rest.some((extent) => extent !== 1))
      throw new ShapeError(`onnx: the model's last layer ${this.last} has shape [${output.shape}], expected [N, classes]`);
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
    return this.batched(x, names, (feed) => this.model.activations(feed, names));
  }

  featureLayer(name: string): string {
    const feature = this.model.featureLayer(name);
    return this.names.includes(feature) ? feature : name;
  }

  receptiveField(name: string): ReceptiveField {
    return this.model.receptiveField(name);
  }

  summarize(input: Shape): LayerSummary[] {
    const own = new Set(this.names);
    checkShape('summarize', input);
    const [n, c, h, w] = input;
    return this.model.summarize(this.layout === 'nhwc' ? [n, h, w, c] : input).filter(({ name }) => own.has(name));
  }

  override outputShape(input: Shape): Shape {
    const last = this.summarize(input).at(-1)!.outputShape!;
    return last.slice(0, 2);
  }

  /** Runs the model with its own batch size, and concatenates the results along the first axis. */
  private batched(x: Tensor, names: readonly string[], run: (feed: Tensor) => Record<string, Tensor>): Record<string, Tensor> {
    const { batch } = this;
    checkArgument('activations', 'the names', names, arrayOf(text));
    checkSameBackend('activations', x);
    if (x.rank !== 4) throw new ShapeError(`onnx: the image has shape [${x.shape}], expected [N, C, H, W]`);
    if (names.length === 0) return {};
    return scope(() => {
      const feed = inOrderOfModel(x, this.order);
      return batch === null || feed.shape[0] === 0 ? run(feed) : inBatches(feed, batch, names, run);
    });
  }
}

/** Converts scores [N, classes] to probabilities; a single probability to those of two classes. */
function transformed(rows: Tensor, transform: Transform, single: boolean): Tensor {
  if (transform === 'softmax') return softmax(rows);
  const own = transform === 'sigmoid' ? sigmoid(rows) : rows.reshape([...rows.shape]);
  return single ? concat([sub(own.mul(0).add(1), own), own], 1) : own;
}

/** Operators whose outputs have no bounds, unlike probabilities. */
const WEIGHING = new Set([
  'Gemm',
  'MatMul',
  'Conv',
  'Add',
  'BatchNormalization',
  'Relu',
  'GlobalAveragePool',
  'AveragePool',
  'ReduceMean',
  'Flatten',
  'Reshape',
  'Squeeze',
  'MaxPool',
  'GlobalMaxPool',
  'Concat',
]);
