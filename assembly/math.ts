/**
 * Elementary functions of four floats, after Cephes (Moshier). They use plain IEEE operations in a fixed order, so they give the same
 * bits in every runtime. NaN is propagated.
 */

function horner(p: v128, x: v128, c: f32): v128 {
  return f32x4.add(f32x4.mul(p, x), f32x4.splat(c));
}

/** Adding these to a float (or a float64) of moderate size leaves the nearest whole number in the lowest bits of the sum. */
const SHIFT_F32: f32 = 12582912;
const SHIFT_F64: f64 = 6755399441055744;

/** e^x, within 2 units in the last place; gradual underflow, overflow to infinity. */
export function exp4(x: v128): v128 {
  x = f32x4.pmax(f32x4.pmin(x, f32x4.splat(89)), f32x4.splat(-104));
  const shifted = f32x4.add(f32x4.mul(x, f32x4.splat(Mathf.LOG2E)), f32x4.splat(SHIFT_F32));
  const n = f32x4.sub(shifted, f32x4.splat(SHIFT_F32));
  // r = x - n ln 2 in two steps. The first constant has few enough bits that its product with n is exact.
  const r = f32x4.sub(f32x4.sub(x, f32x4.mul(n, f32x4.splat(0.693359375))), f32x4.mul(n, f32x4.splat(-2.1219444e-4)));
  let p = horner(f32x4.splat(1.98756915e-4), r, 1.3981999507e-3);
  p = horner(p, r, 8.3334519073e-3);
  p = horner(p, r, 4.1665795894e-2);
  p = horner(p, r, 1.6666665459e-1);
  p = horner(p, r, 5.0000001201e-1);
  p = f32x4.add(f32x4.add(f32x4.mul(p, f32x4.mul(r, r)), r), f32x4.splat(1));
  // Multiply by 2^n in two steps, since n may lie outside the exponent range of a float. The bias of both is added first.
  const exponent = i32x4.sub(shifted, i32x4.splat(reinterpret<i32>(SHIFT_F32) - 254));
  const half = i32x4.shr_s(exponent, 1);
  p = f32x4.mul(p, i32x4.shl(half, 23));
  return f32x4.mul(p, i32x4.shl(i32x4.sub(exponent, half), 23));
}

/** Natural logarithm, within 2 units in the last place. */
export function log4(x: v128): v128 {
  const tiny = f32x4.lt(x, f32x4.splat(1.17549435e-38));
  const scaled = v128.bitselect(f32x4.mul(x, f32x4.splat(33554432)), x, tiny); // 2^25 makes denormals normal
  let e = f32x4.convert_i32x4_s(i32x4.sub(i32x4.shr_u(scaled, 23), i32x4.splat(126)));
  e = f32x4.sub(e, v128.and(tiny, f32x4.splat(25)));
  // m - 1 with m in [√½, √2)
  let m = v128.or(v128.and(scaled, i32x4.splat(0x007fffff)), i32x4.splat(0x3f000000));
  const low = f32x4.lt(m, f32x4.splat(Mathf.SQRT1_2));
  e = f32x4.sub(e, v128.and(low, f32x4.splat(1)));
  m = f32x4.sub(f32x4.add(m, v128.and(low, m)), f32x4.splat(1));
  const z = f32x4.mul(m, m);
  let p = horner(f32x4.splat(7.0376836292e-2), m, -1.151461031e-1);
  p = horner(p, m, 1.167699874e-1);
  p = horner(p, m, -1.2420140846e-1);
  p = horner(p, m, 1.4249322787e-1);
  p = horner(p, m, -1.6668057665e-1);
  p = horner(p, m, 2.0000714765e-1);
  p = horner(p, m, -2.4999993993e-1);
  p = horner(p, m, 3.3333331174e-1);
  p = f32x4.mul(f32x4.mul(p, m), z);
  p = f32x4.add(p, f32x4.mul(e, f32x4.splat(-2.1219444e-4)));
  p = f32x4.sub(p, f32x4.mul(z, f32x4.splat(0.5)));
  p = f32x4.add(f32x4.add(m, p), f32x4.mul(e, f32x4.splat(0.693359375)));
  // log 0 = -∞, log ∞ = ∞, NaN below 0 and for NaN
  p = v128.bitselect(f32x4.splat(-Infinity), p, f32x4.eq(x, f32x4.splat(0)));
  p = v128.bitselect(x, p, f32x4.eq(x, f32x4.splat(Infinity)));
  return v128.or(p, v128.not(f32x4.ge(x, f32x4.splat(0))));
}

/** 1 / (1 + e^-x). */
export function sigmoid4(x: v128): v128 {
  return f32x4.div(f32x4.splat(1), f32x4.add(f32x4.splat(1), exp4(f32x4.neg(x))));
}

export function tanh4(x: v128): v128 {
  const a = f32x4.abs(x);
  const large = f32x4.sub(f32x4.splat(1), f32x4.div(f32x4.splat(2), f32x4.add(exp4(f32x4.add(a, a)), f32x4.splat(1))));
  // Near 0 this formula cancels; a polynomial is used there.
  const z = f32x4.mul(x, x);
  let p = horner(f32x4.splat(-5.70498872745e-3), z, 2.06390887954e-2);
  p = horner(p, z, -5.37397155531e-2);
  p = horner(p, z, 1.33314422036e-1);
  p = horner(p, z, -3.33332819422e-1);
  const small = f32x4.add(f32x4.mul(f32x4.mul(p, z), x), x);
  const signed = v128.or(large, v128.and(x, f32x4.splat(-0.0)));
  return v128.bitselect(small, signed, f32x4.lt(a, f32x4.splat(0.625)));
}

/** Error function, within 2·10⁻⁷: polynomials fitted to erf(x) / x below 1 and to e^(x²) · (1 − erf x) in 1 / (1 + x / 2) above. */
export function erf4(x: v128): v128 {
  const a = f32x4.abs(x);
  const z = f32x4.mul(x, x);
  let p = horner(f32x4.splat(7.847259258e-5), z, -8.008189034e-4);
  p = horner(p, z, 5.188099109e-3);
  p = horner(p, z, -2.685369179e-2);
  p = horner(p, z, 1.128358245e-1);
  p = horner(p, z, -3.761262596e-1);
  p = horner(p, z, 1.128379107);
  const t = f32x4.div(f32x4.splat(1), f32x4.add(f32x4.splat(1), f32x4.mul(a, f32x4.splat(0.5))));
  let q = horner(f32x4.splat(-2.132948786e-1), t, 5.906174779e-1);
  q = horner(q, t, -1.641382836e-2);
  q = horner(q, t, 3.719708622e-1);
  q = horner(q, t, 2.660585046e-1);
  q = horner(q, t, 1.177266939e-3);
  const large = f32x4.sub(f32x4.splat(1), f32x4.mul(q, exp4(f32x4.neg(z))));
  const signed = v128.or(large, v128.and(x, f32x4.splat(-0.0)));
  return v128.bitselect(f32x4.mul(p, x), signed, f32x4.lt(a, f32x4.splat(1)));
}

/** s^-beta for s > 0, as e^(-beta ln s). */
export function powNegative4(s: v128, beta: v128): v128 {
  return exp4(f32x4.neg(f32x4.mul(beta, log4(s))));
}

/** x^y for positive normal x and finite y, computed in float64: the error is little more than half a unit in the last place. */
export function pow4(x: v128, y: v128): v128 {
  // x = m · 2^e with m in [√½, √2), both exact: 0x3f3504f3 is √½.
  const above = i32x4.sub(x, i32x4.splat(0x3f3504f3));
  const e = i32x4.shr_s(above, 23);
  const m = i32x4.sub(x, v128.and(above, i32x4.splat(0xff800000)));
  return round4(pow2(low64(m), f64x2.convert_low_i32x4_s(e), low64(y)), pow2(high64(m), f64x2.convert_low_i32x4_s(swap64(e)), high64(y)));
}

// (ln 2)^n / n!
const LN2_2 = (Math.LN2 * Math.LN2) / 2;
const LN2_3 = (LN2_2 * Math.LN2) / 3;
const LN2_4 = (LN2_3 * Math.LN2) / 4;
const LN2_5 = (LN2_4 * Math.LN2) / 5;
const LN2_6 = (LN2_5 * Math.LN2) / 6;
const LN2_7 = (LN2_6 * Math.LN2) / 7;
const LN2_8 = (LN2_7 * Math.LN2) / 8;

/** 2^(y (e + log2 m)) of two float64, to 9 digits. */
function pow2(m: v128, e: v128, y: v128): v128 {
  const one = f64x2.splat(1);
  // log2 m by the series of (m − 1) / (m + 1).
  const s = f64x2.div(f64x2.sub(m, one), f64x2.add(m, one));
  const z = f64x2.mul(s, s);
  // Even and odd powers are summed separately, here and below, so that the two chains can run in parallel.
  const z2 = f64x2.mul(z, z);
  let even = horner64(f64x2.splat((2 * Math.LOG2E) / 9), z2, (2 * Math.LOG2E) / 5);
  let odd = horner64(f64x2.splat((2 * Math.LOG2E) / 11), z2, (2 * Math.LOG2E) / 7);
  even = horner64(even, z2, 2 * Math.LOG2E);
  odd = horner64(odd, z2, (2 * Math.LOG2E) / 3);
  const log = f64x2.add(e, f64x2.mul(s, f64x2.add(even, f64x2.mul(z, odd))));
  // Beyond an exponent of 200 the float result is infinite or 0 in any case.
  const t = f64x2.pmax(f64x2.pmin(f64x2.mul(y, log), f64x2.splat(200)), f64x2.splat(-200));
  const shifted = f64x2.add(t, f64x2.splat(SHIFT_F64));
  const r = f64x2.sub(t, f64x2.sub(shifted, f64x2.splat(SHIFT_F64)));
  // 2^r by the series of e^(r ln 2).
  const r2 = f64x2.mul(r, r);
  even = horner64(f64x2.splat(LN2_8), r2, LN2_6);
  odd = horner64(f64x2.splat(LN2_7), r2, LN2_5);
  even = horner64(even, r2, LN2_4);
  odd = horner64(odd, r2, LN2_3);
  even = horner64(even, r2, LN2_2);
  odd = horner64(odd, r2, Math.LN2);
  even = horner64(even, r2, 1);
  const exp = f64x2.add(even, f64x2.mul(r, odd));
  return f64x2.mul(exp, i64x2.shl(i64x2.add(shifted, i64x2.splat(1023)), 52));
}

function horner64(p: v128, x: v128, c: f64): v128 {
  return f64x2.add(f64x2.mul(p, x), f64x2.splat(c));
}

/** Sum of both float64 lanes, in a fixed order. */
export function sum2(v: v128): f64 {
  return f64x2.extract_lane(v, 0) + f64x2.extract_lane(v, 1);
}

/** Adds four floats to two float64 sums: lanes 0 and 2 to the first, lanes 1 and 3 to the second. */
export function add4(sums: v128, v: v128): v128 {
  return f64x2.add(f64x2.add(sums, low64(v)), high64(v));
}

/** Floats 0 and 1 as float64. */
export function low64(v: v128): v128 {
  return f64x2.promote_low_f32x4(v);
}

/** Floats 2 and 3 as float64. */
export function high64(v: v128): v128 {
  return f64x2.promote_low_f32x4(swap64(v));
}

function swap64(v: v128): v128 {
  return v128.shuffle<i64>(v, v, 1, 0);
}

/** Rounds two pairs of float64 to four floats. */
export function round4(low: v128, high: v128): v128 {
  return v128.shuffle<i64>(f32x4.demote_f64x2_zero(low), f32x4.demote_f64x2_zero(high), 0, 2);
}

/** Stores the first `count` (0 to 4) of four 32-bit values: for the end of a row, where a whole vector would overwrite the next row. */
export function storeFirst(y: usize, v: v128, count: i32): void {
  if (count >= 4) {
    v128.store(y, v);
    return;
  }
  if (count > 0) v128.store32_lane(y, v, 0);
  if (count > 1) v128.store32_lane(y, v, 1, 4);
  if (count > 2) v128.store32_lane(y, v, 2, 8);
}
