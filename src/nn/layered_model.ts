/** Types of a network whose layers have names, and of the information about them: receptive fields and a summary per layer. */
import type { Shape, Tensor } from '../tensor/index.js';
import type { Module } from './module.js';

/**
 * Receptive field along one axis: the activation at index i depends on the `size` input pixels from start + i · jump on. `start` is
 * negative if the field of the first activation begins in the padding.
 */
export interface FieldAxis {
  /** Length of the field in input pixels. It may exceed the image, since padding counts. */
  size: number;
  /** Distance in input pixels between the fields of neighbouring activations: the product of the strides. */
  jump: number;
  /** Input pixel at which the field of activation 0 begins; negative where it begins in the padding. */
  start: number;
}

/** Receptive field [vertical, horizontal]; null if it is the whole input, `unknown` if a layer does not report its window. */
export type ReceptiveField = readonly [FieldAxis, FieldAxis] | null | 'unknown';

/** Summary of one layer, as `summarize` returns. */
export interface LayerSummary {
  /** Name of the layer, which is also the prefix of its parameters in the state: `conv1` of `conv1.weight`. */
  name: string;
  /** Class of the layer, such as `Conv2d`; operator type of an imported one. */
  kind: string;
  /** Null if a layer does not report its output shape; likewise for all layers after it, and for the numbers below. */
  outputShape: Shape | null;
  /** Number of trainable elements, without running statistics. 0 for layers such as ReLU. */
  parameters: number;
  /** Multiply-adds of one forward pass of a batch of the given input shape. */
  multiplyAdds: number | null;
  /** Size of the output activations in bytes, as float32. */
  activationBytes: number | null;
  /** Window of the input that one output activation depends on; see `FieldAxis`. */
  receptiveField: ReceptiveField;
}

/** A model that returns the activations of its layers by name. The deconvnet and the experiments accept any such model. */
export interface LayeredModel {
  /** Whether the model is in training mode, in which dropout is active and batch normalisation uses the batch. */
  readonly training: boolean;
  /** Switches to training mode, or with `false` to evaluation mode. */
  train(on?: boolean): unknown;
  /** Layer names in the order of computation. */
  layerNames(): string[];
  /** Returns the layer with a name from `layerNames()`. @throws ValueError for any other name */
  layer(name: string): Module;
  /**
   * Runs the network as far as needed and returns the outputs of the named layers, which the caller disposes of. While gradients are
   * recorded, all outputs belong to one graph.
   */
  activations(x: Tensor, names: readonly string[]): Record<string, Tensor>;
  /** Name of the layer whose output is this layer's feature map: the ReLU directly after a convolution or linear layer, else the layer. */
  featureLayer(name: string): string;
  /**
   * Receptive field of a layer; null if it is the whole input or has no position in the image, `unknown` if a layer does not report its
   * window. A model without this method counts as having whole-image receptive fields.
   */
  receptiveField?(name: string): ReceptiveField;
  /**
   * Converts the output of the last layer, or of `forward`, to probabilities [N, classes]. Without this method, softmax is used.
   */
  probabilities?(output: Tensor): Tensor;
  /** Summary for an input shape [N, C, H, W], one entry per layer. */
  summarize?(input: Shape): LayerSummary[];
}

/** A module that is also a `LayeredModel`: a `Sequential`, an imported ONNX model, or your own class. */
export type Network = Module & LayeredModel;
