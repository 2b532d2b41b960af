/** Used by softmax and cross entropy: the maximum and the sum of exponentials of one row. */
import { add4, exp4, storeFirst, sum2 } from './math';

/** Maximum of n adjacent floats. It ignores NaN, which makes the sum of exponentials NaN in any case. */
export function rowMax(x: usize, n: i32): f32 {
  const end = x + ((<usize>n) << 2);
  const whole = x + ((<usize>(n & ~3)) << 2);
  let v = f32x4.splat(-Infinity);
  for (; x < whole; x += 16) v = f32x4.pmax(v, v128.load(x));
  for (; x < end; x += 4) v = f32x4.pmax(v, v128.load32_splat(x));
  v = f32x4.pmax(v, v128.shuffle<i64>(v, v, 1, 0));
  return max<f32>(f32x4.extract_lane(v, 0), f32x4.extract_lane(v, 1));
}

/** Mask with the lanes below `count` set: the valid part of a vector that extends beyond the end of its row. */
export function firstLanes(count: i32): v128 {
  return i32x4.lt_s(i32x4(0, 1, 2, 3), i32x4.splat(count));
}

/** Σ exp(x - shift); the terms are stored in y unless it is 0. */
export function sumExp(y: usize, x: usize, shift: f32, n: i32): f64 {
  const s = f32x4.splat(shift);
  let sums = f64x2.splat(0);
  let others = sums;
  // Two vectors per step; a single last vector is computed twice.
  for (let i = 0; i < n; i += 8) {
    const offset = (<usize>i) << 2;
    const left = n - i;
    const second: usize = left > 4 ? 16 : 0;
    let e = exp4(f32x4.sub(v128.load(x + offset), s));
    let f = exp4(f32x4.sub(v128.load(x + offset + second), s));
    if (left < 8) {
      e = v128.and(e, firstLanes(left));
      f = v128.and(f, firstLanes(left - 4));
    }
    sums = add4(sums, e);
    others = add4(others, f);
    if (y) {
      storeFirst(y + offset, e, left);
      storeFirst(y + offset + 16, f, left - 4);
    }
  }
  return sum2(f64x2.add(sums, others));
}
