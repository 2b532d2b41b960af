/**
 * Matrix product C [m, n] = A [m, k] · B per batch item, and the transposition that is applied to a transposed A first.
 * Sizes and strides between batch items are in elements.
 */
import { scratch } from '../scratch';
import { packRows, packTransposed, storeTransposed, touch } from './pack';
import { f32_gemm_panels, KC, panelWidth } from './tiles';

/** Whether this build has the micro-kernels with fused multiply-add. */
export function hasFma(): i32 {
  return ASC_FEATURE_RELAXED_SIMD ? 1 : 0;
}

/** Padding between panels. Panels a power of two apart would map to the same sets of the L1 cache while B is packed row by row. */
const SKEW: usize = 64;

/** Rows computed at once in a separate buffer where the last columns do not fill a tile. */
const EDGE_ROWS: i32 = 64;

/** Largest number of elements in a packed block of B: it shares the L2 cache with the rows of A and of C that are used with it. */
const BLOCK: i32 = KC * 128;

/**
 * A unit is `unitRows` × `unitColumns` of C; units are counted by columns, then rows, then batch items. B is [k, n], or [n, k] if
 * `transposeB`. It is packed in blocks of k rows by as many columns as make up `BLOCK` elements, in order along the rows of B, so that a
 * wide unit reads B and writes C in long runs. Needs scratch for one block of B and for the edge: min(256 · unitColumns, BLOCK) +
 * 2 · min(unitColumns, BLOCK) + 64 · 16 floats. `unitColumns` is a multiple of 16.
 */
export function gemm(
  kernel: i32,
  c: usize,
  a: usize,
  b: usize,
  m: i32,
  n: i32,
  k: i32,
  transposeB: i32,
  strideA: usize,
  strideB: usize,
  unitRows: i32,
  unitColumns: i32,
  begin: i32,
  end: i32,
): void {
  const width = panelWidth(kernel);
  const lda = (<usize>k) << 2;
  const ldb = (<usize>(transposeB ? k : n)) << 2;
  const ldc = (<usize>n) << 2;
  const longest = min(KC, k);
  const most = min(unitColumns, (BLOCK / longest) & ~15);
  const panels = scratch;
  const edge = scratch + ((<usize>(longest * most)) << 2) + <usize>(most / 8) * SKEW;
  const across = (n + unitColumns - 1) / unitColumns;
  const down = (m + unitRows - 1) / unitRows;
  for (let unit = begin; unit < end; unit++) {
    const item = unit / (across * down);
    const row = ((unit / across) % down) * unitRows;
    const rows = min(unitRows, m - row);
    const first = (unit % across) * unitColumns;
    const last = min(n, first + unitColumns);
    const aUnit = a + ((<usize>item * strideA) << 2) + <usize>row * lda;
    const bUnit = b + ((<usize>item * strideB) << 2);
    const cUnit = c + (<usize>item * <usize>m + <usize>row) * ldc;
    for (let k0 = 0; k0 < k; k0 += KC) {
      const kc = min(KC, k - k0);
      const aBlock = aUnit + ((<usize>k0) << 2);
      const panel = ((<usize>(kc * width)) << 2) + SKEW;
      for (let column = first; column < last; column += most) {
        const columns = min(most, last - column);
        const whole = columns - (columns % width);
        const cBlock = cUnit + ((<usize>column) << 2);
        if (transposeB) packTransposed(panels, panel, bUnit + <usize>column * ldb + ((<usize>k0) << 2), ldb, kc, columns, width);
        else {
          const from = bUnit + <usize>k0 * ldb + ((<usize>column) << 2);
          touch(from, kc, ldb, (<usize>columns) << 2);
          packRows(panels, panel, from, ldb, kc, columns, width);
        }
        if (whole > 0) f32_gemm_panels(kernel, rows, whole, kc, aBlock, lda, panels, panel, cBlock, ldc, k0 > 0);
        if (whole < columns) {
          const lastPanel = panels + <usize>(whole / width) * panel;
          const left = columns - whole;
          for (let i = 0; i < rows; i += EDGE_ROWS) {
            const some = min(EDGE_ROWS, rows - i);
            f32_gemm_panels(kernel, some, left > 8 ? 16 : 8, kc, aBlock + <usize>i * lda, lda, lastPanel, panel, edge, 64, false);
            addColumns(cBlock + <usize>i * ldc + ((<usize>whole) << 2), ldc, edge, some, left, k0 > 0);
          }
        }
      }
    }
  }
}

/** C [rows, columns] = or += the first columns of a buffer of 16 columns. */
function addColumns(c: usize, ldc: usize, from: usize, rows: i32, columns: i32, accumulate: bool): void {
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) {
      const at = c + ((<usize>j) << 2);
      const sum = load<f32>(from + ((<usize>j) << 2));
      store<f32>(at, accumulate ? load<f32>(at) + sum : sum);
    }
    c += ldc;
    from += 64;
  }
}

/**
 * to [columns, rows] = from [rows, columns]ᵀ, where rows of `from` are `ldf` elements apart and rows of `to` `ldt`.
 * A unit is four rows of `to`.
 */
export function transpose(to: usize, ldt: i32, from: usize, ldf: i32, rows: i32, columns: i32, begin: i32, end: i32): void {
  const stepTo = (<usize>ldt) << 2;
  const stepFrom = (<usize>ldf) << 2;
  for (let unit = begin; unit < end; unit++) {
    const j = unit << 2;
    let source = from + ((<usize>j) << 2);
    let target = to + <usize>j * stepTo;
    const count = min(4, columns - j);
    let i = 0;
    if (count === 4) {
      for (; i + 4 <= rows; i += 4) {
        const r0 = v128.load(source);
        const r1 = v128.load(source + stepFrom);
        source += stepFrom << 1;
        storeTransposed(target, stepTo, r0, r1, v128.load(source), v128.load(source + stepFrom));
        source += stepFrom << 1;
        target += 16;
      }
    }
    for (; i < rows; i++) {
      for (let q = 0; q < count; q++) store<f32>(target + <usize>q * stepTo, load<f32>(source + ((<usize>q) << 2)));
      source += stepFrom;
      target += 4;
    }
  }
}

/** Number of columns of eight rows of B that are used for all rows of C in turn: 8 KiB, which fit the L1 cache. */
const FEW_COLUMNS: i32 = 256;

/**
 * C [m, n] = A [m, k] · B [k, n] for few rows. Nothing is packed, because a packed element would not be reused often enough. Eight rows of
 * B per step, read in long runs, are multiplied and added to the rows of C. A unit is one stretch of columns.
 * `stepA` and `rowA` (in elements) describe A in either orientation.
 */
export function gemmFewRows(
  c: usize,
  a: usize,
  b: usize,
  m: i32,
  n: i32,
  k: i32,
  rowA: i32,
  stepA: i32,
  unitColumns: i32,
  begin: i32,
  end: i32,
): void {
  const ld = (<usize>n) << 2;
  const stepK = (<usize>stepA) << 2;
  for (let unit = begin; unit < end; unit++) {
    const last = min(n, (unit + 1) * unitColumns);
    for (let k0 = 0; k0 < k; k0 += 8) {
      const kc = min(8, k - k0);
      for (let column = unit * unitColumns; column < last; column += FEW_COLUMNS) {
        const columns = min(FEW_COLUMNS, last - column);
        const from = b + <usize>k0 * ld + ((<usize>column) << 2);
        for (let i = 0; i < m; i++) {
          const to = c + <usize>i * ld + ((<usize>column) << 2);
          const x = a + ((<usize>i * <usize>rowA) << 2) + <usize>k0 * stepK;
          let j = 0;
          if (kc === 8) {
            j = columns & ~3;
            addEightRows(to, from, ld, x, stepK, j, k0 > 0);
          }
          for (; j < columns; j++) {
            let sum: f32 = 0;
            for (let q = 0; q < kc; q++) {
              sum += load<f32>(x + <usize>q * stepK) * load<f32>(from + <usize>q * ld + ((<usize>j) << 2));
            }
            const at = to + ((<usize>j) << 2);
            store<f32>(at, k0 > 0 ? load<f32>(at) + sum : sum);
          }
        }
      }
    }
  }
}

/** to [columns] = or += Σ over 8 rows of x[q] · from[q, columns]; columns is a multiple of 4. */
function addEightRows(to: usize, from: usize, ld: usize, x: usize, stepK: usize, columns: i32, accumulate: bool): void {
  const x0 = v128.load_splat<f32>(x);
  const x1 = v128.load_splat<f32>(x + stepK);
  const x2 = v128.load_splat<f32>(x + stepK * 2);
  const x3 = v128.load_splat<f32>(x + stepK * 3);
  const x4 = v128.load_splat<f32>(x + stepK * 4);
  const x5 = v128.load_splat<f32>(x + stepK * 5);
  const x6 = v128.load_splat<f32>(x + stepK * 6);
  const x7 = v128.load_splat<f32>(x + stepK * 7);
  const end = to + ((<usize>columns) << 2);
  while (to < end) {
    let r = from;
    let sum = f32x4.mul(x0, v128.load(r));
    r += ld;
    sum = f32x4.add(sum, f32x4.mul(x1, v128.load(r)));
    r += ld;
    sum = f32x4.add(sum, f32x4.mul(x2, v128.load(r)));
    r += ld;
    sum = f32x4.add(sum, f32x4.mul(x3, v128.load(r)));
    r += ld;
    sum = f32x4.add(sum, f32x4.mul(x4, v128.load(r)));
    r += ld;
    sum = f32x4.add(sum, f32x4.mul(x5, v128.load(r)));
    r += ld;
    sum = f32x4.add(sum, f32x4.mul(x6, v128.load(r)));
    r += ld;
    sum = f32x4.add(sum, f32x4.mul(x7, v128.load(r)));
    v128.store(to, accumulate ? f32x4.add(v128.load(to), sum) : sum);
    to += 16;
    from += 16;
  }
}
