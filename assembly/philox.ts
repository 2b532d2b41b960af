/** Philox 4x32-10 (Salmon et al. 2011) for several counters at once. The scalar definition is in src/backend/philox.ts. */

/**
 * Writes the four words of each of the counters `counter` … `counter + 7` under key `seed` to `out`, 128 bytes in order of the counter.
 * Each round processes two groups of four counters, because preparing its constants and keys costs as much as the work on one group.
 */
export function philox32(out: usize, seed: u64, counter: u64): void {
  let k0 = <u32>seed;
  let k1 = <u32>(seed >> 32);
  // Words 0 and 1 are the halves of the counter. Each vector holds one word of four counters: c for the first four, d for the others.
  const first = i64x2.add(i64x2.splat(counter), i64x2(0, 1));
  const second = i64x2.add(i64x2.splat(counter), i64x2(2, 3));
  const third = i64x2.add(i64x2.splat(counter), i64x2(4, 5));
  const fourth = i64x2.add(i64x2.splat(counter), i64x2(6, 7));
  let c0 = even(first, second);
  let c1 = odd(first, second);
  let c2 = i32x4.splat(0);
  let c3 = i32x4.splat(0);
  let d0 = even(third, fourth);
  let d1 = odd(third, fourth);
  let d2 = i32x4.splat(0);
  let d3 = i32x4.splat(0);
  const m0 = i32x4.splat(0xd2511f53);
  const m1 = i32x4.splat(0xcd9e8d57);
  for (let round = 0; round < 10; round++) {
    const key0 = i32x4.splat(k0);
    const key1 = i32x4.splat(k1);
    let low = i64x2.extmul_low_i32x4_u(m1, c2);
    let high = i64x2.extmul_high_i32x4_u(m1, c2);
    let p = i64x2.extmul_low_i32x4_u(m0, c0);
    let q = i64x2.extmul_high_i32x4_u(m0, c0);
    c0 = v128.xor(v128.xor(odd(low, high), c1), key0);
    c1 = even(low, high);
    c2 = v128.xor(v128.xor(odd(p, q), c3), key1);
    c3 = even(p, q);
    low = i64x2.extmul_low_i32x4_u(m1, d2);
    high = i64x2.extmul_high_i32x4_u(m1, d2);
    p = i64x2.extmul_low_i32x4_u(m0, d0);
    q = i64x2.extmul_high_i32x4_u(m0, d0);
    d0 = v128.xor(v128.xor(odd(low, high), d1), key0);
    d1 = even(low, high);
    d2 = v128.xor(v128.xor(odd(p, q), d3), key1);
    d3 = even(p, q);
    k0 += 0x9e3779b9;
    k1 += 0xbb67ae85;
  }
  transpose(out, c0, c1, c2, c3);
  transpose(out + 64, d0, d1, d2, d3);
}

/** Words 0 and 2 of both. */
function even(a: v128, b: v128): v128 {
  return v128.shuffle<i32>(a, b, 0, 2, 4, 6);
}

/** Words 1 and 3 of both. */
function odd(a: v128, b: v128): v128 {
  return v128.shuffle<i32>(a, b, 1, 3, 5, 7);
}

/** Transposes: from one word of four counters per vector to four words of one counter per vector. */
function transpose(out: usize, c0: v128, c1: v128, c2: v128, c3: v128): void {
  const t0 = v128.shuffle<i32>(c0, c1, 0, 4, 1, 5);
  const t1 = v128.shuffle<i32>(c2, c3, 0, 4, 1, 5);
  const t2 = v128.shuffle<i32>(c0, c1, 2, 6, 3, 7);
  const t3 = v128.shuffle<i32>(c2, c3, 2, 6, 3, 7);
  v128.store(out, v128.shuffle<i64>(t0, t1, 0, 2));
  v128.store(out, v128.shuffle<i64>(t0, t1, 1, 3), 16);
  v128.store(out, v128.shuffle<i64>(t2, t3, 0, 2), 32);
  v128.store(out, v128.shuffle<i64>(t2, t3, 1, 3), 48);
}
