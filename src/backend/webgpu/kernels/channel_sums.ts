/**
 * Sums over the channels of x [rows, channels, inner], which batch and group normalisation need. The elements of a channel are cut into
 * slices; the first kernel reduces a slice, a second one the slices of a channel in their order.
 */
import type { GpuStorage } from '../buffers.js';
import { flatGroups, type GpuQueue, type Kernel } from '../kernel.js';
import { BITS } from '../wgsl.js';
import { eachElement, eachRow, fields, lanesFor, memo, reads, rowGroups, writes } from './lanes.js';

/** Geometry of the sums. Row r has the channels of group r mod groups; batch normalisation has one group. */
export interface ChannelSizes {
  rows: number;
  groups: number;
  /** Number of channels per group. */
  channels: number;
  inner: number;
}

/** How the elements of a channel are cut. */
interface Slices {
  lanes: number;
  /** Elements per slice. */
  chunk: number;
  count: number;
}

/**
 * Channels with few adjacent elements are reduced by one thread per slice, so that neighbouring threads read neighbouring channels. The
 * result depends on the sizes and the device only.
 */
function slicesOf(queue: GpuQueue, { rows, groups, channels, inner }: ChannelSizes): Slices {
  const elements = (rows / groups) * inner;
  const cut = (lanes: number, chunk: number) => ({ lanes, chunk, count: Math.max(1, Math.ceil(elements / chunk)) });
  if (inner < 32) return cut(1, Math.max(64, Math.ceil(elements / 256)));
  const slices = Math.max(1, Math.min(Math.ceil(elements / 4096), Math.floor(1024 / (groups * channels)), 64));
  const chunk = Math.max(1, Math.ceil(elements / slices));
  return cut(Math.max(64, lanesFor(queue, chunk)), chunk);
}

const SIZES = fields('u32', 'rows', 'channels', 'inner', 'groups', 'all', 'elements', 'chunk');

const sizesOf = ({ rows, groups, channels, inner }: ChannelSizes, { chunk, count }: Slices) => {
  const all = groups * channels;
  return [all * count, channels, inner, groups, all, (rows / groups) * inner, chunk];
};

/** Slice `row`: its channel among all, the first element and the end. Element j of the channel is at `placeOf(c, j)`. */
const PLACE = `
fn rowOf(c: u32, j: u32) -> u32 { return (j / p.inner) * p.groups + c / p.channels; }
fn placeOf(c: u32, j: u32) -> u32 { return (rowOf(c, j) * p.channels + c % p.channels) * p.inner + j % p.inner; }
`;
const SLICE = `
  let c = row % p.all;
  let begin = (row / p.all) * p.chunk;
  let end = min(begin + p.chunk, p.elements);
`;

/** Sums differences from the first element, so that a large mean costs no digits, and then squares of differences from the mean. */
const sliceMoments = memo(
  (lanes: number): Kernel => ({
    name: 'batchNorm moments',
    key: `${lanes}`,
    buffers: [writes('moments'), reads('x')],
    params: SIZES,
    code: () =>
      BITS +
      PLACE +
      eachRow(
        lanes,
        ['sum'],
        `${SLICE}
  let length = f32(end - begin);
  let first = x[placeOf(c, begin)];
  let origin = select(0.0, first, abs(first) <= 1e30 && !isNan(first));
  var sum = 0.0;
  for (var j = begin + lane; j < end; j += LANES) { sum += x[placeOf(c, j)] - origin; }
  let mean = origin + sumLanes(sum, lane) / length;
  var squares = 0.0;
  for (var j = begin + lane; j < end; j += LANES) {
    let d = x[placeOf(c, j)] - mean;
    squares += d * d;
  }
  let all = sumLanes(squares, lane);
  if (lane == 0u) {
    moments[2u * row] = mean;
    moments[2u * row + 1u] = all;
  }`,
      ),
  }),
);

/** Combines the moments of slices: each adds its squares, and its length times the square of the distance of the means. */
const combineMoments: Kernel = {
  name: 'batchNorm statistics',
  key: '',
  buffers: [writes('mean'), writes('variance'), reads('moments')],
  params: fields('u32', 'count', 'slices', 'elements', 'chunk'),
  code: () =>
    eachElement(`
  let origin = moments[2u * i];
  var sum = 0.0;
  for (var s = 1u; s < p.slices; s++) {
    sum += (moments[2u * (s * p.count + i)] - origin) * f32(min(p.chunk, p.elements - s * p.chunk));
  }
  let average = select(origin, origin + sum / f32(p.elements), p.slices > 1u);
  var squares = 0.0;
  for (var s = 0u; s < p.slices; s++) {
    let at = 2u * (s * p.count + i);
    let d = moments[at] - average;
    squares += moments[at + 1u] + d * d * f32(min(p.chunk, p.elements - s * p.chunk));
  }
  mean[i] = average;
  variance[i] = squares / f32(p.elements);`),
};

/** Computes the mean and the biased variance of each channel. */
export function channelStatistics(queue: GpuQueue, mean: GpuStorage, variance: GpuStorage, x: GpuStorage, sizes: ChannelSizes): void {
  const slices = slicesOf(queue, sizes);
  const [rows, , , , all, elements] = sizesOf(sizes, slices);
  const moments = queue.scratch(8 * rows);
  queue.launch(sliceMoments(slices.lanes), [moments, x], sizesOf(sizes, slices), rowGroups(rows, slices.lanes));
  queue.launch(combineMoments, [mean, variance, moments], [all, slices.count, elements, slices.chunk], flatGroups(all));
  queue.release(moments);
}

/**
 * Σ dy and Σ dy · (x − mean) / √(variance + epsilon) of a slice; the statistics belong to the channel or to the row. Each lane adds parts
 * of 16 elements, which rounds less.
 */
const sliceGradients = memo((variant: string): Kernel => {
  const [owner, lanes] = variant.split(' ');
  return {
    name: 'norm gradient sums',
    key: variant,
    buffers: [writes('sums'), reads('dy'), reads('x'), reads('mean'), reads('variance')],
    params: [...SIZES, ...fields('f32', 'epsilon')],
    code: () =>
      PLACE +
      eachRow(
        Number(lanes),
        ['sum'],
        `${SLICE}
  var sums_of_parts = vec2f(0.0);
  var j = begin + lane;
  while (j < end) {
    var part = vec2f(0.0);
    for (var n = 0u; n < 16u && j < end; n++) {
      let at = placeOf(c, j);
      let s = ${owner === 'channel' ? 'c' : 'rowOf(c, j)'};
      part += dy[at] * vec2f(1.0, (x[at] - mean[s])${owner === 'channel' ? '' : ' / sqrt(variance[s] + p.epsilon)'});
      j += LANES;
    }
    sums_of_parts += part;
  }
  let total = sumLanes(sums_of_parts.x, lane);
  let product = sumLanes(sums_of_parts.y, lane)${owner === 'channel' ? ' / sqrt(variance[c] + p.epsilon)' : ''};
  if (lane == 0u) {
    sums[2u * row] = total;
    sums[2u * row + 1u] = product;
  }`,
      ),
  };
});

const combineGradients: Kernel = {
  name: 'norm gradient',
  key: '',
  buffers: [writes('dweight'), writes('dbias'), reads('sums')],
  params: fields('u32', 'count', 'slices'),
  code: () =>
    eachElement(`
  var sum = 0.0;
  var products = 0.0;
  for (var s = 0u; s < p.slices; s++) {
    sum += sums[2u * (s * p.count + i)];
    products += sums[2u * (s * p.count + i) + 1u];
  }
  dbias[i] = sum;
  dweight[i] = products;`),
};

/** Storages of `channelGradients`. */
interface GradientStorages {
  dweight: GpuStorage;
  dbias: GpuStorage;
  dy: GpuStorage;
  x: GpuStorage;
  mean: GpuStorage;
  variance: GpuStorage;
}

/** Computes dbias = Σ dy and dweight = Σ dy · x̂ of each channel, with the statistics of its channel or of each row. */
export function channelGradients(
  queue: GpuQueue,
  { dweight, dbias, dy, x, mean, variance }: GradientStorages,
  sizes: ChannelSizes,
  epsilon: number,
  owner: 'channel' | 'row',
): void {
  const slices = slicesOf(queue, sizes);
  const [rows, , , , all] = sizesOf(sizes, slices);
  const sums = queue.scratch(8 * rows);
  const kernel = sliceGradients(`${owner} ${slices.lanes}`);
  queue.launch(kernel, [sums, dy, x, mean, variance], [...sizesOf(sizes, slices), epsilon], rowGroups(rows, slices.lanes));
  queue.launch(combineGradients, [dweight, dbias, sums], [all, slices.count], flatGroups(all));
  queue.release(sums);
}
