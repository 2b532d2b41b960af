/**
 * Local response normalisation, y = x / s^beta with s = k + alpha · Σ x² over a window, and its gradient.
 *
 * The window covers `back` elements before and `ahead` elements after its element, across channels or along both axes of the
 * plane. Elements outside count as 0.
 *
 * Each window is summed anew. A running sum (adding the element that enters, subtracting the one that leaves) would accumulate rounding
 * errors.
 */
import { powNegative4, storeFirst } from './math';
import { scratch } from './scratch';

/** s^(-3/4), the usual power, computed by square roots. */
function usualPower(s: v128): v128 {
  return f32x4.div(f32x4.splat(1), f32x4.sqrt(f32x4.mul(s, f32x4.sqrt(s))));
}

/** s^-beta. */
function powerOf(s: v128, beta: f32): v128 {
  if (beta === 0.75) return usualPower(s);
  return powNegative4(s, f32x4.splat(beta));
}

// Across channels ------------------------------------------------------------------------------------

/**
 * Largest number of pixels of one tile. The scratch area holds per channel one row of squares and one of the gradient's terms, and one row
 * each of powers and sums. Longer rows would leave the L1 cache before the window has passed over them; shorter rows are too short to be
 * read efficiently from memory.
 */
const TILE = 512;

/** Bytes of `pixels` pixels, at most one tile, rounded up to whole pairs of vectors. */
function tileBytes(pixels: i32): usize {
  return (<usize>((min(TILE, pixels) + 7) & ~7)) << 2;
}

/**
 * One row of a tile, with `pitch` bytes to the next: its sums s = k + alpha · Σ of rows [from, end) of squares, and powers s^-beta.
 * Row `end` − 1 of the squares is computed from x in the same loop, so that its loads overlap with the square roots.
 */
function powers(
  to: usize,
  sums: usize,
  squares: usize,
  x: usize,
  from: i32,
  end: i32,
  pitch: usize,
  bytes: usize,
  alpha: f32,
  beta: f32,
  k: f32,
): void {
  const a = f32x4.splat(alpha);
  const bias = f32x4.splat(k);
  const last = squares + <usize>(end - 1) * pitch;
  const first = squares + <usize>from * pitch;
  for (let j: usize = 0; j < bytes; j += 32) {
    let s0 = v128.load(x + j);
    let s1 = v128.load(x + j, 16);
    s0 = f32x4.mul(s0, s0);
    s1 = f32x4.mul(s1, s1);
    v128.store(last + j, s0);
    v128.store(last + j, s1, 16);
    for (let at = first; at < last; at += pitch) {
      s0 = f32x4.add(s0, v128.load(at + j));
      s1 = f32x4.add(s1, v128.load(at + j, 16));
    }
    s0 = f32x4.add(bias, f32x4.mul(a, s0));
    s1 = f32x4.add(bias, f32x4.mul(a, s1));
    v128.store(sums + j, s0);
    v128.store(sums + j, s1, 16);
    v128.store(to + j, usualPower(s0));
    v128.store(to + j, usualPower(s1), 16);
  }
  if (beta === 0.75) return;
  for (let j: usize = 0; j < bytes; j += 16) v128.store(to + j, powNegative4(v128.load(sums + j), f32x4.splat(beta)));
}

/** The squares of rows [0, end) of a tile. */
function firstSquares(to: usize, x: usize, end: i32, pitch: usize, plane: usize, bytes: usize): void {
  for (let c = 0; c < end; c++, to += pitch, x += plane) {
    for (let j: usize = 0; j < bytes; j += 16) {
      const v = v128.load(x + j);
      v128.store(to + j, f32x4.mul(v, v));
    }
  }
}

/** Tiles [begin, end): each image [C, pixels] has ceil(pixels / 512) of them. */
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
  const pitch = tileBytes(pixels);
  const sums = scratch + <usize>channels * pitch;
  const power = sums + pitch;
  for (let unit = begin; unit < end; unit++) {
    const image = unit / tiles;
    const pixel = (unit - image * tiles) * TILE;
    const width = min(TILE, pixels - pixel);
    const bytes = tileBytes(width);
    const start = <usize>image * <usize>channels * plane + ((<usize>pixel) << 2);
    firstSquares(scratch, x + start, min(ahead, channels), pitch, plane, bytes);
    for (let c = 0; c < channels; c++) {
      const row = start + <usize>c * plane;
      const last = min(channels, c + ahead + 1);
      powers(power, sums, scratch, x + start + <usize>(last - 1) * plane, max(0, c - back), last, pitch, bytes, alpha, beta, k);
      for (let i = 0; i < width; i += 4) {
        const offset = (<usize>i) << 2;
        storeFirst(y + row + offset, f32x4.mul(v128.load(x + row + offset), v128.load(power + offset)), width - i);
      }
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
  const pitch = tileBytes(pixels);
  const factor = f32x4.splat(2 * alpha * beta);
  const terms = scratch + <usize>channels * pitch;
  const sums = terms + <usize>channels * pitch;
  const power = sums + pitch;
  for (let unit = begin; unit < end; unit++) {
    const image = unit / tiles;
    const pixel = (unit - image * tiles) * TILE;
    const width = min(TILE, pixels - pixel);
    const bytes = tileBytes(width);
    const start = <usize>image * <usize>channels * plane + ((<usize>pixel) << 2);
    firstSquares(scratch, x + start, min(ahead, channels), pitch, plane, bytes);
    // The mirrored window extends `back` channels beyond c, so term channel t runs ahead of c by that much.
    for (let t = 0, c = -back; c < channels; t++, c++) {
      if (t < channels) {
        const row = start + <usize>t * plane;
        const last = min(channels, t + ahead + 1);
        powers(power, sums, scratch, x + start + <usize>(last - 1) * plane, max(0, t - back), last, pitch, bytes, alpha, beta, k);
        for (let i = 0; i < width; i += 4) {
          const offset = (<usize>i) << 2;
          const direct = f32x4.mul(v128.load(dy + row + offset), v128.load(power + offset));
          const term = f32x4.div(f32x4.mul(direct, v128.load(x + row + offset)), v128.load(sums + offset));
          v128.store(terms + <usize>t * pitch + offset, term);
          storeFirst(dx + row + offset, direct, width - i);
        }
      }
      if (c < 0) continue;
      const row = start + <usize>c * plane;
      const first = terms + <usize>max(0, c - ahead) * pitch;
      const last = terms + <usize>min(channels, t + 1) * pitch;
      for (let j: usize = 0; j < bytes; j += 32) {
        let s0 = v128.load(first + j);
        let s1 = v128.load(first + j, 16);
        for (let at = first + pitch; at < last; at += pitch) {
          s0 = f32x4.add(s0, v128.load(at + j));
          s1 = f32x4.add(s1, v128.load(at + j, 16));
        }
        v128.store(sums + j, s0);
        v128.store(sums + j, s1, 16);
      }
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
 * Scratch for a plane [H, W]: `row`, one row with `size` zeros on both sides, then planes of H rows, each row rounded up to whole vectors
 * so that the last vector may extend beyond the row.
 */

/** Bytes of a row of a scratch plane. */
function rowBytes(w: i32): usize {
  return (<usize>((w + 3) & ~3)) << 2;
}

/** Address of the first scratch plane, after the padded row. */
function planesAt(w: i32, size: i32): usize {
  return scratch + rowBytes(w) + ((<usize>((size + 3) & ~3)) << 3) + 64;
}

/** Window sums along one row: to[i] = Σ over j < size of row[i - back + j]. */
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
        storeFirst(y + row + offset, f32x4.mul(v128.load(x + row + offset), powerOf(s, beta)), w - i);
      }
    }
  }
}

/** As for `lrnAcrossGrad`; the mirrored window has `back` and `ahead` exchanged. */
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
        const direct = f32x4.mul(v128.load(dy + row + offset), powerOf(s, beta));
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
