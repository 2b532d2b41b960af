/** Wraps an imported model as a classifier, which maps images to class scores and probabilities. */
import {
  arrayOf,
  checkArgument,
  checkOptions,
  instanceOf,
  integer,
  oneOf,
  orNull,
  quote,
  text,
  unknownName,
} from '../../../backend/validate.js';
import { type LayeredModel, type LayerSummary, Module, type ReceptiveField } from '../../../nn/index.js';
import { concat, permute, type Shape, ShapeError, scope, sigmoid, slice, softmax, sub, type Tensor } from '../../../tensor/index.js';
import { checkShape } from '../../../tensor/shape.js';
import { checkFloat, checkSameBackend } from '../../../tensor/tensor.js';
import { isFloat } from '../decoding/element_types.js';
import { OnnxError, UnsupportedError } from '../errors.js';
import { neededFor } from '../graph/nodes.js';
import { filledShape } from '../graph/shape_pass.js';
import { OnnxModel } from './model.js';
import { chooseOutput, type OutputCandidate, outputCandidates } from './outputs.js';
import { type Ending, endingOf, type GraphView, SCORES, type Scores } from './scores.js';

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

const onnxModel = instanceOf(OnnxModel);

/** The function that converts the output of the last layer to probabilities. */
type Transform = 'softmax' | 'sigmoid' | 'none';

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
  /** Axis order of the model's input. */
  readonly layout: 'nchw' | 'nhwc';
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
    readonly model: OnnxModel,
    private readonly options: OnnxClassifierOptions = {},
  ) {
    super();
    checkArgument('OnnxClassifier', 'the model', model, onnxModel);
    checkOptions('OnnxClassifier', options, RULES);
    checkInput(model);
    this.layout = options.layout ?? layoutOf(model);
    const own = ownBatch(model);
    const view = viewOf(model, own);
    this.candidates = outputCandidates(model, view, own);
    const chosen = this.choose(view);
    [this.output, this.outputValue] = [chosen.name, chosen.value];
    this.batch = options.batch === undefined ? batchOf(model, chosen.value, own, view) : options.batch;
    const ending = endingOf(view, chosen.value);
    this.graphScores = ending.kind;
    this.scores = options.scores ?? ending.kind;
    const { value, transform } = readingOf(this.scores, ending, chosen.value);
    this.transform = transform;
    this.independent = (this.scores === 'sigmoid' || this.scores === 'sigmoid-logits') && chosen.count !== 1;
    const needed = new Set(neededFor([value], model.nodes).map(({ name }) => name));
    this.names = model.layerNames().filter((name) => needed.has(name));
    this.last = this.names.at(-1) ?? '';
    if (this.names.length === 0 || model.maker(value)?.name !== this.last)
      throw new OnnxError(`onnx: output ${quote(this.output)} of this model does not depend on the image`);
    this.training = model.training;
  }

  private choose(view: GraphView): OutputCandidate {
    const { output } = this.options;
    if (output === undefined) return chooseOutput(this.candidates, view, this.model.nodes);
    const found = this.candidates.find(({ name }) => name === output);
    if (found) return found;
    const names = this.model.outputs.map(({ name }) => name);
    if (!names.includes(output)) throw new OnnxError(unknownName('onnx', 'output', output, names));
    throw new OnnxError(`onnx: output ${quote(output)} does not have the shape of class scores, [N, classes]`);
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
      if (this.transform === 'softmax') return softmax(rows);
      const own = this.transform === 'sigmoid' ? sigmoid(rows) : rows.reshape([...rows.shape]);
      return single ? concat([sub(own.mul(0).add(1), own), own], 1) : own;
    });
  }

  /** @internal The unmodified output of the graph, for comparisons. */
  rawOutput(x: Tensor): Tensor {
    return this.rows(
      this.batched(x, [this.outputValue], (feed) => this.model.values(feed, [this.outputValue]))[this.outputValue],
      x.shape[0],
    );
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
    const last = this.summarize(input).at(-1)!.outputShape;
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
      const feed = this.ordered(x);
      const [n, ...rest] = feed.shape;
      if (batch === null || n === 0) return run(feed);
      const parts: Record<string, Tensor>[] = [];
      for (let start = 0; start < n; start += batch) {
        const end = Math.min(start + batch, n);
        const part = slice(feed, [start, 0, 0, 0], [end, ...rest]);
        const results = run(end - start === batch ? part : filled(part, batch));
        parts.push(Object.fromEntries(names.map((name) => [name, rowsOf(results[name], batch, end - start, name)])));
      }
      if (parts.length === 1) return parts[0];
      return Object.fromEntries(
        names.map((name) => [
          name,
          concat(
            parts.map((part) => part[name]),
            0,
          ),
        ]),
      );
    });
  }

  /** Converts images to the channel and axis order of the model. Gradients are converted back by the backward pass. */
  private ordered(x: Tensor): Tensor {
    const [n, channels, height, width] = x.shape;
    let feed = x;
    if (this.options.channelOrder === 'bgr') {
      const planes = Array.from({ length: channels }, (_, c) => slice(x, [0, c, 0, 0], [n, c + 1, height, width]));
      feed = concat(planes.reverse(), 1);
    }
    return this.layout === 'nhwc' ? permute(feed, [0, 2, 3, 1]) : feed;
  }
}

/** Returns the outputs of a model that could be class scores, with their number of values per image. */
export function classOutputs(model: OnnxModel): readonly OutputCandidate[] {
  checkArgument('classOutputs', 'the model', model, onnxModel);
  checkInput(model);
  const batch = ownBatch(model);
  return outputCandidates(model, viewOf(model, batch), batch);
}

/** Returns the declared batch size of a model, or 1 if it is free. */
function ownBatch({ inputs: [{ shape }] }: OnnxModel): number {
  return typeof shape?.[0] === 'number' ? Math.max(1, shape[0]) : 1;
}

/** Operators whose outputs have no bounds, unlike probabilities. */
const WEIGHING = new Set([
  ...[
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
  ],
  ...['Squeeze', 'MaxPool', 'GlobalMaxPool', 'Concat'],
]);

/** Fills a batch by repeating its last image. */
function filled(part: Tensor, batch: number): Tensor {
  const [n, ...rest] = part.shape;
  const last = slice(part, [n - 1, 0, 0, 0], [n, ...rest]);
  return concat([part, ...new Array<Tensor>(batch - n).fill(last)], 0);
}

/** Returns the results of the images without those of the padding, and restores a batch axis of 1 that the model has removed. */
function rowsOf(result: Tensor, batch: number, images: number, name: string): Tensor {
  const { shape } = result;
  if (batch === 1) return shape[0] === 1 ? result : result.reshape([1, ...shape]);
  if (shape[0] !== batch) throw new ShapeError(`onnx: layer ${name} gives shape [${shape}] for a batch of ${batch} images`);
  return images === batch ? result : slice(result, [0, ...shape.slice(1).map(() => 0)], [images, ...shape.slice(1)]);
}

function checkInput(model: OnnxModel): void {
  const [input] = model.inputs;
  if (model.inputs.length !== 1 || (input.shape && input.shape.length !== 4))
    throw new OnnxError(
      `onnx: a classifier takes one input [N, C, H, W]; this model has ${model.inputs.map(({ name, shape }) => `${name} [${shape ?? '…'}]`).join(', ') || 'none'}`,
    );
  if (!isFloat(input.type) && !model.isOnlyCast(input.name))
    throw new UnsupportedError(
      `onnx: input ${quote(input.name)} is ${input.type} and is used as integers; supported are integer inputs that the model casts to floating point first`,
    );
}

const isChannels = (extent: unknown): boolean => extent === 1 || extent === 3;

function layoutOf({ inputs: [{ shape }] }: OnnxModel): 'nchw' | 'nhwc' {
  return shape && isChannels(shape[3]) && !isChannels(shape[1]) ? 'nhwc' : 'nchw';
}

/** Image side used for shape inference if the model does not declare one. */
const SIDE = 224;

function viewOf(model: OnnxModel, batch: number): GraphView {
  const shape = filledShape(model.inputs[0], batch, SIDE, true);
  const shapes = shape ? model.shapesFor(shape) : () => undefined;
  return { maker: (name) => model.maker(name), constant: (name) => model.constant(name), shape: shapes };
}

/** Returns the batch size of the model if a larger batch does not give more rows of output; otherwise null. */
function batchOf(model: OnnxModel, output: string, own: number, view: GraphView): number | null {
  if (model.batch !== null) return model.batch;
  const single = view.shape(output);
  if (!single) return null;
  const more = viewOf(model, own + 1).shape(output);
  const grows = more && single[0] === own && more[0] === own + 1 && more.slice(1).join() === single.slice(1).join();
  return grows ? null : own;
}

/** Returns the value with the scores, and the function that converts it to probabilities. */
function readingOf(scores: Scores, ending: Ending, output: string): { value: string; transform: Transform } {
  const exclusive = ending.kind === 'softmax' || ending.kind === 'log-softmax';
  switch (scores) {
    case 'softmax':
      return exclusive ? { value: ending.scores, transform: 'softmax' } : { value: output, transform: 'none' };
    case 'log-softmax':
      return { value: exclusive ? ending.scores : output, transform: 'softmax' };
    case 'sigmoid':
      if (ending.kind !== 'sigmoid') return { value: output, transform: 'none' };
      return { value: ending.scores, transform: ending.applied ? 'none' : 'sigmoid' };
    case 'none':
      return { value: ending.kind === 'none' ? ending.scores : output, transform: 'softmax' };
    default:
      return { value: ending.kind === 'none' ? ending.scores : output, transform: 'sigmoid' };
  }
}
