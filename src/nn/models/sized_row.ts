/** Builds a network layer by layer for a given input size, on which its fully connected layers depend. */
import { type Shape, ShapeError } from '../../tensor/index.js';
import type { Module } from '../module.js';
import { Sequential } from '../sequential.js';

/** Layers with the shape of their output. After an error, those that were built have been disposed of. */
export class SizedRow {
  private readonly layers: Record<string, Module> = {};
  private shape: Shape;

  /** @param op name of the builder, for errors */
  constructor(
    private readonly op: string,
    channels: number,
    private readonly inputSize: number,
  ) {
    this.shape = [1, channels, inputSize, inputSize];
  }

  /** Channels, or features, of the output of the last layer. */
  get channels(): number {
    return this.shape[1];
  }

  /** Adds a layer that reports its output shape. @throws ShapeError if the input size is too small for it */
  add(name: string, layer: Module): void {
    this.layers[name] = layer;
    try {
      this.shape = layer.outputShape(this.shape)!;
    } catch (error) {
      for (const built of Object.values(this.layers)) built.dispose();
      if (!(error instanceof ShapeError)) throw error;
      throw new ShapeError(
        `${this.op}: an input of ${this.inputSize} pixels is too small for layer ${name}: ${error.message}. Use a larger input size`,
        { cause: error },
      );
    }
  }

  build(): Sequential {
    return new Sequential(this.layers);
  }
}
