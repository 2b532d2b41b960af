/** What softmax and cross-entropy have in common: the maximum and the sum of exponentials of one row. */
import { add4, exp4, storeFirst, sum2 } from './math';

/** The greatest of n adjacent floats; NaN if one of them is. */
export function rowMax(x: usize, n: i32): f32 {
  const end = x + ((<usize>n) << 2);
  const whole = x + ((<usize>(n & ~3)) << 2);
  let v = f32x4.splat(-Infinity);
  for (; x < whole; x += 16) v = f32x4.max(v, v128.load(x));
  let best = max<f32>(
    max<f32>(f32x4.extract_lane(v, 0), f32x4.extract_lane(v, 1)),
    max<f32>(f32x4.extract_lane(v, 2), f32x4.extract_lane(v, 3)),
  );
  for (; x < end; x += 4) best = max<f32>(best, f32.load(x));
  return best;
}

/** Lanes below `count` set: what counts of a vector that runs over the end of its row. */
export function firstLanes(count: i32): v128 {
  return i32x4.lt_s(i32x4(0, 1, 2, 3), i32x4.splat(count));
}

/** Σ exp(x - shift); the terms are stored in y unless it is 0. */
export function sumExp(y: usize, x: usize, shift: f32, n: i32): f64 {
  const s = f32x4.splat(shift);
  let sums = f64x2.splat(0);
  for (let i = 0; i < n; i += 4) {
    const offset = (<usize>i) << 2;
    let e = exp4(f32x4.sub(v128.load(x + offset), s));
    if (i + 4 > n) e = v128.and(e, firstLanes(n - i));
    sums = add4(sums, e);
    if (y) storeFirst(y + offset, e, n - i);
  }
  return sum2(sums);
}
