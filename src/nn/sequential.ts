/** `Sequential`, a network of named layers that run one after the other. ZFNet and the torchvision networks are built from it. */
import { arrayOf, checkArgument, recordOf, rule, text } from '../backend/validate.js';
import { type Shape, type Tensor, ValueError } from '../tensor/index.js';
import { checkShape } from '../tensor/shape.js';
import { checkSameBackend } from '../tensor/tensor.js';
import { fieldInside, findInner, innerNames, type NamedLayer, runTapped, summarizeInner, Taps } from './containers/inner_layers.js';
import type { LayeredModel, LayerSummary, ReceptiveField } from './layered_model.js';
import { ReLU } from './layers/activation.js';
import { Conv2d } from './layers/conv2d.js';
import { Linear } from './layers/linear.js';
import type { BatchNorm2d } from './layers/normalization.js';
import { Module, namingLayer, type ReceptiveWindow, type Structure } from './module.js';
import { aModule, unknownLayer } from './rules.js';
import { fieldOfRow, PIXEL_FIELD, total, windowOfField } from './summary.js';

/**
 * A network of named layers that run one after the other. PyTorch `Sequential`. Intermediate activations are freed as soon as the next
 * layer has used them, unless the graph needs them.
 *
 * Layers inside of containers are addressed by their path: `layer1.0.conv2` is layer `conv2` of block 0 of `layer1`. `layerNames` and
 * `summarize` list them, and after the layers of all branches of a container the container itself, whose output is their sum or
 * concatenation.
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
    return this.names.flatMap((name, i) => innerNames(name, this.layers[i]));
  }

  /** Returns the layer with a name from `layerNames()`. @throws ValueError that lists the names, for any other name */
  layer(name: string): Module {
    const { row, place } = this.find(name);
    return row[place][1];
  }

  activations(x: Tensor, names: readonly string[]): Record<string, Tensor> {
    checkSameBackend('activations', x);
    checkArgument('activations', 'the names', names, arrayOf(text));
    if (names.length === 0) return {};
    const last = Math.max(...names.map((name) => this.find(name).top));
    const taps = new Taps(new Set(names), x);
    this.run(x, last, taps);
    return Object.fromEntries(names.map((name) => [name, taps.get(name)!]));
  }

  featureLayer(name: string): string {
    const { row, place } = this.find(name);
    const next = row[place + 1];
    return hasFeatures(row[place][1]) && next?.[1] instanceof ReLU ? next[0] : name;
  }

  /** Window of all layers combined. */
  override receptiveWindow(): ReceptiveWindow | null {
    return windowOfField(fieldOfRow(this.layers));
  }

  receptiveField(name: string): ReceptiveField {
    const { top } = this.find(name);
    if (this.names[top] === name) return fieldOfRow(this.layers.slice(0, top + 1));
    return fieldInside(this.names[top], this.layers[top], fieldOfRow(this.layers.slice(0, top)), name);
  }

  summarize(input: Shape): LayerSummary[] {
    checkShape('Sequential', input);
    return summarizeInner(this.children(), input, PIXEL_FIELD);
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
   * backward pass needs. A ReLU after a convolution, a linear layer or batch normalisation runs inside the kernel of that layer. Outputs of
   * the layers that `taps` asks for are stored there and not freed.
   */
  private run(x: Tensor, last: number, taps: Taps | null): Tensor {
    let value = x;
    let owned = false;
    const run = (i: number, fn: () => Tensor): Tensor => {
      try {
        return namingLayer(this.names[i], fn);
      } catch (error) {
        // Freeing the latest results also releases the values that only their graph refers to.
        if (value !== x) value.release('a failed forward()');
        taps?.abandon();
        throw error;
      }
    };
    for (let i = 0; i <= last; i++) {
      const layer = this.layers[i];
      const fused = i < last && !taps?.has(this.names[i]) && isFusable(layer) && isReLU(this.layers[i + 1]);
      const input = value;
      value = run(i, () => {
        if (fused) return (layer as Conv2d | Linear | BatchNorm2d).forward(input, { relu: true });
        return taps?.inside(this.names[i]) ? runTapped(layer, input, this.names[i], taps) : layer.forward(input);
      });
      if (fused) i++;
      if (owned && value !== input) input.release('the next layer');
      // The output of a container may be that of a layer inside of it, which is kept.
      const tapped = taps?.keeps(value) || taps?.has(this.names[i]);
      taps?.put(this.names[i], value);
      owned = !tapped && (value !== input || owned);
    }
    return value;
  }

  /** Finds a layer by its full name: the row of layers in which it stands, its place there, and the place of its container here. */
  private find(name: string): { row: readonly NamedLayer[]; place: number; top: number } {
    const own = this.names.indexOf(name);
    if (own >= 0) return { row: this.children(), place: own, top: own };
    for (const [top, outer] of this.names.entries()) {
      const found = typeof name === 'string' && name.startsWith(`${outer}.`) ? findInner(outer, this.layers[top], name) : null;
      if (found) return { ...found, top };
    }
    throw new ValueError(unknownLayer(name, this.layerNames()));
  }
}

/** The layers of a network that run one after the other, containers as one layer each. */
export const layersInRow = (model: LayeredModel): NamedLayer[] =>
  model instanceof Sequential ? model.children() : model.layerNames().map((name) => [name, model.layer(name)] as const);

const LAYERS = rule('an array or a plain object of modules, such as { conv1: new Conv2d(…), relu1: new ReLU() }', (value) =>
  (Array.isArray(value) ? arrayOf(aModule) : recordOf(aModule)).test(value),
);

/**
 * Whether a following ReLU can run inside the layer's kernel. A subclass with its own `forward` is not fused. Batch normalisation is asked
 * rather than named, so that pages that do not use it do not load it.
 */
const isFusable = (layer: Module): boolean => hasFeatures(layer) || layer.forward === (layer as { fusedForward?: unknown }).fusedForward;

/** Whether the layer is a convolution or linear layer, whose feature map is the output of a ReLU directly behind it. */
const hasFeatures = (layer: Module): boolean => layer.forward === Conv2d.prototype.forward || layer.forward === Linear.prototype.forward;

/** Whether the layer is a plain ReLU, not a subclass with its own `forward`. */
const isReLU = (layer: Module): boolean => layer.forward === ReLU.prototype.forward;
