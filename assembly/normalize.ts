/**
 * Local response normalisation, y = x / s^beta with s = k + alpha · Σ x² over a window, and its gradient.
 *
 * The window reaches `back` = ⌊(size − 1) / 2⌋ before and `ahead` = ⌈(size − 1) / 2⌉ behind its element, over the channels or
 * over both axes of the plane, and what lies outside counts as 0.
 *
 * Sums are taken anew for each element rather than by adding what enters and taking away what leaves: that would drift.
 */
import { powNegative4, storeFirst } from './math';
import { scratch } from './scratch';

/** s^-beta; 3/4, the usual one, by square roots. */
function power(s: v128, beta: f32): v128 {
  if (beta === 0.75) return f32x4.div(f32x4.splat(1), f32x4.sqrt(f32x4.mul(s, f32x4.sqrt(s))));
  return powNegative4(s, f32x4.splat(beta));
}

// Across channels ------------------------------------------------------------------------------------

/** Pixels of one tile: the scratch memory holds one tile of all channels, 64 floats a channel, once or twice, and one row of sums. */
const TILE = 64;
const TILE_BYTES: usize = 256;

/** to = the sum of channels [from, end) of a tile, pixel by pixel. Four vectors at once, for none to wait for another. */
function windowSums(to: usize, tile: usize, from: i32, end: i32): void {
  const last = tile + <usize>end * TILE_BYTES;
  for (let j: usize = 0; j < TILE_BYTES; j += 64) {
    let at = tile + <usize>from * TILE_BYTES;
    let s0 = v128.load(at + j);
    let s1 = v128.load(at + j, 16);
    let s2 = v128.load(at + j, 32);
    let s3 = v128.load(at + j, 48);
    for (at += TILE_BYTES; at < last; at += TILE_BYTES) {
      s0 = f32x4.add(s0, v128.load(at + j));
      s1 = f32x4.add(s1, v128.load(at + j, 16));
      s2 = f32x4.add(s2, v128.load(at + j, 32));
      s3 = f32x4.add(s3, v128.load(at + j, 48));
    }
    v128.store(to + j, s0);
    v128.store(to + j, s1, 16);
    v128.store(to + j, s2, 32);
    v128.store(to + j, s3, 48);
  }
}

/** Tiles [begin, end): each image [C, pixels] has ceil(pixels / 64) of them. */
export function lrnAcross(
  y: usize,
  x: usize,
  channels: i32,
  pixels: i32,
  back: i32,
  ahead: i32,
  alpha: f32,
  beta: f32,
  k: f32,
  begin: i32,
  end: i32,
): void {
  const tiles = (pixels + TILE - 1) / TILE;
  const plane = (<usize>pixels) << 2;
  const a = f32x4.splat(alpha);
  const bias = f32x4.splat(k);
  const sums = scratch + <usize>channels * TILE_BYTES;
  for (let unit = begin; unit < end; unit++) {
    const image = unit / tiles;
    const pixel = (unit - image * tiles) * TILE;
    const width = min(TILE, pixels - pixel);
    const start = <usize>image * <usize>channels * plane + ((<usize>pixel) << 2);
    squares(x + start, channels, plane, width);
    for (let c = 0; c < channels; c++) {
      const row = start + <usize>c * plane;
      windowSums(sums, scratch, max(0, c - back), min(channels, c + ahead + 1));
      for (let i = 0; i < width; i += 4) {
        const offset = (<usize>i) << 2;
        const s = f32x4.add(bias, f32x4.mul(a, v128.load(sums + offset)));
        storeFirst(y + row + offset, f32x4.mul(v128.load(x + row + offset), power(s, beta)), width - i);
      }
    }
  }
}

/** The squares of one tile, to the scratch memory. */
function squares(x: usize, channels: i32, plane: usize, width: i32): void {
  for (let c = 0; c < channels; c++) {
    const to = scratch + <usize>c * TILE_BYTES;
    const from = x + <usize>c * plane;
    for (let i = 0; i < width; i += 4) {
      const v = v128.load(from + ((<usize>i) << 2));
      v128.store(to + ((<usize>i) << 2), f32x4.mul(v, v));
    }
  }
}

/** dx = dy · s^-beta − 2 · alpha · beta · x · Σ (dy · x · s^(-beta-1)) over the elements whose window holds this one. */
export function lrnAcrossGrad(
  dx: usize,
  dy: usize,
  x: usize,
  channels: i32,
  pixels: i32,
  back: i32,
  ahead: i32,
  alpha: f32,
  beta: f32,
  k: f32,
  begin: i32,
  end: i32,
): void {
  const tiles = (pixels + TILE - 1) / TILE;
  const plane = (<usize>pixels) << 2;
  const a = f32x4.splat(alpha);
  const bias = f32x4.splat(k);
  const factor = f32x4.splat(2 * alpha * beta);
  const terms = scratch + <usize>channels * TILE_BYTES; // behind the squares
  const sums = terms + <usize>channels * TILE_BYTES;
  for (let unit = begin; unit < end; unit++) {
    const image = unit / tiles;
    const pixel = (unit - image * tiles) * TILE;
    const width = min(TILE, pixels - pixel);
    const start = <usize>image * <usize>channels * plane + ((<usize>pixel) << 2);
    squares(x + start, channels, plane, width);
    for (let c = 0; c < channels; c++) {
      const row = start + <usize>c * plane;
      windowSums(sums, scratch, max(0, c - back), min(channels, c + ahead + 1));
      for (let i = 0; i < width; i += 4) {
        const offset = (<usize>i) << 2;
        const s = f32x4.add(bias, f32x4.mul(a, v128.load(sums + offset)));
        const direct = f32x4.mul(v128.load(dy + row + offset), power(s, beta));
        const term = f32x4.div(f32x4.mul(direct, v128.load(x + row + offset)), s);
        v128.store(terms + <usize>c * TILE_BYTES + offset, term);
        storeFirst(dx + row + offset, direct, width - i);
      }
    }
    for (let c = 0; c < channels; c++) {
      const row = start + <usize>c * plane;
      windowSums(sums, terms, max(0, c - ahead), min(channels, c + back + 1));
      for (let i = 0; i < width; i += 4) {
        const offset = (<usize>i) << 2;
        const indirect = f32x4.mul(f32x4.mul(factor, v128.load(x + row + offset)), v128.load(sums + offset));
        storeFirst(dx + row + offset, f32x4.sub(v128.load(dx + row + offset), indirect), width - i);
      }
    }
  }
}

// Within a channel -----------------------------------------------------------------------------------

/*
 * Scratch memory of a plane [H, W]: `row`, one row with `size` zeros on both sides, then planes of H rows, each row rounded up
 * to whole vectors so that they may run over its end.
 */

/** Bytes of a row of a scratch plane. */
function rowBytes(w: i32): usize {
  return (<usize>((w + 3) & ~3)) << 2;
}

/** Where the scratch planes begin: behind the padded row. */
function planesAt(w: i32, size: i32): usize {
  return scratch + rowBytes(w) + ((<usize>((size + 3) & ~3)) << 3) + 64;
}

/** One row's sums over windows from `back` places before each element on: to[i] = Σ over j < size of row[i - back + j]. */
function sumAlong(to: usize, row: usize, w: i32, back: i32, size: i32): void {
  for (let i = 0; i < w; i += 4) {
    const p = row + ((<usize>(i - back)) << 2);
    let sum = v128.load(p);
    for (let j = 1; j < size; j++) sum = f32x4.add(sum, v128.load(p + ((<usize>j) << 2)));
    v128.store(to + ((<usize>i) << 2), sum);
  }
}

/** Four sums over `size` rows of `plane` around row r. */
function sumDown(plane: usize, stride: usize, r: i32, h: i32, back: i32, ahead: i32): v128 {
  const last = min(h - 1, r + ahead);
  let y = max(0, r - back);
  let sum = v128.load(plane + <usize>y * stride);
  for (y++; y <= last; y++) sum = f32x4.add(sum, v128.load(plane + <usize>y * stride));
  return sum;
}

/** Writes the row sums of x² into the scratch plane at `to`. */
function squareSums(to: usize, x: usize, h: i32, w: i32, back: i32, size: i32): void {
  const stride = rowBytes(w);
  const row = scratch + ((<usize>((size + 3) & ~3)) << 2);
  memory.fill(scratch, 0, planesAt(w, size) - scratch);
  for (let r = 0; r < h; r++) {
    const from = x + ((<usize>r * <usize>w) << 2);
    for (let i = 0; i < w; i += 4) {
      const v = v128.load(from + ((<usize>i) << 2));
      storeFirst(row + ((<usize>i) << 2), f32x4.mul(v, v), w - i);
    }
    sumAlong(to + <usize>r * stride, row, w, back, size);
  }
}

/** Planes [begin, end). */
export function lrnWithin(
  y: usize,
  x: usize,
  h: i32,
  w: i32,
  back: i32,
  ahead: i32,
  alpha: f32,
  beta: f32,
  k: f32,
  begin: i32,
  end: i32,
): void {
  const size = back + ahead + 1;
  const sums = planesAt(w, size);
  const stride = rowBytes(w);
  const a = f32x4.splat(alpha);
  const bias = f32x4.splat(k);
  for (let plane = begin; plane < end; plane++) {
    const start = (<usize>plane * <usize>h * <usize>w) << 2;
    squareSums(sums, x + start, h, w, back, size);
    for (let r = 0; r < h; r++) {
      const row = start + ((<usize>r * <usize>w) << 2);
      for (let i = 0; i < w; i += 4) {
        const offset = (<usize>i) << 2;
        const s = f32x4.add(bias, f32x4.mul(a, sumDown(sums + offset, stride, r, h, back, ahead)));
        storeFirst(y + row + offset, f32x4.mul(v128.load(x + row + offset), power(s, beta)), w - i);
      }
    }
  }
}

/** As across channels; the mirrored window has `back` and `ahead` exchanged. */
export function lrnWithinGrad(
  dx: usize,
  dy: usize,
  x: usize,
  h: i32,
  w: i32,
  back: i32,
  ahead: i32,
  alpha: f32,
  beta: f32,
  k: f32,
  begin: i32,
  end: i32,
): void {
  const size = back + ahead + 1;
  const sums = planesAt(w, size);
  const stride = rowBytes(w);
  const termSums = sums + <usize>h * stride;
  const termRow = scratch + ((<usize>((size + 3) & ~3)) << 2);
  const a = f32x4.splat(alpha);
  const bias = f32x4.splat(k);
  const factor = f32x4.splat(2 * alpha * beta);
  for (let plane = begin; plane < end; plane++) {
    const start = (<usize>plane * <usize>h * <usize>w) << 2;
    squareSums(sums, x + start, h, w, back, size);
    for (let r = 0; r < h; r++) {
      const row = start + ((<usize>r * <usize>w) << 2);
      for (let i = 0; i < w; i += 4) {
        const offset = (<usize>i) << 2;
        const s = f32x4.add(bias, f32x4.mul(a, sumDown(sums + offset, stride, r, h, back, ahead)));
        const direct = f32x4.mul(v128.load(dy + row + offset), power(s, beta));
        const term = f32x4.div(f32x4.mul(direct, v128.load(x + row + offset)), s);
        storeFirst(termRow + offset, term, w - i);
        storeFirst(dx + row + offset, direct, w - i);
      }
      sumAlong(termSums + <usize>r * stride, termRow, w, ahead, size);
    }
    for (let r = 0; r < h; r++) {
      const row = start + ((<usize>r * <usize>w) << 2);
      for (let i = 0; i < w; i += 4) {
        const offset = (<usize>i) << 2;
        const sum = sumDown(termSums + offset, stride, r, h, ahead, back);
        const indirect = f32x4.mul(f32x4.mul(factor, v128.load(x + row + offset)), sum);
        storeFirst(dx + row + offset, f32x4.sub(v128.load(dx + row + offset), indirect), w - i);
      }
    }
  }
}
