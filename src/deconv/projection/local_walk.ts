/**
 * Projects many activations of one image at once. The image runs forward once; each activation is then projected down within its
 * receptive window only, which in a middle layer is a small part of the maps.
 *
 * The steps are those of the paper: unpool, rectify, filter with the transposed weights. The results equal those of `deconvnet.ts`,
 * because the projected signal is exactly zero outside the windows.
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

/** Values that the forward pass of one layer keeps for the projection. */
interface Passage {
  layer: Module;
  /** [height, width] of the layer's input and output. */
  input: Extent;
  output: Extent;
  channels: number;
  /**
   * [C, H, W], as far as the rules need it: the switches of max pooling, the mask of a ReLU (1 where its input was positive), or the inputs
   * of a normalisation.
   */
  recorded: TypedArray | null;
}

type Extent = readonly [height: number, width: number];
type Corner = readonly [y: number, x: number];

/** Projected signal of several activations. */
interface Signal {
  /** [K, C, H, W] */
  values: Tensor;
  /** Top left corner of each window relative to the map, possibly outside it; null if the values are whole maps. */
  corners: readonly Corner[] | null;
}

/** The layers of a model up to a feature map if all of them support projection in windows under these rules, else null. */
function localLayers(model: LayeredModel, feature: string, rules: BackwardRules): Module[] | null {
  // Under the rule `last`, zeros from outside a window would overwrite values inside it.
  if (!(model instanceof Sequential) || rules.overlap !== 'sum') return null;
  const row = model.children();
  const place = row.findIndex(([name]) => name === feature);
  // A layer inside of a container is not the last of a row.
  if (place < 0) return null;
  const layers = row.slice(0, place + 1).map(([, layer]) => layer);
  return layers.every((layer) => isLocal(layer, rules)) ? layers : null;
}

const PLAIN = [Conv2d, ReLU, MaxPool2d, Dropout];

function isLocal(layer: Module, { normalization }: BackwardRules): boolean {
  if (layer.forward === LocalResponseNorm.prototype.forward) return normalization === 'pass' || layer.receptiveWindow() === 'point';
  // A subclass with its own `forward` may compute something else.
  return PLAIN.some((kind) => layer.forward === kind.prototype.forward);
}

/** A recorded forward pass of one image, from which activations can be projected any number of times. */
export class LocalWalk {
  private constructor(
    private readonly passages: readonly Passage[],
    private readonly rules: BackwardRules,
    /** The feature maps, [1, maps, H, W]. */
    readonly feature: Tensor,
  ) {}

  /**
   * Runs the image forward, layer by layer, and keeps the values that the rules need. Returns null if the model has layers that do not
   * support projection in windows.
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
   * Projects single activations of the feature map to the pixels.
   *
   * @returns one projection per activation, [C, H, W] flat
   */
  async project(places: readonly { map: number; value: number; position: Corner }[]): Promise<Float32Array[]> {
    const [, maps] = this.feature.shape;
    const { backend, dtype } = this.feature;
    const gradient = new Float64Array(places.length * maps);
    places.forEach(({ map, value }, k) => {
      gradient[k * maps + map] = value;
    });
    let signal: Signal = {
      values: tensor(gradient, [places.length, maps, 1, 1], { backend, dtype }),
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

  /** Replaces windows by whole maps before a layer at which they would grow as large as the maps. */
  private async settled(signal: Signal, { layer, input, output }: Passage): Promise<Signal> {
    const geometry = layer.receptiveWindow();
    if (!signal.corners || geometry === null || typeof geometry === 'string') return signal;
    const [height, width] = grown(extentOf(signal.values.shape), geometry);
    if (height * width < input[0] * input[1]) return signal;
    const { backend, dtype, shape } = signal.values;
    const values = tensor(await whole(signal, output), [shape[0], shape[1], ...output], { backend, dtype });
    signal.values.dispose();
    return { values, corners: null };
  }

  /** Projects the signal through one layer: filter with transposed weights, unpool, rectify, or return it unchanged. */
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
    const [dx] = backward(localResponseNorm(x, layer.options), { gradient: signal.values, rules: this.rules, wrt: [x] });
    return { ...signal, values: dx };
  }
}

/** Output of a layer, and the values that the projection needs from it. */
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
  const geometry = layer.receptiveWindow();
  if (!corners) return { values: ontoMap(windows, geometry.padding, input), corners };
  const below = lowered(corners, geometry);
  return { values: withoutPadding(windows, below, input), corners: below };
}

function unpooled(signal: Signal, passage: Passage): Signal {
  const { values, corners } = signal;
  const { input, recorded } = passage;
  const layer = passage.layer as MaxPool2d;
  if (!corners) {
    const options = { outputSize: input, pooling: layer.options };
    return { values: maxUnpool2d(values, recordedWindows(signal, passage), options), corners };
  }
  const geometry = layer.receptiveWindow();
  const below = lowered(corners, geometry);
  const outputSize = grown(extentOf(values.shape), geometry);
  // The switch y · W + x of the map becomes (y − top) · w + x − left in a window of w columns.
  const [across, width] = [input[1], outputSize[1]];
  const inRows = Int32Array.from(recorded!, (place) => (place < 0 ? NOWHERE : Math.floor(place / across) * width + (place % across)));
  // Outputs outside the map, whose values are zero, have no switch.
  const local = recordedWindows(signal, { ...passage, recorded: inRows }, (k) => below[k][0] * width + below[k][1], -1);
  const { kernel: kernelSize, stride, dilation } = geometry;
  return { values: maxUnpool2d(values, local, { outputSize, pooling: { kernelSize, stride, dilation } }), corners: below };
}

/** Switch of a window without elements, which stays negative when the corner of a window is subtracted. */
const NOWHERE = -(2 ** 30);

// Windows -------------------------------------------------------------------------------------

const extentOf = (shape: Shape): Extent => [shape[2], shape[3]];

/** Size of the input window that a window of outputs depends on. */
function grown(extent: Extent, { kernel, stride, dilation }: WindowGeometry): Extent {
  const axis = (i: 0 | 1) => (extent[i] - 1) * stride[i] + dilation[i] * (kernel[i] - 1) + 1;
  return [axis(0), axis(1)];
}

/** Top left corners of the input windows that windows of outputs depend on. */
const lowered = (corners: readonly Corner[], { stride, padding }: WindowGeometry): Corner[] =>
  corners.map(([y, x]) => [y * stride[0] - padding[0], x * stride[1] - padding[1]]);

/** Calls `visit` for each row of each window, clipped to the map, with its start in the window and in the map and its length. */
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

/** Recorded values inside each window minus `offset(k)`, [K, C, h, w]; `outside` where the window is outside the map. */
function recordedWindows(
  { values, corners }: Signal,
  { recorded, channels, output }: Passage,
  offset = (_k: number) => 0,
  outside = 0,
): Tensor {
  const extent = extentOf(values.shape);
  const [plane, mapPlane] = [sizeOf(extent), sizeOf(output)];
  const numbers = recorded!;
  const out = arrayLike(numbers, values.size).fill(outside);
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

/** A zero-filled array of the same type. */
function arrayLike(numbers: TypedArray, length: number): TypedArray {
  if (numbers instanceof Int32Array) return new Int32Array(length);
  return numbers instanceof Float64Array ? new Float64Array(length) : new Float32Array(length);
}

/** Whole maps that contain the windows and are zero elsewhere, [K, C, H, W] flat on the host. Parts outside the map are dropped. */
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

/** The windows with values in the padding set to zero, since no layer below produced the padding. */
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

/** Crops maps with padding to the map itself; rows and columns at the end that no window covers are zero. */
function ontoMap(values: Tensor, padding: readonly [number, number], map: Extent): Tensor {
  const [k, channels, height, width] = values.shape;
  const end = ([0, 1] as const).map((axis) => Math.min(values.shape[2 + axis], padding[axis] + map[axis]));
  if (height === map[0] && width === map[1] && padding[0] + padding[1] === 0) return values;
  const cut = values.slice([0, 0, ...padding], [k, channels, ...end]);
  const missing = ([0, 1] as const).map((axis): [number, number] => [0, map[axis] - cut.shape[2 + axis]]);
  return missing.every(([, after]) => after === 0) ? cut : pad(cut, [[0, 0], [0, 0], ...missing]);
}
