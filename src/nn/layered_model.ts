/** Types of a network whose layers have names, and of the information about them: receptive fields and a summary per layer. */
import type { Shape, Tensor } from '../tensor/index.js';
import type { Module } from './module.js';

/**
 * Receptive field along one axis: the activation at index i depends on the `size` input pixels from start + i · jump on. `start` is
 * negative if the field of the first activation begins in the padding.
 */
export interface FieldAxis {
  size: number;
  jump: number;
  start: number;
}

/** Receptive field [vertical, horizontal]; null if it is the whole input, `unknown` if a layer does not report its window. */
export type ReceptiveField = readonly [FieldAxis, FieldAxis] | null | 'unknown';

/** Summary of one layer, as `summarize` returns. */
export interface LayerSummary {
  name: string;
  kind: string;
  /** Null if a layer does not report its output shape; likewise for all layers after it, and for the numbers below. */
  outputShape: Shape | null;
  parameters: number;
  /** Multiply-adds of one forward pass of a batch of the given input shape. */
  multiplyAdds: number | null;
  /** Size of the output activations in bytes, as float32. */
  activationBytes: number | null;
  receptiveField: ReceptiveField;
}

/** A model that returns the activations of its layers by name. The deconvnet and the experiments accept any such model. */
export interface LayeredModel {
  readonly training: boolean;
  train(on?: boolean): unknown;
  /** Layer names in the order of computation. */
  layerNames(): string[];
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
