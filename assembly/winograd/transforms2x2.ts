/**
 * The transforms of Winograd's F(2×2, 3×3) (Lavin & Gray 2016): 2×2 outputs of a 3×3 correlation from 4×4 inputs, by 16
 * multiplications instead of 36. y = Aᵀ [(G g Gᵀ) ⊙ (Bᵀ d B)] A, with
 *
 *   Bᵀ = 1  0 -1  0     G = 1    0   0     Aᵀ = 1  1  1  0
 *        0  1  1  0         1/2  1/2 1/2        0  1 -1 -1
 *        0 -1  1  0         1/2 -1/2 1/2
 *        0  1  0 -1         0    0   1
 *
 * and, since gradients are adjoints, dg = Gᵀ [(A dy Aᵀ) ⊙ (Bᵀ d B)] G. Each function processes four tiles or filters, one
 * per lane. The 16 products of a tile are stored in planes `plane` bytes apart; rows of images are `row` bytes apart.
 */

/** Bᵀ d B of four 4×4 tiles at p0 to p3. */
export function input2x2(to: usize, plane: usize, p0: usize, p1: usize, p2: usize, p3: usize, row: usize): void {
  const row2 = row << 1;
  const row3 = row2 + row;
  const down = plane << 2;
  storeInputs(
    to,
    plane,
    f32x4.sub(v128.load(p0), v128.load(p0 + row2)),
    f32x4.sub(v128.load(p1), v128.load(p1 + row2)),
    f32x4.sub(v128.load(p2), v128.load(p2 + row2)),
    f32x4.sub(v128.load(p3), v128.load(p3 + row2)),
  );
  to += down;
  storeInputs(
    to,
    plane,
    f32x4.add(v128.load(p0 + row), v128.load(p0 + row2)),
    f32x4.add(v128.load(p1 + row), v128.load(p1 + row2)),
    f32x4.add(v128.load(p2 + row), v128.load(p2 + row2)),
    f32x4.add(v128.load(p3 + row), v128.load(p3 + row2)),
  );
  to += down;
  storeInputs(
    to,
    plane,
    f32x4.sub(v128.load(p0 + row2), v128.load(p0 + row)),
    f32x4.sub(v128.load(p1 + row2), v128.load(p1 + row)),
    f32x4.sub(v128.load(p2 + row2), v128.load(p2 + row)),
    f32x4.sub(v128.load(p3 + row2), v128.load(p3 + row)),
  );
  to += down;
  storeInputs(
    to,
    plane,
    f32x4.sub(v128.load(p0 + row), v128.load(p0 + row3)),
    f32x4.sub(v128.load(p1 + row), v128.load(p1 + row3)),
    f32x4.sub(v128.load(p2 + row), v128.load(p2 + row3)),
    f32x4.sub(v128.load(p3 + row), v128.load(p3 + row3)),
  );
}

/** One row of four tiles, times B. */
function storeInputs(to: usize, plane: usize, r0: v128, r1: v128, r2: v128, r3: v128): void {
  const low01 = v128.shuffle<f32>(r0, r1, 0, 4, 1, 5);
  const low23 = v128.shuffle<f32>(r2, r3, 0, 4, 1, 5);
  const high01 = v128.shuffle<f32>(r0, r1, 2, 6, 3, 7);
  const high23 = v128.shuffle<f32>(r2, r3, 2, 6, 3, 7);
  const x0 = v128.shuffle<f32>(low01, low23, 0, 1, 4, 5);
  const x1 = v128.shuffle<f32>(low01, low23, 2, 3, 6, 7);
  const x2 = v128.shuffle<f32>(high01, high23, 0, 1, 4, 5);
  const x3 = v128.shuffle<f32>(high01, high23, 2, 3, 6, 7);
  v128.store(to, f32x4.sub(x0, x2));
  to += plane;
  v128.store(to, f32x4.add(x1, x2));
  to += plane;
  v128.store(to, f32x4.sub(x2, x1));
  to += plane;
  v128.store(to, f32x4.sub(x1, x3));
}

/**
 * Aᵀ m A of four tiles: writes the upper row of each tile to `to`, then the lower row of each, with `bias` added and clamped to at least
 * `low`.
 */
export function output2x2(to: usize, from: usize, plane: usize, bias: v128, low: v128): void {
  const down = plane << 2;
  let at = from;
  let m1 = v128.load(at + down);
  let m2 = v128.load(at + down * 2);
  const s0 = f32x4.add(f32x4.add(v128.load(at), m1), m2);
  const d0 = f32x4.sub(f32x4.sub(m1, m2), v128.load(at + down * 3));
  at += plane;
  m1 = v128.load(at + down);
  m2 = v128.load(at + down * 2);
  const s1 = f32x4.add(f32x4.add(v128.load(at), m1), m2);
  const d1 = f32x4.sub(f32x4.sub(m1, m2), v128.load(at + down * 3));
  at += plane;
  m1 = v128.load(at + down);
  m2 = v128.load(at + down * 2);
  const s2 = f32x4.add(f32x4.add(v128.load(at), m1), m2);
  const d2 = f32x4.sub(f32x4.sub(m1, m2), v128.load(at + down * 3));
  at += plane;
  m1 = v128.load(at + down);
  m2 = v128.load(at + down * 2);
  const s3 = f32x4.add(f32x4.add(v128.load(at), m1), m2);
  const d3 = f32x4.sub(f32x4.sub(m1, m2), v128.load(at + down * 3));
  storeOutputs(to, f32x4.add(f32x4.add(s0, s1), s2), f32x4.sub(f32x4.sub(s1, s2), s3), bias, low);
  storeOutputs(to + 32, f32x4.add(f32x4.add(d0, d1), d2), f32x4.sub(f32x4.sub(d1, d2), d3), bias, low);
}

function storeOutputs(to: usize, left: v128, right: v128, bias: v128, low: v128): void {
  left = f32x4.max(f32x4.add(left, bias), low);
  right = f32x4.max(f32x4.add(right, bias), low);
  v128.store(to, v128.shuffle<f32>(left, right, 0, 4, 1, 5));
  v128.store(to, v128.shuffle<f32>(left, right, 2, 6, 3, 7), 16);
}

/** G g Gᵀ of four 3×3 filters: element (i, j) of all four is at `from` + 16 · (3i + j). */
export function weight2x2(to: usize, plane: usize, from: usize): void {
  const half = f32x4.splat(0.5);
  const down = plane << 2;
  for (let i = 0; i < 4; i++) {
    const f0 = combineFilters(from, i, half);
    const f1 = combineFilters(from + 16, i, half);
    const f2 = combineFilters(from + 32, i, half);
    const ends = f32x4.add(f0, f2);
    v128.store(to, f0);
    v128.store(to + plane, f32x4.mul(f32x4.add(ends, f1), half));
    v128.store(to + plane * 2, f32x4.mul(f32x4.sub(ends, f1), half));
    v128.store(to + plane * 3, f2);
    to += down;
  }
}

/** Row i of G times the column of three numbers at `from`, 48 bytes apart. */
function combineFilters(from: usize, i: i32, half: v128): v128 {
  const g0 = v128.load(from);
  const g2 = v128.load(from, 96);
  if (i === 0) return g0;
  if (i === 3) return g2;
  const ends = f32x4.add(g0, g2);
  const g1 = v128.load(from, 48);
  return f32x4.mul(i === 1 ? f32x4.add(ends, g1) : f32x4.sub(ends, g1), half);
}

/** A dy Aᵀ of four 2×2 tiles at p0 to p3. */
export function signal2x2(to: usize, plane: usize, p0: usize, p1: usize, p2: usize, p3: usize, row: usize): void {
  const upper01 = v128.load64_lane(p1, v128.load64_zero(p0), 1);
  const upper23 = v128.load64_lane(p3, v128.load64_zero(p2), 1);
  const lower01 = v128.load64_lane(p1 + row, v128.load64_zero(p0 + row), 1);
  const lower23 = v128.load64_lane(p3 + row, v128.load64_zero(p2 + row), 1);
  const down = plane << 2;
  storeSignals(to, plane, upper01, upper23);
  to += down;
  storeSignals(to, plane, f32x4.add(upper01, lower01), f32x4.add(upper23, lower23));
  to += down;
  storeSignals(to, plane, f32x4.sub(upper01, lower01), f32x4.sub(upper23, lower23));
  to += down;
  storeSignals(to, plane, f32x4.neg(lower01), f32x4.neg(lower23));
}

/** One row of four tiles, times Aᵀ. */
function storeSignals(to: usize, plane: usize, r01: v128, r23: v128): void {
  const left = v128.shuffle<f32>(r01, r23, 0, 2, 4, 6);
  const right = v128.shuffle<f32>(r01, r23, 1, 3, 5, 7);
  v128.store(to, left);
  to += plane;
  v128.store(to, f32x4.add(left, right));
  to += plane;
  v128.store(to, f32x4.sub(left, right));
  to += plane;
  v128.store(to, f32x4.neg(right));
}

/** Gᵀ m G of four filters, laid out as `weight2x2` reads them. */
export function filterGrad2x2(to: usize, from: usize, plane: usize): void {
  const half = f32x4.splat(0.5);
  for (let i = 0; i < 3; i++) {
    const f0 = combineProducts(from, plane, i, half);
    const f1 = combineProducts(from + plane, plane, i, half);
    const f2 = combineProducts(from + plane * 2, plane, i, half);
    const f3 = combineProducts(from + plane * 3, plane, i, half);
    const sum = f32x4.mul(f32x4.add(f1, f2), half);
    v128.store(to, f32x4.add(f0, sum));
    v128.store(to, f32x4.mul(f32x4.sub(f1, f2), half), 16);
    v128.store(to, f32x4.add(f3, sum), 32);
    to += 48;
  }
}

/** Row i of Gᵀ times a column of four products. */
function combineProducts(from: usize, plane: usize, i: i32, half: v128): v128 {
  const down = plane << 2;
  const m1 = v128.load(from + down);
  const m2 = v128.load(from + down * 2);
  if (i === 1) return f32x4.mul(f32x4.sub(m1, m2), half);
  const sum = f32x4.mul(f32x4.add(m1, m2), half);
  return f32x4.add(v128.load(i === 0 ? from : from + down * 3), sum);
}
