/**
 * Convolution as matrix products whose B is packed straight from the images: for every k (a tap: channel, kernel row, kernel
 * column) and every column (an output pixel of some image) it holds x[pixel + tap]. So columns run over the whole batch, and small
 * maps fill the tiles as well as large ones; no im2col buffer exists beyond one block.
 *
 * The images have their padding already (`pad2d`), so that no tap ever falls outside.
 */
import { gather, storeTransposed } from './gemm/pack';
import { f32_gemm_block, KC, panelWidth } from './gemm/tiles';
import { scratch } from './scratch';

/**
 * What a convolution looks like in memory, filled by the host; i32 throughout, sizes and steps in elements.
 * Columns are (image, row, column) of a grid of output pixels; taps are (channel, kernel row, kernel column).
 */
@unmanaged
class ConvShape {
  n: i32;
  groups: i32;
  /** Output channels of a group: rows of w and y. */
  outputs: i32;
  /** Input channels of a group. */
  channels: i32;
  kh: i32;
  kw: i32;
  /** The grid of output pixels. */
  gridH: i32;
  gridW: i32;
  /** Steps through x: of an image, a group, a tap's channel, row and column, and of the grid's row and column. */
  xImage: i32;
  xGroup: i32;
  xTapC: i32;
  xTapH: i32;
  xTapW: i32;
  xGridH: i32;
  xGridW: i32;
  /** What one unit of work covers; `unitColumns` is a multiple of 16. */
  unitRows: i32;
  unitColumns: i32;
}

// How four neighbouring pixels lie: anyhow, side by side, or every other one.
const SCATTERED: u8 = 0;
const ADJACENT: u8 = 1;
const ALTERNATE: u8 = 2;

/** Writes the offset of every tap, in bytes. */
function tapOffsets(to: usize, s: ConvShape): void {
  for (let c = 0; c < s.channels; c++) {
    for (let i = 0; i < s.kh; i++) {
      let offset = (<usize>(c * s.xTapC + i * s.xTapH)) << 2;
      for (let j = 0; j < s.kw; j++) {
        store<usize>(to, offset);
        offset += (<usize>s.xTapW) << 2;
        to += sizeof<usize>();
      }
    }
  }
}

/** Writes the address in x of the pixels of columns [first, first + count), and repeats the last one up to `room`. */
function pixelAddresses(to: usize, x: usize, s: ConvShape, first: i32, count: i32, room: i32): void {
  const plane = s.gridH * s.gridW;
  const step = (<usize>s.xGridW) << 2;
  let image = first / plane;
  let row = (first % plane) / s.gridW;
  let column = first % s.gridW;
  const end = to + <usize>count * sizeof<usize>();
  const roomEnd = to + <usize>room * sizeof<usize>();
  let address: usize = 0;
  while (to < end) {
    address = x + ((<usize>image * <usize>s.xImage + <usize>(row * s.xGridH + column * s.xGridW)) << 2);
    const rowEnd = min(end, to + <usize>(s.gridW - column) * sizeof<usize>());
    for (; to < rowEnd; to += sizeof<usize>()) {
      store<usize>(to, address);
      address += step;
    }
    column = 0;
    if (++row === s.gridH) {
      row = 0;
      image++;
    }
  }
  for (; to < roomEnd; to += sizeof<usize>()) store<usize>(to, address - step);
}

/** Says of every four pixels how they lie. `count` is a multiple of 4. */
function pixelPatterns(to: usize, pixels: usize, count: i32): void {
  for (let i = 0; i < count; i += 4) {
    const p0 = load<usize>(pixels);
    const p1 = load<usize>(pixels, sizeof<usize>());
    const p2 = load<usize>(pixels, 2 * sizeof<usize>());
    const p3 = load<usize>(pixels, 3 * sizeof<usize>());
    const step = p1 - p0;
    const even = p2 - p1 === step && p3 - p2 === step;
    store<u8>(to++, even && step === 4 ? ADJACENT : even && step === 8 ? ALTERNATE : SCATTERED);
    pixels += 4 * sizeof<usize>();
  }
}

/** Four numbers, every other one from `p`; reads nothing behind the last. */
function loadAlternate(p: usize): v128 {
  return v128.shuffle<f32>(v128.load(p), v128.load(p, 12), 0, 2, 5, 7);
}

/** Packs taps [0, kc) of `columns` pixels (a multiple of 8) into panels. */
function packPixels(to: usize, pixels: usize, patterns: usize, taps: usize, kc: i32, columns: i32, width: i32): void {
  const step = (<usize>width) << 2;
  const tapsEnd = taps + <usize>kc * sizeof<usize>();
  for (let j = 0; j < columns; j += width) {
    const panel = to + ((<usize>(j * kc)) << 2);
    const groups = min(width, columns - j) >> 2;
    const at = pixels + <usize>j * sizeof<usize>();
    const first = load<usize>(at);
    // Sixteen side by side, or every other one. Addresses rise, save for those repeated at the end.
    const reach = groups === 4 ? load<usize>(at, 15 * sizeof<usize>()) - first : 0;
    const four = load<u32>(patterns + <usize>(j >> 2));
    if (reach === 60 && four === 0x01010101 * <u32>ADJACENT) {
      let target = panel;
      for (let tap = taps; tap < tapsEnd; tap += sizeof<usize>()) {
        const source = first + load<usize>(tap);
        v128.store(target, v128.load(source));
        v128.store(target, v128.load(source, 16), 16);
        v128.store(target, v128.load(source, 32), 32);
        v128.store(target, v128.load(source, 48), 48);
        target += 64;
      }
      continue;
    }
    if (reach === 120 && four === 0x01010101 * <u32>ALTERNATE) {
      let target = panel;
      for (let tap = taps; tap < tapsEnd; tap += sizeof<usize>()) {
        const source = first + load<usize>(tap);
        v128.store(target, loadAlternate(source));
        v128.store(target, loadAlternate(source + 32), 16);
        v128.store(target, loadAlternate(source + 64), 32);
        v128.store(target, loadAlternate(source + 96), 48);
        target += 64;
      }
      continue;
    }
    for (let g = 0; g < groups; g++) {
      const quad = at + <usize>(g << 2) * sizeof<usize>();
      const p0 = load<usize>(quad);
      let target = panel + ((<usize>g) << 4);
      const pattern = load<u8>(patterns + <usize>(j >> 2) + <usize>g);
      if (pattern === ADJACENT) {
        for (let tap = taps; tap < tapsEnd; tap += sizeof<usize>()) {
          v128.store(target, v128.load(p0 + load<usize>(tap)));
          target += step;
        }
      } else if (pattern === ALTERNATE) {
        for (let tap = taps; tap < tapsEnd; tap += sizeof<usize>()) {
          v128.store(target, loadAlternate(p0 + load<usize>(tap)));
          target += step;
        }
      } else {
        const p1 = load<usize>(quad, sizeof<usize>());
        const p2 = load<usize>(quad, 2 * sizeof<usize>());
        const p3 = load<usize>(quad, 3 * sizeof<usize>());
        for (let tap = taps; tap < tapsEnd; tap += sizeof<usize>()) {
          const offset = load<usize>(tap);
          v128.store(target, gather(p0 + offset, p1 + offset, p2 + offset, p3 + offset));
          target += step;
        }
      }
    }
  }
}

/** Packs `columns` taps (a multiple of 8) of `kc` pixels into panels: the same matrix lying the other way. */
function packTaps(to: usize, pixels: usize, patterns: usize, taps: usize, kc: i32, columns: i32, width: i32): void {
  const step = (<usize>width) << 2;
  for (let j = 0; j < columns; j += 4) {
    const four = taps + <usize>j * sizeof<usize>();
    const t0 = load<usize>(four);
    const t1 = load<usize>(four, sizeof<usize>());
    const t2 = load<usize>(four, 2 * sizeof<usize>());
    const t3 = load<usize>(four, 3 * sizeof<usize>());
    let target = to + ((<usize>((j / width) * width * kc + (j % width))) << 2);
    let pixel = pixels;
    let k = 0;
    if (t1 - t0 === 4 && t2 - t1 === 4 && t3 - t2 === 4) {
      // Four taps side by side, so each pixel's lie as they should.
      for (; k < kc; k++) {
        v128.store(target, v128.load(load<usize>(pixel) + t0));
        target += step;
        pixel += sizeof<usize>();
      }
    }
    for (; k + 4 <= kc; k += 4) {
      const p = load<usize>(pixel);
      const pattern = load<u8>(patterns + (<usize>k >> 2));
      if (pattern === ADJACENT) {
        storeTransposed(target, step, v128.load(p + t0), v128.load(p + t1), v128.load(p + t2), v128.load(p + t3));
      } else if (pattern === ALTERNATE) {
        storeTransposed(target, step, loadAlternate(p + t0), loadAlternate(p + t1), loadAlternate(p + t2), loadAlternate(p + t3));
      } else {
        v128.store(target, gather(p + t0, p + t1, p + t2, p + t3));
        const p1 = load<usize>(pixel, sizeof<usize>());
        v128.store(target + step, gather(p1 + t0, p1 + t1, p1 + t2, p1 + t3));
        const p2 = load<usize>(pixel, 2 * sizeof<usize>());
        v128.store(target + step * 2, gather(p2 + t0, p2 + t1, p2 + t2, p2 + t3));
        const p3 = load<usize>(pixel, 3 * sizeof<usize>());
        v128.store(target + step * 3, gather(p3 + t0, p3 + t1, p3 + t2, p3 + t3));
      }
      target += step << 2;
      pixel += 4 * sizeof<usize>();
    }
    for (; k < kc; k++) {
      const p = load<usize>(pixel);
      v128.store(target, gather(p + t0, p + t1, p + t2, p + t3));
      target += step;
      pixel += sizeof<usize>();
    }
  }
}

function align(address: usize): usize {
  return (address + 63) & ~63;
}

/**
 * y = conv(x, w) + b, then max(·, 0) if `relu`; `b` may be 0. w is [groups · outputs, channels · kh · kw].
 * Units count blocks of columns within blocks of rows within groups.
 * Scratch, each part rounded up to 64 bytes: taps and 3 · unitColumns addresses, unitColumns / 4 bytes,
 * (256 + min(unitRows, outputs)) · unitColumns numbers.
 */
export function conv2d(kernel: i32, y: usize, x: usize, w: usize, b: usize, relu: i32, shape: usize, begin: i32, end: i32): void {
  const s = changetype<ConvShape>(shape);
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
    const runsEnd = outputRuns(runs, y, s, channel, first, count);
    const bias = b ? b + ((<usize>channel) << 2) : 0;
    storeRuns(runs, runsEnd, tiles, ld, rows, (<usize>(s.gridH * s.gridW)) << 2, bias, relu);
  }
}

/** Splits columns [first, first + count) into runs within a plane of y: pairs of an address and a length. Returns their end. */
function outputRuns(to: usize, y: usize, s: ConvShape, channel: i32, first: i32, count: i32): usize {
  const plane = s.gridH * s.gridW;
  while (count > 0) {
    const image = first / plane;
    const inPlane = first % plane;
    const run = min(count, plane - inPlane);
    const planes = <usize>image * <usize>(s.groups * s.outputs) + <usize>channel;
    store<usize>(to, y + ((planes * <usize>plane + <usize>inPlane) << 2));
    store<usize>(to, (<usize>run) << 2, sizeof<usize>());
    to += 2 * sizeof<usize>();
    first += run;
    count -= run;
  }
  return to;
}

/** Takes the tiles [rows, columns] to their runs in y, adding the bias of each row, through the ReLU. */
function storeRuns(runs: usize, runsEnd: usize, tiles: usize, ld: usize, rows: i32, plane: usize, bias: usize, relu: i32): void {
  const low: f32 = relu ? 0 : -Infinity;
  const low4 = f32x4.splat(low);
  let offset: usize = 0;
  for (let i = 0; i < rows; i++) {
    const add: f32 = bias ? load<f32>(bias + ((<usize>i) << 2)) : 0;
    const add4 = f32x4.splat(add);
    let from = tiles + <usize>i * ld;
    for (let run = runs; run < runsEnd; run += 2 * sizeof<usize>()) {
      let to = load<usize>(run) + offset;
      const end = from + load<usize>(run, sizeof<usize>());
      for (; from + 16 <= end; from += 16) {
        v128.store(to, f32x4.max(f32x4.add(v128.load(from), add4), low4));
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
 * dw = Σ over images and pixels of dy · x[pixel + tap]. Rows are output channels, columns are taps, and k runs over the pixels of
 * one `part` after the other: `parts` stretches of `partPixels` pixels, dy of which begins `partStep` elements after the last one's
 * and has rows `dyOutput` elements apart. Units as in `conv2d`, with taps for columns.
 * Scratch, each part rounded up to 64 bytes: taps + 16 + 256 addresses, 64 bytes, (256 + min(unitRows, outputs)) · unitColumns numbers.
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
  shape: usize,
  begin: i32,
  end: i32,
): void {
  const s = changetype<ConvShape>(shape);
  const width = panelWidth(kernel);
  const total = s.channels * s.kh * s.kw;
  const across = (total + s.unitColumns - 1) / s.unitColumns;
  const down = (s.outputs + s.unitRows - 1) / s.unitRows;
  const taps = align(scratch);
  const pixels = align(taps + <usize>(total + 16) * sizeof<usize>());
  const patterns = align(pixels + KC * sizeof<usize>());
  const panels = align(patterns + (KC >> 2));
  const tiles = align(panels + ((<usize>(KC * s.unitColumns)) << 2));
  const ld = (<usize>s.unitColumns) << 2;
  const ldy = (<usize>dyOutput) << 2;
  tapOffsets(taps, s);
  // The last tile may be wider than the taps: what it computes there is thrown away, but must be read from somewhere.
  for (let i = 0; i < 16; i++) store<usize>(taps + <usize>(total + i) * sizeof<usize>(), 0);
  for (let unit = begin; unit < end; unit++) {
    const group = unit / (across * down);
    const row = ((unit / across) % down) * s.unitRows;
    const rows = min(s.unitRows, s.outputs - row);
    const first = (unit % across) * s.unitColumns;
    const count = min(s.unitColumns, total - first);
    const columns = (count + 7) & ~7;
    const xGroup = x + ((<usize>(group * s.xGroup)) << 2);
    const dyUnit = dy + <usize>(group * s.outputs + row) * ldy;
    let accumulate = false;
    for (let part = 0; part < parts; part++) {
      const dyPart = dyUnit + ((<usize>part * partStep) << 2);
      for (let k0 = 0; k0 < partPixels; k0 += KC) {
        const kc = min(KC, partPixels - k0);
        pixelAddresses(pixels, xGroup, s, part * partPixels + k0, kc, kc);
        pixelPatterns(patterns, pixels, kc & ~3);
        packTaps(panels, pixels, patterns, taps + <usize>first * sizeof<usize>(), kc, columns, width);
        f32_gemm_block(kernel, rows, columns, kc, dyPart + ((<usize>k0) << 2), ldy, panels, tiles, ld, accumulate);
        accumulate = true;
      }
    }
    const ldw = (<usize>total) << 2;
    let to = dw + <usize>(group * s.outputs + row) * ldw + ((<usize>first) << 2);
    for (let i = 0; i < rows; i++) {
      memory.copy(to, tiles + <usize>i * ld, (<usize>count) << 2);
      to += ldw;
    }
  }
}

/**
 * dx = col2im(wᵀ · dy): the product gives every tap of every pixel its share, which is then added where the tap read. For few
 * channels, or where stride and dilation are both above 1; elsewhere the gradient is a convolution itself (see the host's side).
 * `transposed` is [groups, channels · kh · kw, outputs]. The shape describes dy as the images (its taps are the output channels) and
 * `geometry` is the convolution's own: kh, kw, h, w, stride, padding (top, left) and dilation, vertical before horizontal.
 * Units count blocks of `unitChannels` channels within blocks of `unitImages` images within groups; the latter belongs to the order
 * of the sums, so it may depend on the shape alone, as may `unitColumns`.
 * Scratch, each part rounded up to 64 bytes: outputs and 3 · unitColumns addresses, unitColumns / 4 bytes,
 * (256 + unitChannels · kh · kw) · unitColumns numbers.
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
  const s = changetype<ConvShape>(shape);
  const g = changetype<WindowGeometry>(geometry);
  const width = panelWidth(kernel);
  const window = g.kh * g.kw;
  const k = s.channels;
  const plane = s.gridH * s.gridW;
  const across = (g.channels + unitChannels - 1) / unitChannels;
  const down = (s.n + unitImages - 1) / unitImages;
  const taps = align(scratch);
  const pixels = align(taps + <usize>k * sizeof<usize>());
  const patterns = align(pixels + <usize>s.unitColumns * sizeof<usize>());
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
      // Rows of pixels, whole or in part, of this block of columns.
      let column = first;
      while (column < first + count) {
        const inPlane = column % plane;
        const from = inPlane % s.gridW;
        const run = min(s.gridW - from, first + count - column);
        let to = dxUnit + <usize>(column / plane) * dxImage;
        let tile = tiles + ((<usize>(column - first)) << 2);
        for (let c = 0; c < channels; c++) {
          addRow(to, tile, ld, g, inPlane / s.gridW, from, run);
          to += dxPlane;
          tile += <usize>window * ld;
        }
        column += run;
      }
    }
  }
}

/** A convolution's window over one plane of its input. */
@unmanaged
class WindowGeometry {
  /** Input channels of a group. */
  channels: i32;
  kh: i32;
  kw: i32;
  h: i32;
  w: i32;
  strideH: i32;
  strideW: i32;
  padTop: i32;
  padLeft: i32;
  dilationH: i32;
  dilationW: i32;
}

/** Adds the shares of all taps of one channel, for `run` pixels of output row `row` from column `from`, to the channel's plane. */
function addRow(plane: usize, tile: usize, ld: usize, g: WindowGeometry, row: i32, from: i32, run: i32): void {
  const stride = g.strideW;
  for (let i = 0; i < g.kh; i++) {
    const y = row * g.strideH + i * g.dilationH - g.padTop;
    if (y < 0 || y >= g.h) {
      tile += <usize>g.kw * ld;
      continue;
    }
    const line = plane + ((<usize>(y * g.w)) << 2);
    let j = 0;
    if (stride === 2 && g.dilationW === 1) {
      // Two neighbouring taps at stride 2 fill one stretch of the line between them.
      for (; j + 2 <= g.kw; j += 2) {
        addPair(line, tile, ld, g.w, from * 2 + j - g.padLeft, run);
        tile += ld << 1;
      }
    }
    for (; j < g.kw; j++) {
      const x = from * stride + j * g.dilationW - g.padLeft;
      // Pixels [low, high) of the run fall inside the line.
      const low = x < 0 ? (-x + stride - 1) / stride : 0;
      const high = x >= g.w ? 0 : min(run, (g.w - 1 - x) / stride + 1);
      let q = low;
      if (stride === 1) {
        for (; q + 4 <= high; q += 4) {
          const at = line + ((<usize>(x + q)) << 2);
          v128.store(at, f32x4.add(v128.load(at), v128.load(tile + ((<usize>q) << 2))));
        }
      }
      for (; q < high; q++) {
        const at = line + ((<usize>(x + q * stride)) << 2);
        store<f32>(at, load<f32>(at) + load<f32>(tile + ((<usize>q) << 2)));
      }
      tile += ld;
    }
  }
}

/** Adds run shares of a tap at x, x + 2, ... and as many of the next tap at x + 1, x + 3, ... of a line of w numbers. */
function addPair(line: usize, tile: usize, ld: usize, w: i32, x: i32, run: i32): void {
  let q = 0;
  for (; q < run && x + 2 * q < 0; q++) addTwo(line, tile + ((<usize>q) << 2), ld, w, x + 2 * q);
  for (; q + 4 <= run && x + 2 * q + 8 <= w; q += 4) {
    const at = line + ((<usize>(x + 2 * q)) << 2);
    const even = v128.load(tile + ((<usize>q) << 2));
    const odd = v128.load(tile + ld + ((<usize>q) << 2));
    v128.store(at, f32x4.add(v128.load(at), v128.shuffle<f32>(even, odd, 0, 4, 1, 5)));
    v128.store(at, f32x4.add(v128.load(at, 16), v128.shuffle<f32>(even, odd, 2, 6, 3, 7)), 16);
  }
  for (; q < run; q++) addTwo(line, tile + ((<usize>q) << 2), ld, w, x + 2 * q);
}

function addTwo(line: usize, tile: usize, ld: usize, w: i32, x: i32): void {
  const at = line + ((<usize>x) << 2);
  if (x >= 0 && x < w) store<f32>(at, load<f32>(at) + load<f32>(tile));
  if (x + 1 >= 0 && x + 1 < w) store<f32>(at, load<f32>(at, 4) + load<f32>(tile + ld), 4);
}

/**
 * The weights of the convolution that is an input gradient: to [groups, channels, outputs, taps] = w [groups, outputs, channels, taps]
 * with the taps in reverse. One unit is eight channels of one group.
 */
export function conv2dFlip(to: usize, w: usize, outputs: i32, channels: i32, taps: i32, begin: i32, end: i32): void {
  const blocks = (channels + 7) >> 3;
  const bytes = (<usize>taps) << 2;
  for (let unit = begin; unit < end; unit++) {
    const group = unit / blocks;
    const first = (unit % blocks) << 3;
    const last = min(channels, first + 8);
    for (let o = 0; o < outputs; o++) {
      let from = w + <usize>((group * outputs + o) * channels + first) * bytes;
      for (let c = first; c < last; c++) {
        const start = to + <usize>((group * channels + c) * outputs + o) * bytes;
        for (let at = start + bytes; at > start; from += 4) {
          at -= 4;
          store<f32>(at, load<f32>(from));
        }
      }
    }
  }
}

/** to [channels, n, inner] = x [n, channels, inner]: each channel's planes behind one another. One unit is one channel. */
export function gatherChannels(to: usize, x: usize, n: i32, channels: i32, inner: i32, begin: i32, end: i32): void {
  const row = (<usize>inner) << 2;
  for (let channel = begin; channel < end; channel++) {
    let at = to + <usize>(channel * n) * row;
    for (let i = 0; i < n; i++) at = copy(at, x + <usize>(i * channels + channel) * row, row);
  }
}

export function zeroFill(to: usize, count: i32): void {
  memory.fill(to, 0, (<usize>count) << 2);
}

/** Copies planes of x [planes, h, w] into planes [planes, paddedH, paddedW] of zeros, `top` and `left` from the corner. */
export function pad2d(to: usize, x: usize, h: i32, w: i32, paddedH: i32, paddedW: i32, top: i32, left: i32, begin: i32, end: i32): void {
  const row = (<usize>w) << 2;
  for (let plane = begin; plane < end; plane++) {
    let at = to + ((<usize>plane * <usize>(paddedH * paddedW)) << 2);
    let from = x + ((<usize>plane * <usize>(h * w)) << 2);
    const before = (<usize>(top * paddedW + left)) << 2;
    const between = (<usize>(paddedW - w)) << 2;
    at = zeros(at, before);
    for (let i = 0; i < h; i++) {
      at = copy(at, from, row);
      from += row;
      if (i < h - 1) at = zeros(at, between);
    }
    zeros(at, (<usize>((paddedH - top - h) * paddedW + paddedW - left - w)) << 2);
  }
}

// Rows are short: a loop costs less than the call that memory.copy and memory.fill become.

function zeros(to: usize, bytes: usize): usize {
  const end = to + bytes;
  for (; to + 16 <= end; to += 16) v128.store(to, f32x4.splat(0));
  for (; to < end; to += 4) store<f32>(to, 0);
  return end;
}

function copy(to: usize, from: usize, bytes: usize): usize {
  const end = to + bytes;
  for (; to + 16 <= end; to += 16) {
    v128.store(to, v128.load(from));
    from += 16;
  }
  for (; to < end; to += 4) {
    store<f32>(to, load<f32>(from));
    from += 4;
  }
  return end;
}
