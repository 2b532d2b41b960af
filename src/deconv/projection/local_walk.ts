/**
 * Many activations of one image projected in one walk: the image runs forward once, and every activation goes down in the
 * window of the maps that it can reach, which for a middle layer is a small part of them.
 *
 * It is the walk of `deconvnet.ts` in the paper's own words: unpool, rectify, filter transposed. What lies outside of a window is
 * exactly zero there too, so nothing is left out.
 */
import { evaluating } from '../../nn/evaluating.js';
import {
  Conv2d,
  Dropout,
  type LayeredModel,
  LocalResponseNorm,
  MaxPool2d,
  type Module,
  ReLU,
  Sequential,
  type WindowGeometry,
} from '../../nn/index.js';
import {
  type BackwardRules,
  backward,
  convTranspose2d,
  greater,
  localResponseNorm,
  maxPool2dWithSwitches,
  maxUnpool2d,
  mul,
  noGrad,
  pad,
  relu,
  type Shape,
  scope,
  sizeOf,
  type Tensor,
  type TypedArray,
  tensor,
} from '../../tensor/index.js';

/** What one layer leaves for the way down. */
interface Passage {
  layer: Module;
  /** [height, width] of its input and of its output. */
  input: Extent;
  output: Extent;
  channels: number;
  /** Of the one image, [C, H, W]: a pool's switches, where a ReLU was open (1 or 0), a normalisation's inputs; what the rules ask for. */
  recorded: TypedArray | null;
}

type Extent = readonly [height: number, width: number];
type Corner = readonly [y: number, x: number];

/** What comes down for several activations at once. */
interface Signal {
  /** [K, C, H, W] */
  values: Tensor;
  /** Top left corner of each window within the map, which may lie outside of it; null for whole maps. */
  corners: readonly Corner[] | null;
}

/** A model's layers up to a feature, if each of them can be gone down in windows by these rules; else null. */
function localLayers(model: LayeredModel, feature: string, rules: BackwardRules): Module[] | null {
  // Under the rule `last`, zeros from outside of a window would overwrite what is inside.
  if (!(model instanceof Sequential) || rules.overlap !== 'sum') return null;
  const names = model.layerNames();
  const layers = names.slice(0, names.indexOf(feature) + 1).map((name) => model.layer(name));
  return layers.every((layer) => isLocal(layer, rules)) ? layers : null;
}

const PLAIN = [Conv2d, ReLU, MaxPool2d, Dropout];

function isLocal(layer: Module, { normalization }: BackwardRules): boolean {
  if (layer.forward === LocalResponseNorm.prototype.forward) return normalization === 'pass' || layer.reach() === 'point';
  // What a subclass computes in a `forward` of its own is not known.
  return PLAIN.some((kind) => layer.forward === kind.prototype.forward);
}

/** One image's way up, ready to be gone down any number of times. */
export class LocalWalk {
  private constructor(
    private readonly passages: readonly Passage[],
    private readonly rules: BackwardRules,
    /** The feature maps, [1, maps, H, W]. */
    readonly feature: Tensor,
  ) {}

  /**
   * Runs the image forward, layer by layer, and keeps what the rules need again. Null where the model has layers that cannot be gone
   * down in windows.
   *
   * @param image [1, C, H, W]
   */
  static async record(model: LayeredModel, feature: string, image: Tensor, rules: BackwardRules): Promise<LocalWalk | null> {
    const layers = localLayers(model, feature, rules);
    if (!layers) return null;
    const passages: Passage[] = [];
    let x = image;
    for (const layer of layers) {
      const { output, kept } = evaluating(model, () => noGrad(() => forward(layer, x, rules)));
      passages.push({
        layer,
        input: extentOf(x.shape),
        output: extentOf(output.shape),
        channels: output.shape[1],
        recorded: kept && (await kept.data()),
      });
      if (kept !== x) kept?.dispose();
      if (x !== image && x !== output) x.dispose();
      x = output;
    }
    return new LocalWalk(passages, rules, x);
  }

  /**
   * Takes single activations of the feature down to the pixels.
   *
   * @returns a picture each, [C, H, W] flat
   */
  async project(places: readonly { map: number; value: number; position: Corner }[]): Promise<Float32Array[]> {
    const [, maps] = this.feature.shape;
    const { backend, dtype } = this.feature;
    const seed = new Float64Array(places.length * maps);
    places.forEach(({ map, value }, k) => {
      seed[k * maps + map] = value;
    });
    let signal: Signal = {
      values: tensor(seed, [places.length, maps, 1, 1], { backend, dtype }),
      corners: places.map(({ position }) => position),
    };
    for (const passage of [...this.passages].reverse()) {
      const before = await this.settled(signal, passage);
      signal = scope(() => this.down(before, passage));
      if (signal.values !== before.values) before.values.dispose();
    }
    const pixels = await whole(signal, this.passages[0].input);
    signal.values.dispose();
    const size = pixels.length / places.length;
    return places.map((_, k) => Float32Array.from(pixels.subarray(k * size, (k + 1) * size)));
  }

  dispose(): void {
    this.feature.dispose();
  }

  /** Turns windows to whole maps before a step that would make them as large as the maps. */
  private async settled(signal: Signal, { layer, input, output }: Passage): Promise<Signal> {
    const geometry = layer.reach();
    if (!signal.corners || typeof geometry === 'string') return signal;
    const [height, width] = grown(extentOf(signal.values.shape), geometry);
    if (height * width < input[0] * input[1]) return signal;
    const { backend, dtype, shape } = signal.values;
    const values = tensor(await whole(signal, output), [shape[0], shape[1], ...output], { backend, dtype });
    signal.values.dispose();
    return { values, corners: null };
  }

  /** One step: filter transposed, unpool, rectify, or leave as it is. */
  private down(signal: Signal, passage: Passage): Signal {
    const { layer } = passage;
    if (layer instanceof Conv2d) return noGrad(() => filtered(signal, layer, passage));
    if (layer instanceof MaxPool2d) return noGrad(() => unpooled(signal, passage));
    if (layer instanceof ReLU) return { ...signal, values: noGrad(() => this.rectified(signal, passage)) };
    if (layer instanceof LocalResponseNorm && this.rules.normalization === 'gradient') return this.normalized(signal, layer, passage);
    return signal;
  }

  private rectified(signal: Signal, passage: Passage): Tensor {
    const positive = this.rules.relu === 'mask' ? signal.values : relu(signal.values);
    return passage.recorded ? mul(positive, recordedWindows(signal, passage)) : positive;
  }

  private normalized(signal: Signal, layer: LocalResponseNorm, passage: Passage): Signal {
    const x = recordedWindows(signal, passage);
    x.requiresGrad = true;
    const [dx] = backward(localResponseNorm(x, layer.options), { seed: signal.values, rules: this.rules, wrt: [x] });
    return { ...signal, values: dx };
  }
}

/** A layer's output, and what of its numbers the way down needs. */
function forward(layer: Module, x: Tensor, { relu, normalization }: BackwardRules): { output: Tensor; kept: Tensor | null } {
  if (layer instanceof MaxPool2d) {
    const { output, switches } = maxPool2dWithSwitches(x, layer.options);
    return { output, kept: switches };
  }
  const output = layer.forward(x);
  if (layer instanceof ReLU && relu !== 'rectify') return { output, kept: greater(output, 0) };
  return { output, kept: layer instanceof LocalResponseNorm && normalization === 'gradient' ? x : null };
}

function filtered({ values, corners }: Signal, layer: Conv2d, { input }: Passage): Signal {
  const { stride, dilation, groups } = layer.options;
  const windows = convTranspose2d(values, layer.weight, null, { stride, dilation, groups });
  const geometry = layer.reach();
  if (!corners) return { values: ontoMap(windows, geometry.padding, input), corners };
  const below = lowered(corners, geometry);
  return { values: withoutPadding(windows, below, input), corners: below };
}

function unpooled(signal: Signal, passage: Passage): Signal {
  const { values, corners } = signal;
  const { input, recorded } = passage;
  if (!corners) return { values: maxUnpool2d(values, recordedWindows(signal, passage), { outputSize: input }), corners };
  const geometry = passage.layer.reach() as WindowGeometry;
  const below = lowered(corners, geometry);
  const outputSize = grown(extentOf(values.shape), geometry);
  // A switch y · W + x of the map is (y − top) · w + x − left in a window of w columns.
  const [across, width] = [input[1], outputSize[1]];
  const inRows = Int32Array.from(recorded!, (place) => Math.floor(place / across) * width + (place % across));
  const local = recordedWindows(signal, { ...passage, recorded: inRows }, (k) => below[k][0] * width + below[k][1]);
  return { values: maxUnpool2d(values, local, { outputSize }), corners: below };
}

// Windows -------------------------------------------------------------------------------------

const extentOf = (shape: Shape): Extent => [shape[2], shape[3]];

/** The size of the window of inputs behind a window of outputs. */
function grown(extent: Extent, { kernel, stride, dilation }: WindowGeometry): Extent {
  const axis = (i: 0 | 1) => (extent[i] - 1) * stride[i] + dilation[i] * (kernel[i] - 1) + 1;
  return [axis(0), axis(1)];
}

/** Where the windows of inputs behind windows of outputs begin. */
const lowered = (corners: readonly Corner[], { stride, padding }: WindowGeometry): Corner[] =>
  corners.map(([y, x]) => [y * stride[0] - padding[0], x * stride[1] - padding[1]]);

/** Calls back with each row of the windows that lies within the map: where it begins in window and map, and how long it is. */
function eachRow(
  corners: readonly Corner[],
  [height, width]: Extent,
  map: Extent,
  visit: (k: number, inWindow: number, inMap: number, length: number) => void,
): void {
  corners.forEach(([y, x], k) => {
    const [left, right] = [Math.max(0, -x), Math.min(width, map[1] - x)];
    for (let row = Math.max(0, -y); row < Math.min(height, map[0] - y); row++) {
      if (right > left) visit(k, row * width + left, (y + row) * map[1] + x + left, right - left);
    }
  });
}

/** The recorded numbers inside each window less `offset(k)`: [K, C, h, w], 0 outside of the map. */
function recordedWindows({ values, corners }: Signal, { recorded, channels, output }: Passage, offset = (_k: number) => 0): Tensor {
  const extent = extentOf(values.shape);
  const [plane, mapPlane] = [sizeOf(extent), sizeOf(output)];
  const numbers = recorded!;
  const out = arrayLike(numbers, values.size);
  const from = corners ?? Array.from({ length: values.shape[0] }, (): Corner => [0, 0]);
  eachRow(from, extent, output, (k, inWindow, inMap, length) => {
    const less = offset(k);
    for (let c = 0; c < channels; c++) {
      const to = (k * channels + c) * plane + inWindow;
      const start = c * mapPlane + inMap;
      for (let i = 0; i < length; i++) out[to + i] = numbers[start + i] - less;
    }
  });
  return tensor(out, values.shape, { backend: values.backend });
}

/** Zeros of the same type. */
function arrayLike(numbers: TypedArray, length: number): TypedArray {
  if (numbers instanceof Int32Array) return new Int32Array(length);
  return numbers instanceof Float64Array ? new Float64Array(length) : new Float32Array(length);
}

/** Windows laid onto maps that are zero elsewhere, on the host: [K, C, H, W] flat. What lies outside of the map is dropped. */
async function whole({ values, corners }: Signal, map: Extent): Promise<TypedArray> {
  const numbers = await values.data();
  if (!corners) return numbers;
  const extent = extentOf(values.shape);
  const [plane, mapPlane, channels] = [sizeOf(extent), sizeOf(map), values.shape[1]];
  const out = arrayLike(numbers, corners.length * channels * mapPlane);
  eachRow(corners, extent, map, (k, inWindow, inMap, length) => {
    for (let c = 0; c < channels; c++) {
      const from = (k * channels + c) * plane + inWindow;
      out.set(numbers.subarray(from, from + length), (k * channels + c) * mapPlane + inMap);
    }
  });
  return out;
}

/** Windows with what fell onto the padding set to zero: no layer below has made it. */
function withoutPadding(values: Tensor, corners: readonly Corner[], map: Extent): Tensor {
  const [height, width] = extentOf(values.shape);
  if (corners.every(([y, x]) => y >= 0 && x >= 0 && y + height <= map[0] && x + width <= map[1])) return values;
  const { backend, dtype } = values;
  const inside = new Float32Array(corners.length * height * width);
  eachRow(corners, [height, width], map, (k, inWindow, _, length) => {
    const start = k * height * width + inWindow;
    inside.fill(1, start, start + length);
  });
  return mul(values, tensor(inside, [corners.length, 1, height, width], { backend, dtype }));
}

/** Whole maps with their padding, cut to the maps; what no window reached at the end is zero. */
function ontoMap(values: Tensor, padding: readonly [number, number], map: Extent): Tensor {
  const [k, channels, height, width] = values.shape;
  const end = ([0, 1] as const).map((axis) => Math.min(values.shape[2 + axis], padding[axis] + map[axis]));
  if (height === map[0] && width === map[1] && padding[0] + padding[1] === 0) return values;
  const cut = values.slice([0, 0, ...padding], [k, channels, ...end]);
  const missing = ([0, 1] as const).map((axis): [number, number] => [0, map[axis] - cut.shape[2 + axis]]);
  return missing.every(([, after]) => after === 0) ? cut : pad(cut, [[0, 0], [0, 0], ...missing]);
}
