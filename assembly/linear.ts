/**
 * y [n, out] = x [n, in] · w [out, in]ᵀ + b, then max(·, 0) if `relu`. w is by far the largest operand, so it is read
 * once, directly from its rows. x is packed. The tiles are computed as [out, n] and transposed when they are stored in y.
 */
import { gather, packTransposed } from './gemm/pack';
import { f32_gemm_block, KC, panelWidth } from './gemm/tiles';
import { scratch } from './scratch';

/**
 * Size of the packed x above which one block of k is processed at a time, so that it stays in the L2 cache; below it, reading whole rows of
 * w is faster.
 */
const PACKED_BYTES: usize = 640 * 1024;

function paddedRows(n: i32): i32 {
  return (n + 15) & ~15;
}

/** Packs x [n, in] into `to` [in, n rounded up to 16] as panels, block of k by block of k. A unit is one block of k. */
export function linearPack(kernel: i32, to: usize, x: usize, n: i32, inFeatures: i32, begin: i32, end: i32): void {
  const width = panelWidth(kernel);
  const padded = paddedRows(n);
  for (let unit = begin; unit < end; unit++) {
    const k0 = unit * KC;
    const kc = min(KC, inFeatures - k0);
    const block = to + ((<usize>(k0 * padded)) << 2);
    packTransposed(block, (<usize>(kc * width)) << 2, x + ((<usize>k0) << 2), (<usize>inFeatures) << 2, kc, n, width);
    // A block always holds whole panels of 16 columns, because the tiles read them whole.
    const packed = ((n + width - 1) / width) * width;
    if (packed < padded) memory.fill(block + ((<usize>(packed * kc)) << 2), 0, (<usize>((padded - packed) * kc)) << 2);
  }
}

/** A unit is `unitRows` rows of w. Needs scratch for unitRows × (n rounded up to 16) floats. `b` may be 0. */
export function linear(
  kernel: i32,
  y: usize,
  packed: usize,
  w: usize,
  b: usize,
  n: i32,
  inFeatures: i32,
  outFeatures: i32,
  relu: i32,
  unitRows: i32,
  begin: i32,
  end: i32,
): void {
  const width = panelWidth(kernel);
  const padded = paddedRows(n);
  const columns = (n + 7) & ~7;
  const ld = (<usize>padded) << 2;
  const ldw = (<usize>inFeatures) << 2;
  const small = <usize>inFeatures * ld <= PACKED_BYTES;
  // Rows of w per step: those of a tile, or 4 where the last columns use tiles of 4x8.
  const tile = width === 8 ? 6 : columns < padded ? 4 : 2;
  for (let unit = begin; unit < end; unit++) {
    const row = unit * unitRows;
    const rows = min(unitRows, outFeatures - row);
    const some = small ? tile : rows;
    for (let i = 0; i < rows; i += some) {
      const count = min(some, rows - i);
      for (let k0 = 0; k0 < inFeatures; k0 += KC) {
        const kc = min(KC, inFeatures - k0);
        f32_gemm_block(
          kernel,
          count,
          columns,
          kc,
          w + <usize>(row + i) * ldw + ((<usize>k0) << 2),
          ldw,
          packed + ((<usize>(k0 * padded)) << 2),
          scratch + <usize>i * ld,
          ld,
          k0 > 0,
        );
      }
    }
    finish(y, b, row, rows, n, outFeatures, ld, relu);
  }
}

/** y [n, rows] = transposed tiles [rows, n] + b, with the ReLU applied. */
function finish(y: usize, b: usize, row: i32, rows: i32, n: i32, outFeatures: i32, ld: usize, relu: i32): void {
  const ldy = (<usize>outFeatures) << 2;
  const low = f32x4.splat(relu ? 0 : -Infinity);
  let i = 0;
  for (; i + 4 <= rows; i += 4) {
    const bias = b ? v128.load(b + ((<usize>(row + i)) << 2)) : f32x4.splat(0);
    const from = scratch + <usize>i * ld;
    let to = y + ((<usize>(row + i)) << 2);
    for (let j = 0; j < n; j++) {
      const at = from + ((<usize>j) << 2);
      const v = f32x4.add(gather(at, at + ld, at + ld * 2, at + ld * 3), bias);
      v128.store(to, f32x4.max(v, low));
      to += ldy;
    }
  }
  for (; i < rows; i++) {
    const bias: f32 = b ? load<f32>(b + ((<usize>(row + i)) << 2)) : 0;
    for (let j = 0; j < n; j++) {
      const v = load<f32>(scratch + <usize>i * ld + ((<usize>j) << 2)) + bias;
      store<f32>(y + <usize>j * ldy + ((<usize>(row + i)) << 2), relu ? max<f32>(v, 0) : v);
    }
  }
}

/**
 * Variant for few rows of x, without packing: dot products of four rows of w with one or two rows of x.
 * A unit is four rows of w.
 */
export function linearFewRows(
  y: usize,
  x: usize,
  w: usize,
  b: usize,
  n: i32,
  inFeatures: i32,
  outFeatures: i32,
  relu: i32,
  begin: i32,
  end: i32,
): void {
  const ld = (<usize>inFeatures) << 2;
  for (let unit = begin; unit < end; unit++) {
    const row = unit << 2;
    const rows = min(4, outFeatures - row);
    const w0 = w + <usize>row * ld;
    // Missing rows repeat the last one; their results are not stored.
    const w1 = rows > 1 ? w0 + ld : w0;
    const w2 = rows > 2 ? w1 + ld : w1;
    const w3 = rows > 3 ? w2 + ld : w2;
    let j = 0;
    for (; j + 2 <= n; j += 2) {
      f32_dot_4x2(inFeatures, x + <usize>j * ld, ld, w0, w1, w2, w3);
      finishDots(y, b, j, row, rows, outFeatures, scratch, relu);
      finishDots(y, b, j + 1, row, rows, outFeatures, scratch + 16, relu);
    }
    if (j < n) {
      f32_dot_4x1(inFeatures, x + <usize>j * ld, w0, w1, w2, w3);
      finishDots(y, b, j, row, rows, outFeatures, scratch, relu);
    }
  }
}

function finishDots(y: usize, b: usize, j: i32, row: i32, rows: i32, outFeatures: i32, from: usize, relu: i32): void {
  const to = y + ((<usize>j * <usize>outFeatures + <usize>row) << 2);
  for (let i = 0; i < rows; i++) {
    const at = (<usize>i) << 2;
    let v = load<f32>(from + at);
    if (b) v += load<f32>(b + ((<usize>row) << 2) + at);
    store<f32>(to + at, relu ? max<f32>(v, 0) : v);
  }
}

/** Sums of the lanes of four vectors. */
function sumLanes(v0: v128, v1: v128, v2: v128, v3: v128): v128 {
  const low01 = f32x4.add(v128.shuffle<f32>(v0, v1, 0, 4, 1, 5), v128.shuffle<f32>(v0, v1, 2, 6, 3, 7));
  const low23 = f32x4.add(v128.shuffle<f32>(v2, v3, 0, 4, 1, 5), v128.shuffle<f32>(v2, v3, 2, 6, 3, 7));
  return f32x4.add(v128.shuffle<f32>(low01, low23, 0, 1, 4, 5), v128.shuffle<f32>(low01, low23, 2, 3, 6, 7));
}

/** Dot products of four rows of w with one row of x, written to the first four floats of scratch. */
function f32_dot_4x1(k: i32, x: usize, w0: usize, w1: usize, w2: usize, w3: usize): void {
  let s0 = f32x4.splat(0);
  let s1 = s0;
  let s2 = s0;
  let s3 = s0;
  const vectors = x + ((<usize>k & ~3) << 2);
  const end = x + ((<usize>k) << 2);
  while (x < vectors) {
    const v = v128.load(x);
    s0 = f32x4.add(s0, f32x4.mul(v, v128.load(w0)));
    s1 = f32x4.add(s1, f32x4.mul(v, v128.load(w1)));
    s2 = f32x4.add(s2, f32x4.mul(v, v128.load(w2)));
    s3 = f32x4.add(s3, f32x4.mul(v, v128.load(w3)));
    x += 16;
    w0 += 16;
    w1 += 16;
    w2 += 16;
    w3 += 16;
  }
  let sum = sumLanes(s0, s1, s2, s3);
  while (x < end) {
    sum = f32x4.add(sum, f32x4.mul(v128.load_splat<f32>(x), gather(w0, w1, w2, w3)));
    x += 4;
    w0 += 4;
    w1 += 4;
    w2 += 4;
    w3 += 4;
  }
  v128.store(scratch, sum);
}

/** Dot products of four rows of w with each of two rows of x, written to the first eight floats of scratch. */
function f32_dot_4x2(k: i32, x: usize, ld: usize, w0: usize, w1: usize, w2: usize, w3: usize): void {
  let s0 = f32x4.splat(0);
  let s1 = s0;
  let s2 = s0;
  let s3 = s0;
  let t0 = s0;
  let t1 = s0;
  let t2 = s0;
  let t3 = s0;
  let z = x + ld;
  const vectors = x + ((<usize>k & ~3) << 2);
  const end = x + ((<usize>k) << 2);
  while (x < vectors) {
    const v = v128.load(x);
    const u = v128.load(z);
    let r = v128.load(w0);
    s0 = f32x4.add(s0, f32x4.mul(v, r));
    t0 = f32x4.add(t0, f32x4.mul(u, r));
    r = v128.load(w1);
    s1 = f32x4.add(s1, f32x4.mul(v, r));
    t1 = f32x4.add(t1, f32x4.mul(u, r));
    r = v128.load(w2);
    s2 = f32x4.add(s2, f32x4.mul(v, r));
    t2 = f32x4.add(t2, f32x4.mul(u, r));
    r = v128.load(w3);
    s3 = f32x4.add(s3, f32x4.mul(v, r));
    t3 = f32x4.add(t3, f32x4.mul(u, r));
    x += 16;
    z += 16;
    w0 += 16;
    w1 += 16;
    w2 += 16;
    w3 += 16;
  }
  let sum = sumLanes(s0, s1, s2, s3);
  let other = sumLanes(t0, t1, t2, t3);
  while (x < end) {
    const r = gather(w0, w1, w2, w3);
    sum = f32x4.add(sum, f32x4.mul(v128.load_splat<f32>(x), r));
    other = f32x4.add(other, f32x4.mul(v128.load_splat<f32>(z), r));
    x += 4;
    z += 4;
    w0 += 4;
    w1 += 4;
    w2 += 4;
    w3 += 4;
  }
  v128.store(scratch, sum);
  v128.store(scratch, other, 16);
}
