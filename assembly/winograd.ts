/**
 * Winograd's convolution and its gradients: tiles of the images are transformed, multiplied by transformed filters in one matrix product
 * for each of a tile's elements (16 or 36), and transformed back. The tiles of the whole batch are the columns of the products.
 *
 * A stride of 2 is decomposed into phases: the even and odd rows and columns of the image are treated as images of their own, each of which
 * is convolved with the filter's even or odd taps at stride 1. In the forward pass and the weight gradient the phases are additional
 * channels (`depth` counts phases · channels); in the input gradient they are additional rows of the product. A phase with only two taps
 * along an axis makes one of the tile's coordinates zero, which is skipped: the host's table says which part of the depth each product
 * covers.
 */
import { gather, storeTransposed, touch } from './gemm/pack';
import { f32_gemm_block, f32_gemm_panels, panelWidth } from './gemm/tiles';
import { scratch } from './scratch';
import { filterGrad2x2, input2x2, output2x2, signal2x2, weight2x2 } from './winograd/transforms2x2';
import { input4x4, output4x4, SCRATCH_4X4, weight4x4 } from './winograd/transforms4x4';

/** Filled by the host; i32 throughout, sizes and steps in elements. The images are already padded. */
@unmanaged
class WinogradShape {
  /** Side of a tile's output: 2 or 4. */
  tile: i32;
  n: i32;
  tilesH: i32;
  tilesW: i32;
  /** Planes of an image, and strides through it. */
  depth: i32;
  xRow: i32;
  xPlane: i32;
  /** Rows of the product: output channels, per phase of `phases`. */
  rows: i32;
  phases: i32;
  /** The output's planes, and the step from one pixel of a phase to the next. */
  yH: i32;
  yW: i32;
  yStride: i32;
  /** Rows computed at once, number of such blocks per unit, and tiles per unit (a multiple of 16). */
  blockRows: i32;
  unitBlocks: i32;
  unitColumns: i32;
}

/** Address of a tile in the images, address of its output in the first plane of its image, and the row and column of that output. */
@unmanaged
class TilePlace {
  source: usize;
  target: usize;
  h: i32;
  w: i32;
}

/**
 * Longest block of a sum over k. It is longer than in other kernels, because a unit has few tiles and streams the filters from memory in
 * long runs.
 */
const LONGEST: i32 = 512;
/** Padding between planes, which would otherwise map to the same sets of the L1 cache. */
const SKEW: usize = 64;
/** Bytes of scratch before the part that depends on the shape: used by the transforms, one tile's results and one tile's filters. */
const RESULT: usize = SCRATCH_4X4;
const FILTERS: usize = RESULT + 256;
const TABLE: usize = 2048;

function align(address: usize): usize {
  return (address + 63) & ~63;
}

/** Writes the addresses of tiles [first, first + count), then repeats the last one up to `room`, with its output outside the image. */
function placeTiles(to: usize, s: WinogradShape, x: usize, y: usize, yImage: usize, first: i32, count: i32, room: i32): void {
  const plane = s.tilesH * s.tilesW;
  const xImage = (<usize>(s.depth * s.xPlane)) << 2;
  for (let i = 0; i < room; i++) {
    const at = first + min(i, count - 1);
    const image = <usize>(at / plane);
    const row = ((at % plane) / s.tilesW) * s.tile;
    const column = (at % s.tilesW) * s.tile;
    const place = changetype<TilePlace>(to);
    place.source = x + image * xImage + ((<usize>(row * s.xRow + column)) << 2);
    place.h = i < count ? row * s.yStride : s.yH;
    place.w = column * s.yStride;
    place.target = y + image * yImage + ((<usize>(row * s.yStride * s.yW + place.w)) << 2);
    to += offsetof<TilePlace>();
  }
}

/** Transforms plane `offset` of four tiles. */
function transformTiles(tile: i32, to: usize, plane: usize, places: usize, offset: usize, row: usize): void {
  const step = offsetof<TilePlace>();
  const p0 = load<usize>(places) + offset;
  const p1 = load<usize>(places + step) + offset;
  const p2 = load<usize>(places + step * 2) + offset;
  const p3 = load<usize>(places + step * 3) + offset;
  if (tile === 2) input2x2(to, plane, p0, p1, p2, p3, row);
  else input4x4(to, plane, p0, p1, p2, p3, row);
}

/**
 * y = the tiles' product with the transformed weights u [(tile + 2)², phases · rows, depth], whose planes are `uPlane` bytes apart,
 * plus b, then max(·, 0) if `relu`; `b` may be 0. `table` holds for each phase the row and column of its first pixel in y, then for
 * each phase and each of a tile's products the part [begin, end) of the depth that it covers.
 * A unit is one block of tiles of one block of rows (tiles fastest). Scratch: 2048 bytes, 16 · unitColumns bytes (24 with 64-bit
 * addresses), and (tile + 2)² · ((depth + blockRows) · unitColumns floats + 128 bytes), each rounded up to 64 bytes.
 */
export function winograd(
  kernel: i32,
  y: usize,
  x: usize,
  u: usize,
  uPlane: usize,
  b: usize,
  relu: i32,
  shape: usize,
  table: usize,
  begin: i32,
  end: i32,
): void {
  const s = changetype<WinogradShape>(shape);
  const width = panelWidth(kernel);
  const square = (s.tile + 2) * (s.tile + 2);
  const total = s.n * s.tilesH * s.tilesW;
  const across = (total + s.unitColumns - 1) / s.unitColumns;
  const blocksOfPhase = (s.rows + s.blockRows - 1) / s.blockRows;
  const blocks = s.phases * blocksOfPhase;
  const places = align(scratch + TABLE);
  const v = align(places + <usize>s.unitColumns * offsetof<TilePlace>());
  const vPlane = ((<usize>(s.depth * s.unitColumns)) << 2) + SKEW;
  const m = v + <usize>square * vPlane;
  const ld = (<usize>s.unitColumns) << 2;
  const mPlane = <usize>s.blockRows * ld + SKEW;
  const yPlane = (<usize>(s.yH * s.yW)) << 2;
  const ldu = (<usize>s.depth) << 2;
  const step = (<usize>width) << 2;
  const panel = <usize>s.depth * step;
  const xRow = (<usize>s.xRow) << 2;
  for (let unit = begin; unit < end; unit++) {
    const first = (unit % across) * s.unitColumns;
    const count = min(s.unitColumns, total - first);
    const columns = (count + 7) & ~7;
    placeTiles(places, s, x, y, <usize>s.rows * yPlane, first, count, columns);
    for (let k = 0; k < s.depth; k++) {
      const offset = (<usize>(k * s.xPlane)) << 2;
      for (let j = 0; j < columns; j += 4) {
        const to = v + <usize>(j / width) * panel + <usize>k * step + ((<usize>(j % width)) << 2);
        transformTiles(s.tile, to, vPlane, places + <usize>j * offsetof<TilePlace>(), offset, xRow);
      }
    }
    const firstBlock = (unit / across) * s.unitBlocks;
    const lastBlock = min(blocks, firstBlock + s.unitBlocks);
    for (let block = firstBlock; block < lastBlock; block++) {
      const phase = block / blocksOfPhase;
      const row = (block % blocksOfPhase) * s.blockRows;
      const rows = min(s.blockRows, s.rows - row);
      let part = table + ((<usize>(s.phases * 2 + phase * square * 2)) << 2);
      const uBlock = u + <usize>(phase * s.rows + row) * ldu;
      for (let q = 0; q < square; q++) {
        const to = m + <usize>q * mPlane;
        const kEnd = i32.load(part, 4);
        let k0 = i32.load(part);
        part += 8;
        if (k0 === kEnd) memory.fill(to, 0, <usize>rows * ld);
        const from = uBlock + <usize>q * uPlane;
        const panels = v + <usize>q * vPlane;
        const block = blockOf(kEnd - k0);
        touch(from + ((<usize>k0) << 2), rows, ldu, (<usize>(kEnd - k0)) << 2);
        for (let accumulate = false; k0 < kEnd; k0 += block) {
          const kc = min(block, kEnd - k0);
          f32_gemm_panels(kernel, rows, columns, kc, from + ((<usize>k0) << 2), ldu, panels + <usize>k0 * step, panel, to, ld, accumulate);
          accumulate = true;
        }
      }
      const bias = b ? b + ((<usize>row) << 2) : 0;
      storeTiles(m, mPlane, ld, rows, columns, places, <usize>row * yPlane, s, table + ((<usize>phase) << 3), bias, relu);
    }
  }
}

/** Length of the blocks into which a sum over k is split: equal parts of at most `LONGEST`. */
function blockOf(k: i32): i32 {
  const blocks = (k + LONGEST - 1) / LONGEST;
  return blocks > 1 ? (k + blocks - 1) / blocks : k;
}

/** Transforms the products of `rows` channels back and writes them to y, offset by `offset` bytes. */
function storeTiles(
  m: usize,
  mPlane: usize,
  ld: usize,
  rows: i32,
  columns: i32,
  places: usize,
  offset: usize,
  s: WinogradShape,
  phase: usize,
  bias: usize,
  relu: i32,
): void {
  const low = f32x4.splat(relu ? 0 : -Infinity);
  const result = scratch + RESULT;
  const small = s.tile === 2;
  const phaseH = i32.load(phase);
  const phaseW = i32.load(phase, 4);
  offset += (<usize>(phaseH * s.yW + phaseW)) << 2;
  const reach = (s.tile - 1) * s.yStride;
  const lastH = s.yH - reach;
  const lastW = s.yW - reach;
  const row = (<usize>(s.yW * s.yStride)) << 2;
  const pixel = (<usize>s.yStride) << 2;
  for (let i = 0; i < rows; i++) {
    const add = bias ? v128.load_splat<f32>(bias + ((<usize>i) << 2)) : f32x4.splat(0);
    let at = places;
    for (let j = 0; j < columns; j += 4) {
      const from = m + <usize>i * ld + ((<usize>j) << 2);
      if (small) output2x2(result, from, mPlane, add, low);
      else output4x4(result, from, mPlane, add, low);
      for (let t: usize = 0; t < 4; t++) {
        const place = changetype<TilePlace>(at);
        const h = place.h + phaseH;
        const w = place.w + phaseW;
        const to = place.target + offset;
        const inside = h >= 0 && h < lastH && w >= 0 && w < lastW;
        if (small) {
          const tile = result + (t << 3);
          if (!inside) storeClipped(to, row, pixel, tile, 32, 2, h, w, s);
          else if (s.yStride === 1) {
            store<u64>(to, load<u64>(tile));
            store<u64>(to + row, load<u64>(tile, 32));
          } else {
            store<f32>(to, load<f32>(tile));
            store<f32>(to + pixel, load<f32>(tile, 4));
            store<f32>(to + row, load<f32>(tile, 32));
            store<f32>(to + row + pixel, load<f32>(tile, 36));
          }
        } else {
          const tile = result + (t << 6);
          if (!inside || s.yStride > 1) storeClipped(to, row, pixel, tile, 16, 4, h, w, s);
          else {
            v128.store(to, v128.load(tile));
            v128.store(to + row, v128.load(tile, 16));
            v128.store(to + row * 2, v128.load(tile, 32));
            v128.store(to + row * 3, v128.load(tile, 48));
          }
        }
        at += offsetof<TilePlace>();
      }
    }
    offset += (<usize>(s.yH * s.yW)) << 2;
  }
}

/** Stores the part of a tile that lies inside the plane. */
function storeClipped(to: usize, row: usize, pixel: usize, tile: usize, tileRow: usize, side: i32, h: i32, w: i32, s: WinogradShape): void {
  for (let i = 0; i < side; i++) {
    if (h >= 0 && h < s.yH) {
      for (let j = 0; j < side; j++) {
        const column = w + j * s.yStride;
        if (column >= 0 && column < s.yW) store<f32>(to + <usize>j * pixel, load<f32>(tile + ((<usize>j) << 2)));
      }
    }
    h += s.yStride;
    to += row;
    tile += tileRow;
  }
}

/**
 * Transforms filters: u [(tile + 2)², rows, depth] with planes `uPlane` bytes and rows `ldu` elements apart, from w, where rows are
 * `rowStep` elements apart and the filters of a row `depthStep` elements apart. `taps` gives the index of each of the 3×3 taps in a filter,
 * or -1 where there is none. A unit is eight rows.
 */
export function winogradWeights(
  u: usize,
  uPlane: usize,
  ldu: i32,
  w: usize,
  rowStep: i32,
  depthStep: i32,
  tile: i32,
  rows: i32,
  depth: i32,
  taps: usize,
  begin: i32,
  end: i32,
): void {
  const filters = scratch + FILTERS;
  const square = (tile + 2) * (tile + 2);
  const edge = align(filters + 9 * 16);
  const step = (<usize>depthStep) << 2;
  for (let unit = begin; unit < end; unit++) {
    const last = min(rows, (unit + 1) << 3);
    for (let k = 0; k < depth; k += 4) {
      const count = min(4, depth - k);
      for (let r = unit << 3; r < last; r++) {
        const from = w + ((<usize>r * <usize>rowStep + <usize>k * <usize>depthStep) << 2);
        gatherFilters(filters, from, step, count, taps);
        const to = u + ((<usize>r * <usize>ldu + <usize>k) << 2);
        if (count === 4) {
          if (tile === 2) weight2x2(to, uPlane, filters);
          else weight4x4(to, uPlane, filters);
          continue;
        }
        if (tile === 2) weight2x2(edge, 16, filters);
        else weight4x4(edge, 16, filters);
        for (let q = 0; q < square; q++) memory.copy(to + <usize>q * uPlane, edge + ((<usize>q) << 4), (<usize>count) << 2);
      }
    }
  }
}

/** Tap (i, j) of up to four filters, `step` bytes apart, at `to` + 16 · (3i + j). */
function gatherFilters(to: usize, from: usize, step: usize, count: i32, taps: usize): void {
  const f1 = count > 1 ? from + step : from;
  const f2 = count > 2 ? f1 + step : f1;
  const f3 = count > 3 ? f2 + step : f2;
  const first = i32.load(taps);
  if ((first === 0 && i32.load(taps, 32) === 8) || (first === 8 && i32.load(taps, 32) === 0)) {
    // 3×3 filters, in order or reversed: their elements are adjacent.
    const along: usize = first === 0 ? 16 : -16;
    to += (<usize>first) << 4;
    storeTransposed(to, along, v128.load(from), v128.load(f1), v128.load(f2), v128.load(f3));
    storeTransposed(to + along * 4, along, v128.load(from, 16), v128.load(f1, 16), v128.load(f2, 16), v128.load(f3, 16));
    v128.store(to + along * 8, gather(from + 32, f1 + 32, f2 + 32, f3 + 32));
    return;
  }
  for (let tap = 0; tap < 9; tap++) {
    const place = i32.load(taps + ((<usize>tap) << 2));
    let v = f32x4.splat(0);
    if (place >= 0) {
      const offset = (<usize>place) << 2;
      v = v128.load32_zero(from + offset);
      v = v128.load32_lane(f1 + offset, v, 1);
      v = v128.load32_lane(f2 + offset, v, 2);
      v = v128.load32_lane(f3 + offset, v, 3);
    }
    v128.store(to + ((<usize>tap) << 4), v);
  }
}

/**
 * Transforms the tiles [first, first + count) of dy: to [16, rows, room], planes `plane` bytes apart, where `room` is a multiple of 4.
 * The shape is that of the padded dy, with output channels as `depth`. A unit is one output channel.
 * Scratch as for `winograd`, with `room` tiles.
 */
export function winogradSignal(
  to: usize,
  plane: usize,
  room: i32,
  dy: usize,
  shape: usize,
  first: i32,
  count: i32,
  begin: i32,
  end: i32,
): void {
  const s = changetype<WinogradShape>(shape);
  const places = align(scratch + TABLE);
  const step = offsetof<TilePlace>();
  const row = (<usize>s.xRow) << 2;
  const columns = (count + 3) & ~3;
  placeTiles(places, s, dy, 0, 0, first, count, columns);
  for (let unit = begin; unit < end; unit++) {
    const offset = (<usize>(unit * s.xPlane)) << 2;
    let at = places;
    for (let j = 0; j < columns; j += 4) {
      const p0 = load<usize>(at) + offset;
      const p1 = load<usize>(at + step) + offset;
      const p2 = load<usize>(at + step * 2) + offset;
      const p3 = load<usize>(at + step * 3) + offset;
      signal2x2(to + ((<usize>(unit * room + j)) << 2), plane, p0, p1, p2, p3, row);
      at += step * 4;
    }
  }
}

/**
 * m [16, outputs, phases · C] = or += signal [16, outputs, room] · transformed tiles [first, first + count) of x, where C is
 * the number of channels rounded up to 8 and planes of m are `mPlane` bytes apart, those of the signal `signalPlane`. The shape is that
 * of x; its rows are the outputs, its phases those of x, `depth` counts phases · channels. `parts` holds for each product the phases
 * [begin, end) that it covers. A unit is one block of `unitColumns` channels of one phase.
 * Scratch as for `winograd`, with `room` tiles, with `room` instead of the depth and without rows.
 */
export function winogradWeightGrad(
  kernel: i32,
  m: usize,
  mPlane: usize,
  signal: usize,
  signalPlane: usize,
  room: i32,
  x: usize,
  shape: usize,
  parts: usize,
  first: i32,
  count: i32,
  accumulate: i32,
  begin: i32,
  end: i32,
): void {
  const s = changetype<WinogradShape>(shape);
  const width = panelWidth(kernel);
  const channels = s.depth / s.phases;
  const padded = (channels + 7) & ~7;
  const across = (channels + s.unitColumns - 1) / s.unitColumns;
  const places = align(scratch + TABLE);
  const v = align(places + <usize>room * offsetof<TilePlace>());
  const vPlane = ((<usize>(room * s.unitColumns)) << 2) + SKEW;
  const step = (<usize>width) << 2;
  const panel = <usize>count * step;
  const row = (<usize>s.xRow) << 2;
  const ldm = (<usize>(s.phases * padded)) << 2;
  const lds = (<usize>room) << 2;
  placeTiles(places, s, x, 0, 0, first, count, count);
  for (let unit = begin; unit < end; unit++) {
    const phase = unit / across;
    const channel = (unit % across) * s.unitColumns;
    const columns = min(s.unitColumns, padded - channel);
    for (let j = 0; j < columns; j += 4) {
      // Channels beyond the last one repeat it; their results are not used.
      const c0 = planeOffset(s, phase, channels, channel + j);
      const c1 = planeOffset(s, phase, channels, channel + j + 1);
      const c2 = planeOffset(s, phase, channels, channel + j + 2);
      const c3 = planeOffset(s, phase, channels, channel + j + 3);
      let to = v + <usize>(j / width) * panel + ((<usize>(j % width)) << 2);
      let at = places;
      for (let k = 0; k < count; k++) {
        const p = load<usize>(at);
        input2x2(to, vPlane, p + c0, p + c1, p + c2, p + c3, row);
        to += step;
        at += offsetof<TilePlace>();
      }
    }
    let part = parts;
    const to = m + ((<usize>(phase * padded + channel)) << 2);
    for (let q = 0; q < 16; q++) {
      if (i32.load(part) <= phase && phase < i32.load(part, 4)) {
        const from = signal + <usize>q * signalPlane;
        f32_gemm_block(kernel, s.rows, columns, count, from, lds, v + <usize>q * vPlane, to + <usize>q * mPlane, ldm, accumulate !== 0);
      }
      part += 8;
    }
  }
}

function planeOffset(s: WinogradShape, phase: i32, channels: i32, channel: i32): usize {
  return (<usize>((phase * channels + min(channel, channels - 1)) * s.xPlane)) << 2;
}

/**
 * dw [outputs, channels, filter] at `taps` (see `winogradWeights`) = the sums of `winogradWeightGrad` transformed back, for one phase. m is
 * the phase's first element; rows of m are `ldm` elements apart. A unit is one output channel.
 */
export function winogradFilterGrad(
  dw: usize,
  m: usize,
  mPlane: usize,
  ldm: i32,
  channels: i32,
  filter: i32,
  taps: usize,
  begin: i32,
  end: i32,
): void {
  const result = scratch + FILTERS;
  const step = (<usize>filter) << 2;
  for (let unit = begin; unit < end; unit++) {
    for (let c = 0; c < channels; c += 4) {
      filterGrad2x2(result, m + ((<usize>unit * <usize>ldm + <usize>c) << 2), mPlane);
      const count = min(4, channels - c);
      const to = dw + ((<usize>(unit * channels + c) * <usize>filter) << 2);
      for (let tap = 0; tap < 9; tap++) {
        const place = i32.load(taps + ((<usize>tap) << 2));
        if (place < 0) continue;
        for (let i = 0; i < count; i++) {
          store<f32>(to + <usize>i * step + ((<usize>place) << 2), load<f32>(result + ((<usize>((tap << 2) + i)) << 2)));
        }
      }
    }
  }
}
