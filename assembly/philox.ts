/** Philox 4x32-10 (Salmon et al. 2011) for four counters at once: 16 random words. The definition is in src/backend/philox.ts. */

/** Writes the words of counters `counter` … `counter + 3` under (seed) to `out`, counter by counter, 64 bytes. */
export function philox16(out: usize, seed: u64, counter: u64): void {
  let k0 = <u32>seed;
  let k1 = <u32>(seed >> 32);
  // Words 0 and 1 are the counter's halves, each vector holding one word of all four counters.
  const low = i64x2.add(i64x2.splat(counter), i64x2(0, 1));
  const high = i64x2.add(i64x2.splat(counter), i64x2(2, 3));
  let c0 = v128.shuffle<i32>(low, high, 0, 2, 4, 6);
  let c1 = v128.shuffle<i32>(low, high, 1, 3, 5, 7);
  let c2 = i32x4.splat(0);
  let c3 = i32x4.splat(0);
  const m0 = i32x4.splat(0xd2511f53);
  const m1 = i32x4.splat(0xcd9e8d57);
  for (let round = 0; round < 10; round++) {
    const p0 = i64x2.extmul_low_i32x4_u(m0, c0);
    const q0 = i64x2.extmul_high_i32x4_u(m0, c0);
    const p1 = i64x2.extmul_low_i32x4_u(m1, c2);
    const q1 = i64x2.extmul_high_i32x4_u(m1, c2);
    c0 = v128.xor(v128.xor(v128.shuffle<i32>(p1, q1, 1, 3, 5, 7), c1), i32x4.splat(k0));
    c2 = v128.xor(v128.xor(v128.shuffle<i32>(p0, q0, 1, 3, 5, 7), c3), i32x4.splat(k1));
    c1 = v128.shuffle<i32>(p1, q1, 0, 2, 4, 6);
    c3 = v128.shuffle<i32>(p0, q0, 0, 2, 4, 6);
    k0 += 0x9e3779b9;
    k1 += 0xbb67ae85;
  }
  // From one word of four counters in a vector to four words of one counter.
  const t0 = v128.shuffle<i32>(c0, c1, 0, 4, 1, 5);
  const t1 = v128.shuffle<i32>(c2, c3, 0, 4, 1, 5);
  const t2 = v128.shuffle<i32>(c0, c1, 2, 6, 3, 7);
  const t3 = v128.shuffle<i32>(c2, c3, 2, 6, 3, 7);
  v128.store(out, v128.shuffle<i64>(t0, t1, 0, 2));
  v128.store(out, v128.shuffle<i64>(t0, t1, 1, 3), 16);
  v128.store(out, v128.shuffle<i64>(t2, t3, 0, 2), 32);
  v128.store(out, v128.shuffle<i64>(t2, t3, 1, 3), 48);
}
