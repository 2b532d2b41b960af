/** Dropout over elements [begin, end), 32 per step; `begin` is a multiple of 16. The last vectors may extend into the padding of y. */
import { philox32 } from './philox';
import { scratch } from './scratch';

/** y = word ≥ threshold ? scale · x : 0, with element i's word from Philox at (seed, counter + ⌊i / 4⌋). */
export function dropout(y: usize, x: usize, threshold: f64, scale: f32, seed: f64, counter: f64, begin: i32, end: i32): void {
  const least = i32x4.splat(<u32>threshold);
  const s = f32x4.splat(scale);
  for (let i = begin; i < end; i += 32) {
    philox32(scratch, <u64>seed, <u64>counter + (<u64>i >> 2));
    const bytes: usize = end - i > 16 ? 128 : 64;
    const offset = (<usize>i) << 2;
    for (let k: usize = 0; k < bytes; k += 16) {
      const keep = i32x4.ge_u(v128.load(scratch + k), least);
      v128.store(y + offset + k, v128.and(keep, f32x4.mul(v128.load(x + offset + k), s)));
    }
  }
}
