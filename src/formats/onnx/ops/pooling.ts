/** The pooling operators MaxPool (with indices), MaxUnpool, AveragePool, GlobalMaxPool and GlobalAveragePool, in one and two dimensions. */
import {
  add,
  avgPool2d,
  cast,
  fromHost,
  maxPool2d,
  maxPool2dWithSwitches,
  maxUnpool2d,
  mean,
  type Pair,
  reshape,
  type Tensor,
  take,
} from '../../../tensor/index.js';
import { isFloat } from '../decoding/element_types.js';
import { type HostValue, isHost, type Value } from '../decoding/host_value.js';
import type { Call, Operator } from '../operator.js';
import { hostMap } from '../running/host_ops.js';
import { AUTO_PADS, fromPlanes, padsOf, pairOf, receptiveWindowOf, spatialDims, toPlanes, windowOf } from './window.js';

function kernelOf(call: Call, dims: number): readonly [number, number] {
  const kernel = call.attributes.ints('kernel_shape');
  if (!kernel) throw call.error('it has no kernel_shape');
  return pairOf(kernel, 1, dims);
}

/**
 * MaxPool. Returns Y and Indices, the positions of the maxima as row-major indices into the whole input [N, C, H, W]; with `storage_order`
 * 1, planes are column-major. Opsets 1, 8, 10, 11, 12, 22. Integers are computed as float32.
 */
function maxPool(call: Call): readonly (Value | null)[] {
  const given = call.value(0);
  const x =
    isHost(given) && !isFloat(given.type)
      ? call.asTensor(
          hostMap(given, (value) => value, 'float32'),
          'input 0',
        )
      : call.tensor(0);
  const dims = spatialDims(call, x.rank);
  const image = toPlanes(x);
  const options = {
    ...windowOf(call.attributes, image.shape, kernelOf(call, dims), dims),
    ceilMode: call.attributes.int('ceil_mode', 0) !== 0,
  };
  const back = (y: Tensor): Value => {
    const shaped = fromPlanes(y, dims);
    return isHost(given) && !isFloat(given.type) ? fromFloat(shaped, given) : shaped;
  };
  if (!call.wants(1)) return [back(maxPool2d(image, options)), null];
  const { output, switches } = maxPool2dWithSwitches(image, options);
  const [n, c, h, w] = image.shape;
  const places = call.attributes.int('storage_order', 0) === 1 ? byColumn(switches, h, w) : switches;
  // Adds the index of the first element of each plane.
  const starts = Int32Array.from({ length: n * c }, (_, plane) => plane * h * w);
  const indices = add(places, fromHost(starts, [n, c, 1, 1], { backend: x.backend }));
  return [back(output), fromPlanes(indices, dims)];
}

/** Converts row-major indices into planes of h × w to column-major ones, by a table with one entry per pixel. */
function byColumn(switches: Tensor, h: number, w: number): Tensor {
  const table = Float32Array.from({ length: h * w }, (_, place) => (place % w) * h + Math.floor(place / w));
  return cast(take(fromHost(table, [h * w], { backend: switches.backend }), switches), 'int32');
}

/** Converts the result of integers that were pooled as float32 back to an integer type. */
const fromFloat = (y: Tensor, { type }: HostValue): Tensor => cast(y, type === 'uint8' || type === 'bool' ? 'uint8' : 'int32');

/**
 * MaxUnpool. Inputs are X and Indices as MaxPool returns them, and optionally the output shape. Opsets 9, 11, 22.
 *
 * If `output_shape` is larger than the smallest image that pools to X, indices may refer to either of the two: the example in the
 * specification uses one, exporters use the other. The right one is recognised because every index must be inside its own window.
 */
function maxUnpool(call: Call): readonly Value[] {
  const x = call.tensor(0);
  const dims = spatialDims(call, x.rank);
  const pooled = toPlanes(x);
  const kernel = kernelOf(call, dims);
  const stride = pairOf(call.attributes.ints('strides'), 1, dims);
  const pads = padsOf(call.attributes.ints('pads'), dims);
  const natural = [0, 1].map((i) => (pooled.shape[2 + i] - 1) * stride[i] + kernel[i] - pads[i] - pads[i + 2]);
  const wanted = call.ints(2);
  const size = wanted ? [...(dims === 1 ? [1] : []), ...wanted.slice(2)] : natural;
  const indices = call.host(1).data;
  const [, , height, width] = pooled.shape;
  /** Returns [row, column] of an index for images of this size, or null if it is outside its window. */
  const placeIn = (image: readonly number[], i: number): readonly [number, number] | null => {
    const within = indices[i] - Math.floor(i / (height * width)) * image[0] * image[1];
    const place = [Math.floor(within / image[1]), within % image[1]] as const;
    const cell = [Math.floor(i / width) % height, i % width];
    const fits = (axis: 0 | 1) => {
      const offset = place[axis] - (cell[axis] * stride[axis] - pads[axis]);
      return place[axis] < image[axis] && offset >= 0 && offset < kernel[axis];
    };
    return within >= 0 && fits(0) && fits(1) ? place : null;
  };
  const image = indices.every((_, i) => placeIn(size, i)) ? size : natural;
  const places = Int32Array.from(indices, (index, i) => {
    const place = placeIn(image, i);
    if (!place || place[0] >= size[0] || place[1] >= size[1]) throw call.error(`index ${index} at position ${i} is outside its window`);
    return place[0] * size[1] + place[1];
  });
  const switches = fromHost(places, pooled.shape, { backend: x.backend });
  return [fromPlanes(maxUnpool2d(pooled, switches, { outputSize: [size[0], size[1]], overlap: 'last' }), dims)];
}

/**
 * AveragePool with three spatial axes [N, C, D, H, W], whose window covers only the first: computed as planes of D rows and H · W
 * columns. PyTorch exports the channel average of local response normalisation in this form.
 */
function averagePoolDepth(call: Call, x: Tensor): Tensor {
  const { attributes } = call;
  const kernel = attributes.ints('kernel_shape') ?? [];
  const strides = attributes.ints('strides') ?? [1, 1, 1];
  const pads = attributes.ints('pads') ?? [0, 0, 0, 0, 0, 0];
  const dilations = attributes.ints('dilations') ?? [1, 1, 1];
  const plain = [1, 2].every((i) => kernel[i] === 1 && strides[i] === 1 && pads[i] === 0 && pads[i + 3] === 0);
  const lengths = kernel.length === 3 && strides.length === 3 && pads.length === 6 && dilations.length === 3;
  if (!plain || !lengths || attributes.word('auto_pad', AUTO_PADS, 'NOTSET') !== 'NOTSET')
    throw call.unsupported('a window over three axes is supported only if it covers the first of them: kernel_shape [k, 1, 1]');
  const [n, c, d, h, w] = x.shape;
  const y = avgPool2d(reshape(x, [n * c, 1, d, h * w]), {
    kernelSize: [kernel[0], 1],
    stride: [strides[0], 1],
    dilation: [dilations[0], 1],
    padding: [pads[0], 0, pads[3], 0],
    ceilMode: attributes.int('ceil_mode', 0) !== 0,
    countIncludePad: attributes.int('count_include_pad', 0) !== 0,
  });
  return reshape(y, [n, c, y.shape[2], h, w]);
}

/** AveragePool. Opsets 1, 7, 10, 11, 19, 22. Padding is included in the average only if `count_include_pad` is set. */
function averagePool(call: Call): readonly Tensor[] {
  const x = call.tensor(0);
  if (x.rank === 5) return [averagePoolDepth(call, x)];
  const dims = spatialDims(call, x.rank);
  const image = toPlanes(x);
  const window = windowOf(call.attributes, image.shape, kernelOf(call, dims), dims);
  const y = avgPool2d(image, {
    ...window,
    ceilMode: call.attributes.int('ceil_mode', 0) !== 0,
    countIncludePad: call.attributes.int('count_include_pad', 0) !== 0,
  });
  return [fromPlanes(y, dims)];
}

function globalMaxPool(call: Call): readonly Tensor[] {
  const x = call.tensor(0);
  const dims = spatialDims(call, x.rank);
  const image = toPlanes(x);
  const kernel: Pair = [image.shape[2], image.shape[3]];
  return [fromPlanes(maxPool2d(image, { kernelSize: kernel }), dims)];
}

function globalAveragePool(call: Call): readonly Tensor[] {
  const x = call.tensor(0);
  return [mean(x, { axes: x.shape.map((_, axis) => axis).slice(2), keepDims: true })];
}

const window: Operator['receptiveWindow'] = (attributes) => receptiveWindowOf(attributes, attributes.ints('kernel_shape'));

export const pooling = {
  MaxPool: { run: maxPool, receptiveWindow: window },
  MaxUnpool: { run: maxUnpool, host: [1, 2] },
  AveragePool: { run: averagePool, receptiveWindow: window },
  GlobalMaxPool: { run: globalMaxPool },
  GlobalAveragePool: { run: globalAveragePool },
} satisfies Record<string, Operator>;
