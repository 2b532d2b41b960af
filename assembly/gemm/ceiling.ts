/**
 * What the arithmetic of one thread allows: as many multiplications and additions as fit, in registers alone, twelve independent
 * chains of them. The benchmark compiles this by itself and gives every kernel's speed as a share of it; no build exports it.
 */

/** Numbers multiplied and added in one round: 12 vectors of 4. */
export const ROUND: i32 = 48;

function step(sum: v128, x: v128, y: v128): v128 {
  return ASC_FEATURE_RELAXED_SIMD ? f32x4.relaxed_madd(sum, x, y) : f32x4.add(f32x4.mul(sum, x), y);
}

/** Returns a number that depends on all of the work, so that none of it can be left out. */
export function ceiling(rounds: i32, factor: f32, term: f32): f32 {
  const x = f32x4.splat(factor);
  const y = f32x4.splat(term);
  let s0 = y;
  let s1 = f32x4.add(s0, y);
  let s2 = f32x4.add(s1, y);
  let s3 = f32x4.add(s2, y);
  let s4 = f32x4.add(s3, y);
  let s5 = f32x4.add(s4, y);
  let s6 = f32x4.add(s5, y);
  let s7 = f32x4.add(s6, y);
  let s8 = f32x4.add(s7, y);
  let s9 = f32x4.add(s8, y);
  let s10 = f32x4.add(s9, y);
  let s11 = f32x4.add(s10, y);
  for (let i = 0; i < rounds; i++) {
    s0 = step(s0, x, y);
    s1 = step(s1, x, y);
    s2 = step(s2, x, y);
    s3 = step(s3, x, y);
    s4 = step(s4, x, y);
    s5 = step(s5, x, y);
    s6 = step(s6, x, y);
    s7 = step(s7, x, y);
    s8 = step(s8, x, y);
    s9 = step(s9, x, y);
    s10 = step(s10, x, y);
    s11 = step(s11, x, y);
  }
  s0 = f32x4.add(f32x4.add(s0, s1), f32x4.add(s2, s3));
  s4 = f32x4.add(f32x4.add(s4, s5), f32x4.add(s6, s7));
  s8 = f32x4.add(f32x4.add(s8, s9), f32x4.add(s10, s11));
  s0 = f32x4.add(s0, f32x4.add(s4, s8));
  return f32x4.extract_lane(s0, 0) + f32x4.extract_lane(s0, 1) + f32x4.extract_lane(s0, 2) + f32x4.extract_lane(s0, 3);
}
