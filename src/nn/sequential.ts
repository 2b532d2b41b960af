/** `Sequential`, a network of named layers that run one after the other. ZFNet and the torchvision networks are built from it. */
import { arrayOf, checkArgument, recordOf, rule, text } from '../backend/validate.js';
import { type Shape, type Tensor, ValueError } from '../tensor/index.js';
import { checkShape } from '../tensor/shape.js';
import { checkSameBackend } from '../tensor/tensor.js';
import type { LayeredModel, LayerSummary, ReceptiveField } from './layered_model.js';
import { ReLU } from './layers/activation.js';
import { Conv2d } from './layers/conv2d.js';
import { Linear } from './layers/linear.js';
import { BatchNorm2d } from './layers/normalization.js';
import { Module, namingLayer, type ReceptiveWindow, type Structure } from './module.js';
import { aModule, unknownLayer } from './rules.js';
import { fieldOfRow, summarizeRow, total, windowOfField } from './summary.js';

/**
 * A network of named layers that run one after the other. PyTorch `Sequential`. Intermediate activations are freed as soon as the next
 * layer has used them, unless the graph needs them.
 *
 * @example
 * const network = new Sequential({ conv1: new Conv2d(3, 8, 3), relu1: new ReLU() });
 * const { relu1 } = network.activations(images, ['relu1']);
 */
export class Sequential extends Module implements LayeredModel {
  private readonly names: readonly string[];
  private readonly layers: readonly Module[];

  /** @param layers in order of computation; the layers of an array get the names '0', '1', … */
  constructor(layers: readonly Module[] | Readonly<Record<string, Module>>) {
    super();
    checkArgument('Sequential', 'layers', layers, LAYERS);
    this.names = Array.isArray(layers) ? layers.map((_, i) => String(i)) : Object.keys(layers);
    this.layers = Array.isArray(layers) ? [...layers] : Object.values(layers);
  }

  override children(): [string, Module][] {
    return this.names.map((name, i) => [name, this.layers[i]]);
  }

  forward(x: Tensor): Tensor {
    checkSameBackend('forward', x);
    return this.run(x, this.layers.length - 1, null);
  }

  layerNames(): string[] {
    return [...this.names];
  }

  /** Returns the layer with a name from `layerNames()`. @throws ValueError that lists the names, for any other name */
  layer(name: string): Module {
    return this.layers[this.indexOf(name)];
  }

  activations(x: Tensor, names: readonly string[]): Record<string, Tensor> {
    checkSameBackend('activations', x);
    checkArgument('activations', 'the names', names, arrayOf(text));
    if (names.length === 0) return {};
    const places = names.map((name) => this.indexOf(name));
    const last = Math.max(...places);
    const taps = new Map<number, Tensor>(places.map((place) => [place, x]));
    this.run(x, last, taps);
    return Object.fromEntries(names.map((name, i) => [name, taps.get(places[i])!]));
  }

  featureLayer(name: string): string {
    const place = this.indexOf(name);
    const following = this.layers[place + 1];
    return hasFeatures(this.layers[place]) && following instanceof ReLU ? this.names[place + 1] : name;
  }

  /** Window of all layers combined. */
  override receptiveWindow(): ReceptiveWindow | null {
    return windowOfField(fieldOfRow(this.layers));
  }

  receptiveField(name: string): ReceptiveField {
    return fieldOfRow(this.layers.slice(0, this.indexOf(name) + 1));
  }

  summarize(input: Shape): LayerSummary[] {
    return summarizeRow(this.shapes(input));
  }

  override structure(): Structure {
    return { kind: 'sequence', layers: this.children() };
  }

  override multiplyAdds(input: Shape): number | null {
    return total(this.shapes(input).map(({ layer, input }) => input && layer.multiplyAdds(input)));
  }

  override outputShape(input: Shape): Shape | null {
    const rows = this.shapes(input);
    return rows.length === 0 ? input : rows[rows.length - 1].output;
  }

  /** Input and output shape of every layer for a given input shape; null from the first layer on that does not report its output shape. */
  shapes(input: Shape): { name: string; layer: Module; input: Shape | null; output: Shape | null }[] {
    checkShape('Sequential', input);
    let shape: Shape | null = input;
    return this.names.map((name, i) => {
      const before: Shape | null = shape;
      shape = before && namingLayer(name, () => this.layers[i].outputShape(before));
      return { name, layer: this.layers[i], input: before, output: shape };
    });
  }

  /**
   * Runs layers 0 to `last`. The output of a layer is freed as soon as the next layer has used it; the graph keeps the values that the
   * backward pass needs. A ReLU after a convolution, a linear layer or batch normalisation runs inside the kernel of that layer. Outputs of the layers that
   * are keys of `taps` are stored there and not freed.
   */
  private run(x: Tensor, last: number, taps: Map<number, Tensor> | null): Tensor {
    let value = x;
    let owned = false;
    const run = (i: number, fn: () => Tensor): Tensor => {
      try {
        return namingLayer(this.names[i], fn);
      } catch (error) {
        // Freeing the latest results also releases the values that only their graph refers to.
        for (const made of [value, ...(taps?.values() ?? [])]) if (made !== x) made.release('a failed forward()');
        throw error;
      }
    };
    for (let i = 0; i <= last; i++) {
      const layer = this.layers[i];
      const fused = i < last && !taps?.has(i) && isFusable(layer) && isReLU(this.layers[i + 1]);
      const input = value;
      value = run(i, () => (fused ? (layer as Conv2d | Linear | BatchNorm2d).forward(input, { relu: true }) : layer.forward(input)));
      if (fused) i++;
      if (owned && value !== input) input.release('the next layer');
      const tapped = taps?.has(i) ?? false;
      if (tapped) taps?.set(i, value);
      owned = !tapped && (value !== input || owned);
    }
    return value;
  }

  private indexOf(name: string): number {
    const place = this.names.indexOf(name);
    if (place < 0) throw new ValueError(unknownLayer(name, this.names));
    return place;
  }
}

const LAYERS = rule('an array or a plain object of modules, such as { conv1: new Conv2d(…), relu1: new ReLU() }', (value) =>
  (Array.isArray(value) ? arrayOf(aModule) : recordOf(aModule)).test(value),
);

/** Whether a following ReLU can run inside the layer's kernel. A subclass with its own `forward` is not fused. */
const isFusable = (layer: Module): boolean => hasFeatures(layer) || layer.forward === BatchNorm2d.prototype.forward;

/** Whether the layer is a convolution or linear layer, whose feature map is the output of a ReLU directly behind it. */
const hasFeatures = (layer: Module): boolean => layer.forward === Conv2d.prototype.forward || layer.forward === Linear.prototype.forward;

/** Whether the layer is a plain ReLU, not a subclass with its own `forward`. */
const isReLU = (layer: Module): boolean => layer.forward === ReLU.prototype.forward;
