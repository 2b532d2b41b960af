/**
 * Micro-kernels of the matrix product: one tile of C in registers, summed over one block of k.
 *
 * A is read straight from its rows (stride `lda` bytes), B from a panel packed by `pack.ts` (for every k, the panel's columns
 * side by side). Each partial sum starts at zero, runs over k in order, and is then stored or added to C. Every tile of mul + add therefore
 * gives the same bits, whatever its shape.
 *
 * The number of registers determines the tile shapes. V8 has 15 vector registers, and up to version 12.4 it hoists all loads of an
 * iteration, so that any tile larger than 2x16 or 4x8 spills, which halves the speed. 2x16 reads only two rows and so has the fewest
 * pointers to update.
 */

/** The micro-kernel that computes a product. The engine uses one for all its products. */
export const MUL_2X16: i32 = 0;
export const FMA_2X16: i32 = 1;
/** Needs V8 13.6 or later to stay in registers. */
export const FMA_6X8: i32 = 2;

/** Length of a block of k. A sum is split at its multiples and nowhere else, in every kernel: it is part of the result's bits. */
export const KC: i32 = 256;

export function panelWidth(kernel: i32): i32 {
  return ASC_FEATURE_RELAXED_SIMD && kernel === FMA_6X8 ? 8 : 16;
}

// Two marker types by which generic code is compiled twice: with mul + add, and with one fused instruction.
type Plain = i32;
type Fused = f32;

function madd<T>(sum: v128, x: v128, y: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) {
    if (isFloat<T>()) return f32x4.relaxed_madd(x, y, sum);
  }
  return f32x4.add(sum, f32x4.mul(x, y));
}

function put(c: usize, sum: v128, accumulate: bool): void {
  v128.store(c, accumulate ? f32x4.add(v128.load(c), sum) : sum);
}

function f32_gemm_2x16<T>(kc: i32, a: usize, lda: usize, b: usize, c: usize, ldc: usize, accumulate: bool): void {
  let c00 = f32x4.splat(0);
  let c01 = c00;
  let c02 = c00;
  let c03 = c00;
  let c10 = c00;
  let c11 = c00;
  let c12 = c00;
  let c13 = c00;
  let a1 = a + lda;
  const end = a + ((<usize>kc) << 2);
  while (a < end) {
    const b0 = v128.load(b);
    const b1 = v128.load(b, 16);
    const b2 = v128.load(b, 32);
    const b3 = v128.load(b, 48);
    let x = v128.load_splat<f32>(a);
    c00 = madd<T>(c00, x, b0);
    c01 = madd<T>(c01, x, b1);
    c02 = madd<T>(c02, x, b2);
    c03 = madd<T>(c03, x, b3);
    x = v128.load_splat<f32>(a1);
    c10 = madd<T>(c10, x, b0);
    c11 = madd<T>(c11, x, b1);
    c12 = madd<T>(c12, x, b2);
    c13 = madd<T>(c13, x, b3);
    a += 4;
    a1 += 4;
    b += 64;
  }
  put(c, c00, accumulate);
  put(c + 16, c01, accumulate);
  put(c + 32, c02, accumulate);
  put(c + 48, c03, accumulate);
  c += ldc;
  put(c, c10, accumulate);
  put(c + 16, c11, accumulate);
  put(c + 32, c12, accumulate);
  put(c + 48, c13, accumulate);
}

function f32_gemm_1x16<T>(kc: i32, a: usize, b: usize, c: usize, accumulate: bool): void {
  let c0 = f32x4.splat(0);
  let c1 = c0;
  let c2 = c0;
  let c3 = c0;
  const end = a + ((<usize>kc) << 2);
  while (a < end) {
    const b0 = v128.load(b);
    const b1 = v128.load(b, 16);
    const b2 = v128.load(b, 32);
    const b3 = v128.load(b, 48);
    const x = v128.load_splat<f32>(a);
    c0 = madd<T>(c0, x, b0);
    c1 = madd<T>(c1, x, b1);
    c2 = madd<T>(c2, x, b2);
    c3 = madd<T>(c3, x, b3);
    a += 4;
    b += 64;
  }
  put(c, c0, accumulate);
  put(c + 16, c1, accumulate);
  put(c + 32, c2, accumulate);
  put(c + 48, c3, accumulate);
}

/** `step`: bytes from one k to the next in the panel, which may be wider than the 8 columns read. */
function f32_gemm_4x8<T>(kc: i32, a: usize, lda: usize, b: usize, step: usize, c: usize, ldc: usize, accumulate: bool): void {
  let c00 = f32x4.splat(0);
  let c01 = c00;
  let c10 = c00;
  let c11 = c00;
  let c20 = c00;
  let c21 = c00;
  let c30 = c00;
  let c31 = c00;
  let a1 = a + lda;
  let a2 = a1 + lda;
  let a3 = a2 + lda;
  const end = a + ((<usize>kc) << 2);
  while (a < end) {
    const b0 = v128.load(b);
    const b1 = v128.load(b, 16);
    let x = v128.load_splat<f32>(a);
    c00 = madd<T>(c00, x, b0);
    c01 = madd<T>(c01, x, b1);
    x = v128.load_splat<f32>(a1);
    c10 = madd<T>(c10, x, b0);
    c11 = madd<T>(c11, x, b1);
    x = v128.load_splat<f32>(a2);
    c20 = madd<T>(c20, x, b0);
    c21 = madd<T>(c21, x, b1);
    x = v128.load_splat<f32>(a3);
    c30 = madd<T>(c30, x, b0);
    c31 = madd<T>(c31, x, b1);
    a += 4;
    a1 += 4;
    a2 += 4;
    a3 += 4;
    b += step;
  }
  put(c, c00, accumulate);
  put(c + 16, c01, accumulate);
  c += ldc;
  put(c, c10, accumulate);
  put(c + 16, c11, accumulate);
  c += ldc;
  put(c, c20, accumulate);
  put(c + 16, c21, accumulate);
  c += ldc;
  put(c, c30, accumulate);
  put(c + 16, c31, accumulate);
}

function f32_gemm_1x8<T>(kc: i32, a: usize, b: usize, step: usize, c: usize, accumulate: bool): void {
  let c0 = f32x4.splat(0);
  let c1 = c0;
  const end = a + ((<usize>kc) << 2);
  while (a < end) {
    const b0 = v128.load(b);
    const b1 = v128.load(b, 16);
    const x = v128.load_splat<f32>(a);
    c0 = madd<T>(c0, x, b0);
    c1 = madd<T>(c1, x, b1);
    a += 4;
    b += step;
  }
  put(c, c0, accumulate);
  put(c + 16, c1, accumulate);
}

function f32_gemm_6x8(kc: i32, a: usize, lda: usize, b: usize, c: usize, ldc: usize, accumulate: bool): void {
  let c00 = f32x4.splat(0);
  let c01 = c00;
  let c10 = c00;
  let c11 = c00;
  let c20 = c00;
  let c21 = c00;
  let c30 = c00;
  let c31 = c00;
  let c40 = c00;
  let c41 = c00;
  let c50 = c00;
  let c51 = c00;
  let a1 = a + lda;
  let a2 = a1 + lda;
  let a3 = a2 + lda;
  let a4 = a3 + lda;
  let a5 = a4 + lda;
  const end = a + ((<usize>kc) << 2);
  while (a < end) {
    const b0 = v128.load(b);
    const b1 = v128.load(b, 16);
    let x = v128.load_splat<f32>(a);
    c00 = madd<Fused>(c00, x, b0);
    c01 = madd<Fused>(c01, x, b1);
    x = v128.load_splat<f32>(a1);
    c10 = madd<Fused>(c10, x, b0);
    c11 = madd<Fused>(c11, x, b1);
    x = v128.load_splat<f32>(a2);
    c20 = madd<Fused>(c20, x, b0);
    c21 = madd<Fused>(c21, x, b1);
    x = v128.load_splat<f32>(a3);
    c30 = madd<Fused>(c30, x, b0);
    c31 = madd<Fused>(c31, x, b1);
    x = v128.load_splat<f32>(a4);
    c40 = madd<Fused>(c40, x, b0);
    c41 = madd<Fused>(c41, x, b1);
    x = v128.load_splat<f32>(a5);
    c50 = madd<Fused>(c50, x, b0);
    c51 = madd<Fused>(c51, x, b1);
    a += 4;
    a1 += 4;
    a2 += 4;
    a3 += 4;
    a4 += 4;
    a5 += 4;
    b += 32;
  }
  put(c, c00, accumulate);
  put(c + 16, c01, accumulate);
  c += ldc;
  put(c, c10, accumulate);
  put(c + 16, c11, accumulate);
  c += ldc;
  put(c, c20, accumulate);
  put(c + 16, c21, accumulate);
  c += ldc;
  put(c, c30, accumulate);
  put(c + 16, c31, accumulate);
  c += ldc;
  put(c, c40, accumulate);
  put(c + 16, c41, accumulate);
  c += ldc;
  put(c, c50, accumulate);
  put(c + 16, c51, accumulate);
}

// Blocks: C [m, n] (+)= A [m, kc] · panels of B [kc, n], where n is a multiple of 8. The outer loop runs over rows: two rows of A
// stay in the L1 cache while the panels are read in one run. (With panels outside it is a tenth slower, since rows of A are read in short
// runs.)

function block2x16<T>(m: i32, n: i32, kc: i32, a: usize, lda: usize, b: usize, panel: usize, c: usize, ldc: usize, accumulate: bool): void {
  const wide = n & ~15;
  const even = m & ~1;
  const panelsEnd = b + <usize>(wide >> 4) * panel;
  for (let i = 0; i < even; i += 2) {
    const row = a + <usize>i * lda;
    let out = c + <usize>i * ldc;
    for (let panels = b; panels < panelsEnd; panels += panel) {
      f32_gemm_2x16<T>(kc, row, lda, panels, out, ldc, accumulate);
      out += 64;
    }
  }
  if (even < m) {
    let out = c + <usize>even * ldc;
    for (let panels = b; panels < panelsEnd; panels += panel) {
      f32_gemm_1x16<T>(kc, a + <usize>even * lda, panels, out, accumulate);
      out += 64;
    }
  }
  if (wide < n) {
    c += (<usize>wide) << 2;
    let i = 0;
    for (; i + 4 <= m; i += 4) f32_gemm_4x8<T>(kc, a + <usize>i * lda, lda, panelsEnd, 64, c + <usize>i * ldc, ldc, accumulate);
    for (; i < m; i++) f32_gemm_1x8<T>(kc, a + <usize>i * lda, panelsEnd, 64, c + <usize>i * ldc, accumulate);
  }
}

function block6x8(m: i32, n: i32, kc: i32, a: usize, lda: usize, b: usize, panel: usize, c: usize, ldc: usize, accumulate: bool): void {
  const whole = m - (m % 6);
  const panelsEnd = b + <usize>(n >> 3) * panel;
  for (let i = 0; i < whole; i += 6) {
    const row = a + <usize>i * lda;
    let out = c + <usize>i * ldc;
    for (let panels = b; panels < panelsEnd; panels += panel) {
      f32_gemm_6x8(kc, row, lda, panels, out, ldc, accumulate);
      out += 32;
    }
  }
  for (let panels = b; panels < panelsEnd; panels += panel) {
    let i = whole;
    for (; i + 4 <= m; i += 4) f32_gemm_4x8<Fused>(kc, a + <usize>i * lda, lda, panels, 32, c + <usize>i * ldc, ldc, accumulate);
    for (; i < m; i++) f32_gemm_1x8<Fused>(kc, a + <usize>i * lda, panels, 32, c + <usize>i * ldc, accumulate);
    c += 32;
  }
}

/**
 * C [m, n] = or += A [m, kc] · B [kc, n]: A by rows, B packed for `kernel`, strides in bytes.
 * n is a multiple of 8; a caller with fewer columns computes into a buffer of its own and copies them.
 */
export function f32_gemm_block(
  kernel: i32,
  m: i32,
  n: i32,
  kc: i32,
  a: usize,
  lda: usize,
  b: usize,
  c: usize,
  ldc: usize,
  accumulate: bool,
): void {
  f32_gemm_panels(kernel, m, n, kc, a, lda, b, (<usize>(kc * panelWidth(kernel))) << 2, c, ldc, accumulate);
}

/** The same for panels that are `panel` bytes apart, because they hold more of k than this block. */
export function f32_gemm_panels(
  kernel: i32,
  m: i32,
  n: i32,
  kc: i32,
  a: usize,
  lda: usize,
  b: usize,
  panel: usize,
  c: usize,
  ldc: usize,
  accumulate: bool,
): void {
  if (ASC_FEATURE_RELAXED_SIMD) {
    if (kernel === FMA_6X8) {
      block6x8(m, n, kc, a, lda, b, panel, c, ldc, accumulate);
      return;
    }
    if (kernel === FMA_2X16) {
      block2x16<Fused>(m, n, kc, a, lda, b, panel, c, ldc, accumulate);
      return;
    }
  }
  block2x16<Plain>(m, n, kc, a, lda, b, panel, c, ldc, accumulate);
}
