/**
 * The transforms of Winograd's F(4×4, 3×3) (Lavin & Gray 2016): 4×4 outputs of a 3×3 correlation from 6×6 inputs, by 36
 * multiplications instead of 144. y = Aᵀ [(G g Gᵀ) ⊙ (Bᵀ d B)] A at the points 0, ±1, ±2 and ∞:
 *
 *   Bᵀ = 4  0 -5  0  1  0     24 · G = 6  0  0     Aᵀ = 1  1  1  1  1  0
 *        0 -4 -4  1  1  0             -4 -4 -4          0  1 -1  2 -2  0
 *        0  4 -4 -1  1  0             -4  4 -4          0  1  1  4  4  0
 *        0 -2 -1  2  1  0              1  2  4          0  1 -1  8 -8  1
 *        0  2 -1 -2  1  0              1 -2  4
 *        0  4  0 -5  0  1              0  0 24
 *
 * Each function processes four tiles or filters, one per lane: first along rows into the scratch area, then along columns. The 36 products
 * of a tile are stored in planes `plane` bytes apart; rows of images are `row` bytes apart.
 */
import { storeTransposed } from '../gemm/pack';
import { scratch } from '../scratch';

/** Bytes of scratch that these functions use: six rows of six vectors, and one row before its transform. */
const ROWS: usize = 36 * 16;
export const SCRATCH_4X4: usize = ROWS + 8 * 16;

/** Bᵀ d B of four 6×6 tiles at p0 to p3. Reads two elements beyond each row. */
export function input4x4(to: usize, plane: usize, p0: usize, p1: usize, p2: usize, p3: usize, row: usize): void {
  const line = scratch + ROWS;
  const end = scratch + ROWS;
  for (let at = scratch; at < end; at += 96) {
    storeTransposed(line, 16, v128.load(p0), v128.load(p1), v128.load(p2), v128.load(p3));
    storeTransposed(line + 64, 16, v128.load(p0, 16), v128.load(p1, 16), v128.load(p2, 16), v128.load(p3, 16));
    combineInputs(at, 16, line, 16);
    p0 += row;
    p1 += row;
    p2 += row;
    p3 += row;
  }
  for (let j: usize = 0; j < 6; j++) combineInputs(to + j * plane, plane * 6, scratch + (j << 4), 96);
}

/** Bᵀ times a column of six. */
function combineInputs(to: usize, stepTo: usize, from: usize, step: usize): void {
  const d0 = v128.load(from);
  const d1 = v128.load(from + step);
  const d2 = v128.load(from + step * 2);
  const d3 = v128.load(from + step * 3);
  const d4 = v128.load(from + step * 4);
  const d5 = v128.load(from + step * 5);
  const four = f32x4.splat(4);
  const five = f32x4.splat(5);
  v128.store(to, f32x4.add(f32x4.sub(f32x4.mul(four, d0), f32x4.mul(five, d2)), d4));
  to += stepTo;
  let even = f32x4.sub(d4, f32x4.mul(four, d2));
  let odd = f32x4.sub(d3, f32x4.mul(four, d1));
  v128.store(to, f32x4.add(even, odd));
  to += stepTo;
  v128.store(to, f32x4.sub(even, odd));
  to += stepTo;
  even = f32x4.sub(d4, d2);
  odd = f32x4.sub(d3, d1);
  odd = f32x4.add(odd, odd);
  v128.store(to, f32x4.add(even, odd));
  to += stepTo;
  v128.store(to, f32x4.sub(even, odd));
  to += stepTo;
  v128.store(to, f32x4.add(f32x4.sub(f32x4.mul(four, d1), f32x4.mul(five, d3)), d5));
}

/**
 * Aᵀ m A of four tiles: writes the 4×4 outputs of each of the four tiles to `to`, row by row, with `bias` added and clamped to at least
 * `low`.
 */
export function output4x4(to: usize, from: usize, plane: usize, bias: v128, low: v128): void {
  for (let j: usize = 0; j < 6; j++) combineProducts(scratch + (j << 4), 96, from + j * plane, plane * 6);
  const line = scratch + ROWS;
  for (let i: usize = 0; i < 4; i++) {
    combineProducts(line, 16, scratch + i * 96, 16);
    const y0 = f32x4.max(f32x4.add(v128.load(line), bias), low);
    const y1 = f32x4.max(f32x4.add(v128.load(line, 16), bias), low);
    const y2 = f32x4.max(f32x4.add(v128.load(line, 32), bias), low);
    const y3 = f32x4.max(f32x4.add(v128.load(line, 48), bias), low);
    storeTransposed(to + (i << 4), 64, y0, y1, y2, y3);
  }
}

/** Aᵀ times a column of six. */
function combineProducts(to: usize, stepTo: usize, from: usize, step: usize): void {
  const m1 = v128.load(from + step);
  const m2 = v128.load(from + step * 2);
  const m3 = v128.load(from + step * 3);
  const m4 = v128.load(from + step * 4);
  const sum1 = f32x4.add(m1, m2);
  const difference1 = f32x4.sub(m1, m2);
  const sum2 = f32x4.add(m3, m4);
  let difference2 = f32x4.sub(m3, m4);
  v128.store(to, f32x4.add(f32x4.add(v128.load(from), sum1), sum2));
  to += stepTo;
  difference2 = f32x4.add(difference2, difference2);
  v128.store(to, f32x4.add(difference1, difference2));
  to += stepTo;
  const four = f32x4.splat(4);
  v128.store(to, f32x4.add(sum1, f32x4.mul(four, sum2)));
  to += stepTo;
  v128.store(to, f32x4.add(f32x4.add(difference1, f32x4.mul(four, difference2)), v128.load(from + step * 5)));
}

/** G g Gᵀ of four 3×3 filters: element (i, j) of all four is at `from` + 16 · (3i + j). */
export function weight4x4(to: usize, plane: usize, from: usize): void {
  for (let j: usize = 0; j < 3; j++) combineFilters(scratch + (j << 4), 48, from + (j << 4), 48);
  for (let i: usize = 0; i < 6; i++) combineFilters(to + i * plane * 6, plane, scratch + i * 48, 16);
}

/** G times a column of three. */
function combineFilters(to: usize, stepTo: usize, from: usize, step: usize): void {
  const g0 = v128.load(from);
  const g1 = v128.load(from + step);
  const g2 = v128.load(from + step * 2);
  v128.store(to, f32x4.mul(f32x4.splat(0.25), g0));
  to += stepTo;
  const sixth = f32x4.splat(-1.0 / 6);
  let even = f32x4.add(g0, g2);
  v128.store(to, f32x4.mul(f32x4.add(even, g1), sixth));
  to += stepTo;
  v128.store(to, f32x4.mul(f32x4.sub(even, g1), sixth));
  to += stepTo;
  even = f32x4.add(f32x4.mul(f32x4.splat(1.0 / 24), g0), f32x4.mul(f32x4.splat(1.0 / 6), g2));
  const odd = f32x4.mul(f32x4.splat(1.0 / 12), g1);
  v128.store(to, f32x4.add(even, odd));
  to += stepTo;
  v128.store(to, f32x4.sub(even, odd));
  to += stepTo;
  v128.store(to, g2);
}
