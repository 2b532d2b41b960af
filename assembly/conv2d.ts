/**
 * Convolution and its gradients as matrix products. The columns (for the weight gradient: k) are the output pixels of the whole batch
 * in order, so that small feature maps fill the tiles as well as large ones do.
 */
import { addShares, runsBytes, splitRuns, windowGeometry } from './gemm/col2im';
import { f32_gemm_block, KC, panelWidth } from './gemm/tiles';
import { convShape, packPixels, packTaps, pixelAddresses, pixelPatterns, tapOffsets } from './gemm/windows';
import { scratch } from './scratch';

export * from './gemm/layout';

function align(address: usize): usize {
  return (address + 63) & ~63;
}

/**
 * y = conv(x, w) + b, then max(·, 0) if `relu`; `b` may be 0. w is [groups · outputs, channels · kh · kw].
 * A unit is one block of columns of one block of rows of one group, counted in that order (columns fastest).
 * Scratch, each part rounded up to 64 bytes: taps + 3 · unitColumns addresses, unitColumns / 4 bytes,
 * (256 + min(unitRows, outputs)) · unitColumns floats.
 */
export function conv2d(kernel: i32, y: usize, x: usize, w: usize, b: usize, relu: i32, shape: usize, begin: i32, end: i32): void {
  const s = convShape(shape);
  const width = panelWidth(kernel);
  const k = s.channels * s.kh * s.kw;
  const total = s.n * s.gridH * s.gridW;
  const across = (total + s.unitColumns - 1) / s.unitColumns;
  const down = (s.outputs + s.unitRows - 1) / s.unitRows;
  const taps = align(scratch);
  const pixels = align(taps + <usize>k * sizeof<usize>());
  const runs = align(pixels + <usize>s.unitColumns * sizeof<usize>());
  const patterns = align(runs + <usize>s.unitColumns * 2 * sizeof<usize>());
  const panels = align(patterns + (<usize>s.unitColumns >> 2));
  const tiles = align(panels + ((<usize>(KC * s.unitColumns)) << 2));
  const ld = (<usize>s.unitColumns) << 2;
  const ldw = (<usize>k) << 2;
  tapOffsets(taps, s);
  for (let unit = begin; unit < end; unit++) {
    const group = unit / (across * down);
    const row = ((unit / across) % down) * s.unitRows;
    const rows = min(s.unitRows, s.outputs - row);
    const first = (unit % across) * s.unitColumns;
    const count = min(s.unitColumns, total - first);
    const columns = (count + 7) & ~7;
    const wUnit = w + <usize>(group * s.outputs + row) * ldw;
    pixelAddresses(pixels, x + ((<usize>(group * s.xGroup)) << 2), s, first, count, columns);
    pixelPatterns(patterns, pixels, columns);
    for (let k0 = 0; k0 < k; k0 += KC) {
      const kc = min(KC, k - k0);
      packPixels(panels, pixels, patterns, taps + <usize>k0 * sizeof<usize>(), kc, columns, width);
      f32_gemm_block(kernel, rows, columns, kc, wUnit + ((<usize>k0) << 2), ldw, panels, tiles, ld, k0 > 0);
    }
    const channel = group * s.outputs + row;
    const runsEnd = outputRuns(runs, y, s.gridH * s.gridW, s.groups * s.outputs, channel, first, count);
    const bias = b ? b + ((<usize>channel) << 2) : 0;
    storeRuns(runs, runsEnd, tiles, ld, rows, (<usize>(s.gridH * s.gridW)) << 2, bias, relu);
  }
}

/** Splits columns [first, first + count) into runs within a plane of y: pairs of an address and a length. Returns their end. */
function outputRuns(to: usize, y: usize, plane: i32, channels: i32, channel: i32, first: i32, count: i32): usize {
  while (count > 0) {
    const image = first / plane;
    const inPlane = first % plane;
    const run = min(count, plane - inPlane);
    const planes = <usize>(image * channels + channel);
    store<usize>(to, y + ((planes * <usize>plane + <usize>inPlane) << 2));
    store<usize>(to, (<usize>run) << 2, sizeof<usize>());
    to += 2 * sizeof<usize>();
    first += run;
    count -= run;
  }
  return to;
}

/** Copies the tiles [rows, columns] to their runs in y; adds the bias of each row and applies the ReLU. */
function storeRuns(runs: usize, runsEnd: usize, tiles: usize, ld: usize, rows: i32, plane: usize, bias: usize, relu: i32): void {
  const low: f32 = relu ? 0 : -Infinity;
  const low4 = f32x4.splat(low);
  let offset: usize = 0;
  // `pmax` compiles to one instruction where `max` needs several, and it propagates NaN. No sum is -0.
  for (let i = 0; i < rows; i++) {
    const add: f32 = bias ? load<f32>(bias + ((<usize>i) << 2)) : 0;
    const add4 = f32x4.splat(add);
    let from = tiles + <usize>i * ld;
    for (let run = runs; run < runsEnd; run += 2 * sizeof<usize>()) {
      let to = load<usize>(run) + offset;
      const end = from + load<usize>(run, sizeof<usize>());
      for (; from + 16 <= end; from += 16) {
        v128.store(to, f32x4.pmax(f32x4.add(v128.load(from), add4), low4));
        to += 16;
      }
      for (; from < end; from += 4) {
        store<f32>(to, max<f32>(load<f32>(from) + add, low));
        to += 4;
      }
    }
    offset += plane;
  }
}

/**
 * dw = Σ over images and pixels of dy · x[pixel + tap]. Rows are output channels, columns are taps, and k runs over the pixels
 * of `parts` parts in order. A part has `partPixels` pixels; its dy begins `partStep` elements after that of the part before and has rows
 * `dyOutput` elements apart. The sum over k is cut into `slices` partial sums, each written to a dw of its own: [slices, outputs, taps].
 * Units are counted as in `conv2d`, with taps as columns, within each slice.
 * Scratch, each part rounded up to 64 bytes: taps + 16 + 256 addresses, 64 bytes, (256 + min(unitRows, outputs)) · unitColumns floats.
 */
export function conv2dWeightGrad(
  kernel: i32,
  dw: usize,
  x: usize,
  dy: usize,
  parts: i32,
  partPixels: i32,
  partStep: usize,
  dyOutput: i32,
  slices: i32,
  shape: usize,
  begin: i32,
  end: i32,
): void {
  const s = convShape(shape);
  const width = panelWidth(kernel);
  const total = s.channels * s.kh * s.kw;
  const across = (total + s.unitColumns - 1) / s.unitColumns;
  const down = (s.outputs + s.unitRows - 1) / s.unitRows;
  const unitsOfSlice = across * down * s.groups;
  const blocksOfPart = (partPixels + KC - 1) / KC;
  const blocks = parts * blocksOfPart;
  const taps = align(scratch);
  const pixels = align(taps + <usize>(total + 16) * sizeof<usize>());
  const patterns = align(pixels + KC * sizeof<usize>());
  const panels = align(patterns + (KC >> 2));
  const tiles = align(panels + ((<usize>(KC * s.unitColumns)) << 2));
  const ld = (<usize>s.unitColumns) << 2;
  const ldy = (<usize>dyOutput) << 2;
  tapOffsets(taps, s);
  // The last tile may be wider than the number of taps. The extra columns are discarded, but need a valid address to read from.
  for (let i = 0; i < 16; i++) store<usize>(taps + <usize>(total + i) * sizeof<usize>(), 0);
  for (let unit = begin; unit < end; unit++) {
    const slice = unit / unitsOfSlice;
    const group = (unit / (across * down)) % s.groups;
    const row = ((unit / across) % down) * s.unitRows;
    const rows = min(s.unitRows, s.outputs - row);
    const first = (unit % across) * s.unitColumns;
    const count = min(s.unitColumns, total - first);
    const columns = (count + 7) & ~7;
    const xGroup = x + ((<usize>(group * s.xGroup)) << 2);
    const dyUnit = dy + <usize>(group * s.outputs + row) * ldy;
    const firstBlock = (slice * blocks) / slices;
    const lastBlock = ((slice + 1) * blocks) / slices;
    for (let block = firstBlock; block < lastBlock; block++) {
      const part = block / blocksOfPart;
      const k0 = (block % blocksOfPart) * KC;
      const kc = min(KC, partPixels - k0);
      const dyBlock = dyUnit + ((<usize>part * partStep + <usize>k0) << 2);
      pixelAddresses(pixels, xGroup, s, part * partPixels + k0, kc, kc);
      pixelPatterns(patterns, pixels, kc & ~3);
      packTaps(panels, pixels, patterns, taps + <usize>first * sizeof<usize>(), kc, columns, width);
      f32_gemm_block(kernel, rows, columns, kc, dyBlock, ldy, panels, tiles, ld, block > firstBlock);
    }
    const ldw = (<usize>total) << 2;
    let to = dw + <usize>((slice * s.groups + group) * s.outputs + row) * ldw + ((<usize>first) << 2);
    for (let i = 0; i < rows; i++) {
      memory.copy(to, tiles + <usize>i * ld, (<usize>count) << 2);
      to += ldw;
    }
  }
}

/**
 * dx = col2im(wᵀ · dy): the product gives the contribution of every output pixel to every tap, which is then added to the input pixel
 * that the tap reads. Used for few channels, or where stride and dilation are both above 1; otherwise the input gradient is computed as
 * a convolution (src/backend/wasm/conv2d.ts). `transposed` is [groups, channels · kh · kw, outputs]. The shape describes dy as the images
 * (its taps are the output channels); `geometry` holds the convolution's kh, kw, h, w, stride, padding (top, left) and dilation, vertical
 * before horizontal.
 * A unit is one block of `unitChannels` channels of one block of `unitImages` images of one group. `unitImages` and `unitColumns` affect
 * the order of summation, so they may depend on the shape only.
 * Scratch, each part rounded up to 64 bytes: outputs + 5 · unitColumns addresses, unitColumns / 4 bytes,
 * (256 + unitChannels · kh · kw) · unitColumns floats.
 */
export function conv2dInputGrad(
  kernel: i32,
  dx: usize,
  dy: usize,
  transposed: usize,
  shape: usize,
  geometry: usize,
  unitChannels: i32,
  unitImages: i32,
  begin: i32,
  end: i32,
): void {
  const s = convShape(shape);
  const g = windowGeometry(geometry);
  const width = panelWidth(kernel);
  const window = g.kh * g.kw;
  const k = s.channels;
  const plane = s.gridH * s.gridW;
  const across = (g.channels + unitChannels - 1) / unitChannels;
  const down = (s.n + unitImages - 1) / unitImages;
  const taps = align(scratch);
  const pixels = align(taps + <usize>k * sizeof<usize>());
  const runs = align(pixels + <usize>s.unitColumns * sizeof<usize>());
  const patterns = align(runs + runsBytes(s.unitColumns));
  const panels = align(patterns + (<usize>s.unitColumns >> 2));
  const tiles = align(panels + ((<usize>(KC * s.unitColumns)) << 2));
  const ld = (<usize>s.unitColumns) << 2;
  const ldw = (<usize>k) << 2;
  const dxPlane = (<usize>(g.h * g.w)) << 2;
  tapOffsets(taps, s);
  for (let unit = begin; unit < end; unit++) {
    const group = unit / (across * down);
    const image = ((unit / across) % down) * unitImages;
    const images = min(unitImages, s.n - image);
    const channel = (unit % across) * unitChannels;
    const channels = min(unitChannels, g.channels - channel);
    const wUnit = transposed + <usize>((group * g.channels + channel) * window) * ldw;
    const dxUnit = dx + <usize>(group * g.channels + channel) * dxPlane;
    const dxImage = <usize>(g.channels * s.groups) * dxPlane;
    for (let i = 0; i < images; i++) {
      memory.fill(dxUnit + <usize>(image + i) * dxImage, 0, <usize>channels * dxPlane);
    }
    const last = (image + images) * plane;
    for (let first = image * plane; first < last; first += s.unitColumns) {
      const count = min(s.unitColumns, last - first);
      const columns = (count + 7) & ~7;
      pixelAddresses(pixels, dy + ((<usize>(group * s.xGroup)) << 2), s, first, count, columns);
      pixelPatterns(patterns, pixels, columns);
      for (let k0 = 0; k0 < k; k0 += KC) {
        const kc = min(KC, k - k0);
        packPixels(panels, pixels, patterns, taps + <usize>k0 * sizeof<usize>(), kc, columns, width);
        f32_gemm_block(kernel, channels * window, columns, kc, wUnit + ((<usize>k0) << 2), ldw, panels, tiles, ld, k0 > 0);
      }
      const runsEnd = splitRuns(runs, first, count, s.gridH, s.gridW, dxImage);
      for (let c = 0; c < channels; c++) {
        addShares(dxUnit + <usize>c * dxPlane, tiles + <usize>(c * window) * ld, ld, g, runs, runsEnd);
      }
    }
  }
}
