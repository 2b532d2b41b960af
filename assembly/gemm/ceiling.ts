/**
 * Measures the arithmetic ceiling of one thread: the multiplications and additions of a 4x8 tile whose B stays in registers and whose A
 * comes from the L1 cache. Benchmarks and profiles report every kernel's speed as a share of it.
 */

/** Number of rounds, which read 4 KiB, after which A is read from its start again. */
const LENGTH: i32 = 256;
const numbers = memory.data(4096, 16);

function step(sum: v128, x: v128, y: v128): v128 {
  return ASC_FEATURE_RELAXED_SIMD ? f32x4.relaxed_madd(x, y, sum) : f32x4.add(sum, f32x4.mul(x, y));
}

/**
 * Rounds of 8 vectors of 4: `ROUND_FLOP` of src/backend/wasm/runtime/ceiling.ts counts their multiplications and additions. Returns a number
 * that depends on all of the work, so that the compiler cannot remove any of it.
 */
export function ceiling(rounds: i32, factor: f32): f32 {
  const y0 = f32x4.splat(factor);
  const y1 = f32x4.add(y0, y0);
  let s0 = y0;
  let s1 = y1;
  let s2 = y0;
  let s3 = y1;
  let s4 = y0;
  let s5 = y1;
  let s6 = y0;
  let s7 = y1;
  for (let i = 0; i < rounds; i++) {
    const a = numbers + ((<usize>(i & (LENGTH - 1))) << 4);
    let x = v128.load_splat<f32>(a);
    s0 = step(s0, x, y0);
    s1 = step(s1, x, y1);
    x = v128.load_splat<f32>(a, 4);
    s2 = step(s2, x, y0);
    s3 = step(s3, x, y1);
    x = v128.load_splat<f32>(a, 8);
    s4 = step(s4, x, y0);
    s5 = step(s5, x, y1);
    x = v128.load_splat<f32>(a, 12);
    s6 = step(s6, x, y0);
    s7 = step(s7, x, y1);
  }
  s0 = f32x4.add(f32x4.add(s0, s1), f32x4.add(s2, s3));
  s0 = f32x4.add(s0, f32x4.add(f32x4.add(s4, s5), f32x4.add(s6, s7)));
  return f32x4.extract_lane(s0, 0) + f32x4.extract_lane(s0, 1) + f32x4.extract_lane(s0, 2) + f32x4.extract_lane(s0, 3);
}
