/**
 * Random numbers for elements [begin, end), 32 per step; `begin` is a multiple of 16. The last vectors may extend into the padding of y.
 */
import { round4 } from './math';
import { philox32 } from './philox';
import { scratch } from './scratch';

const TO_UNIT_24: f64 = 1.0 / 16777216.0;
const TO_UNIT_32: f64 = 1.0 / 4294967296.0;

/** y = low + u · range, where u is the upper 24 bits of the word as a number in [0, 1). */
export function uniform(y: usize, seed: f64, counter: f64, low: f64, range: f64, begin: i32, end: i32): void {
  const l = f64x2.splat(low);
  const r = f64x2.splat(range);
  const unit = f64x2.splat(TO_UNIT_24);
  for (let i = begin; i < end; i += 32) {
    philox32(scratch, <u64>seed, <u64>counter + (<u64>i >> 2));
    const bytes: usize = end - i > 16 ? 128 : 64;
    for (let k: usize = 0; k < bytes; k += 16) {
      const word = i32x4.shr_u(v128.load(scratch + k), 8);
      const a = f64x2.mul(f64x2.convert_low_i32x4_u(word), unit);
      const b = f64x2.mul(f64x2.convert_low_i32x4_u(v128.shuffle<i64>(word, word, 1, 0)), unit);
      v128.store(y + ((<usize>i) << 2) + k, round4(f64x2.add(l, f64x2.mul(a, r)), f64x2.add(l, f64x2.mul(b, r))));
    }
  }
}

function horner(p: v128, x: v128, c: f64): v128 {
  return f64x2.add(f64x2.mul(p, x), f64x2.splat(c));
}

const TWO_52: f64 = 4503599627370496.0;

/** Natural logarithm of normal positive numbers, after fdlibm's e_log.c. */
function log2x64(x: v128): v128 {
  const magic = f64x2.splat(TWO_52);
  // x = 2^k · m with m in [√½, √2). The exponent is converted to a float64 by placing it in the mantissa of 2^52.
  let k = f64x2.sub(f64x2.sub(v128.or(i64x2.shr_u(x, 52), magic), magic), f64x2.splat(1023));
  let m = v128.or(v128.and(x, i64x2.splat(0x000fffffffffffff)), f64x2.splat(1));
  const high = f64x2.gt(m, f64x2.splat(Math.SQRT2));
  k = f64x2.add(k, v128.and(high, f64x2.splat(1)));
  m = v128.bitselect(f64x2.mul(m, f64x2.splat(0.5)), m, high);
  const f = f64x2.sub(m, f64x2.splat(1));
  const s = f64x2.div(f, f64x2.add(f64x2.splat(2), f));
  const z = f64x2.mul(s, s);
  let p = horner(f64x2.splat(0.14798198605116586), z, 0.15313837699209373);
  p = horner(p, z, 0.1818357216161805);
  p = horner(p, z, 0.22222198432149784);
  p = horner(p, z, 0.2857142874366239);
  p = horner(p, z, 0.3999999999940942);
  p = horner(p, z, 0.6666666666666735);
  const half = f64x2.mul(f64x2.mul(f, f), f64x2.splat(0.5));
  const tail = f64x2.add(f64x2.mul(s, f64x2.add(half, f64x2.mul(p, z))), f64x2.mul(k, f64x2.splat(1.9082149292705877e-10)));
  return f64x2.sub(f64x2.mul(k, f64x2.splat(0.6931471803691238)), f64x2.sub(f64x2.sub(half, tail), f));
}

/** sin r for |r| ≤ π/4, after fdlibm's k_sin.c. */
function sin2(r: v128): v128 {
  const z = f64x2.mul(r, r);
  let p = horner(f64x2.splat(1.58969099521155e-10), z, -2.5050760253406863e-8);
  p = horner(p, z, 2.7557313707070068e-6);
  p = horner(p, z, -0.0001984126982985795);
  p = horner(p, z, 0.00833333333332249);
  p = horner(p, z, -0.16666666666666632);
  return f64x2.add(r, f64x2.mul(f64x2.mul(p, z), r));
}

/** cos r for |r| ≤ π/4, after fdlibm's k_cos.c. */
function cos2(r: v128): v128 {
  const z = f64x2.mul(r, r);
  let p = horner(f64x2.splat(-1.1359647557788195e-11), z, 2.087572321298175e-9);
  p = horner(p, z, -2.7557314351390663e-7);
  p = horner(p, z, 2.480158728947673e-5);
  p = horner(p, z, -0.001388888888887411);
  p = horner(p, z, 0.0416666666666666);
  return f64x2.add(f64x2.sub(f64x2.splat(1), f64x2.mul(z, f64x2.splat(0.5))), f64x2.mul(f64x2.mul(p, z), z));
}

/** Four normal deviates from four words by Box-Muller: words 0 and 1 give the first two, words 2 and 3 the other two. */
function boxMuller(words: v128, mean: v128, std: v128): v128 {
  const even = v128.shuffle<i32>(words, words, 0, 2, 0, 2);
  const odd = v128.shuffle<i32>(words, words, 1, 3, 1, 3);
  const u1 = f64x2.mul(f64x2.add(f64x2.convert_low_i32x4_u(even), f64x2.splat(1)), f64x2.splat(TO_UNIT_32)); // in (0, 1]
  const radius = f64x2.mul(std, f64x2.sqrt(f64x2.mul(f64x2.splat(-2), log2x64(u1))));
  // The angle is split exactly into the nearest whole number of quarter turns and a remainder of at most an eighth of a turn.
  const turns = f64x2.mul(f64x2.convert_low_i32x4_u(odd), f64x2.splat(4.0 * TO_UNIT_32));
  const quarter = f64x2.nearest(turns);
  const rest = f64x2.mul(f64x2.sub(turns, quarter), f64x2.splat(1.5707963267948966));
  const s = sin2(rest);
  const c = cos2(rest);
  const count = f64x2.add(quarter, f64x2.splat(TWO_52)); // the lowest bits hold the number of quarter turns
  const swap = i64x2.neg(v128.and(count, i64x2.splat(1)));
  const sinSign = i64x2.shl(v128.and(count, i64x2.splat(2)), 62);
  const cosSign = i64x2.shl(v128.and(i64x2.add(count, i64x2.splat(1)), i64x2.splat(2)), 62);
  const sin = v128.xor(v128.bitselect(c, s, swap), sinSign);
  const cos = v128.xor(v128.bitselect(s, c, swap), cosSign);
  const first = f64x2.add(mean, f64x2.mul(radius, cos));
  const second = f64x2.add(mean, f64x2.mul(radius, sin));
  return v128.shuffle<i32>(f32x4.demote_f64x2_zero(first), f32x4.demote_f64x2_zero(second), 0, 4, 1, 5);
}

export function normal(y: usize, seed: f64, counter: f64, mean: f64, std: f64, begin: i32, end: i32): void {
  const m = f64x2.splat(mean);
  const s = f64x2.splat(std);
  for (let i = begin; i < end; i += 32) {
    philox32(scratch, <u64>seed, <u64>counter + (<u64>i >> 2));
    const bytes: usize = end - i > 16 ? 128 : 64;
    for (let k: usize = 0; k < bytes; k += 16) v128.store(y + ((<usize>i) << 2) + k, boxMuller(v128.load(scratch + k), m, s));
  }
}
