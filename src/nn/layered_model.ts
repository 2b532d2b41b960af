/** Types of a network whose layers have names, and of what it reports about them: receptive fields and a summary per layer. */
import type { Shape, Tensor } from '../tensor/index.js';
import type { Module } from './module.js';

/**
 * The patch of the input that one activation sees, on one axis: `size` pixels, moving by `jump` from one activation to the
 * next, the first one starting at pixel `start` (negative where it begins in the padding).
 */
export interface FieldAxis {
  size: number;
  jump: number;
  start: number;
}

/** Vertical and horizontal; null once a layer has seen everything. */
export type ReceptiveField = readonly [FieldAxis, FieldAxis] | null;

export interface LayerSummary {
  name: string;
  kind: string;
  outputShape: Shape;
  parameters: number;
  /** For one forward pass of the batch in the input shape. */
  multiplyAdds: number;
  /** Bytes of its output activations, float32. */
  activationBytes: number;
  receptiveField: ReceptiveField;
}

/** A model whose inner activations can be asked for by layer name; what the deconvnet and the experiments need. */
export interface LayeredModel {
  readonly training: boolean;
  train(on?: boolean): unknown;
  /** Layer names in the order of computation. */
  layerNames(): string[];
  layer(name: string): Module;
  /**
   * Runs the input as far as needed and returns the outputs of the named layers. They are the caller's to dispose; when a
   * gradient is wanted they are part of one recorded graph.
   */
  activations(x: Tensor, names: readonly string[]): Record<string, Tensor>;
  /** The layer whose output counts as this layer's feature map: the ReLU right behind a convolution, else the layer itself. */
  featureLayer(name: string): string;
  /** What one activation of a layer sees of the input; null where it has no place there, or sees all. Without it, all is taken to be seen. */
  receptiveField?(name: string): ReceptiveField;
  /**
   * Probabilities [N, classes] of the output of the last layer, or of `forward`. Without it they are the softmax of that output.
   */
  probabilities?(output: Tensor): Tensor;
  /** A row a layer for an input [N, C, H, W]. */
  summarize?(input: Shape): LayerSummary[];
}

/** A network whose layers can be looked at: a `Sequential`, an imported ONNX model, or one of your own. */
export type Network = Module & LayeredModel;
