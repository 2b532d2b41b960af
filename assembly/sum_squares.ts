/** Sum of squares, for the norm of gradients: float64 sums of blocks of fixed size, then the sum of the blocks in order. */
import { high64, low64, sum2 } from './math';

/** Elements per block; the same in src/backend/wasm/sum_squares.ts. */
const BLOCK: i32 = 16384;

/** sums[b] (float64) = Σ x² over block b of x, for blocks [begin, end). */
export function sumSquaresBlocks(sums: usize, x: usize, size: i32, begin: i32, end: i32): void {
  for (let b = begin; b < end; b++) {
    const first = b * BLOCK;
    const count = min(BLOCK, size - first);
    const block = x + ((<usize>first) << 2);
    const whole = count & ~3;
    let even = f64x2.splat(0);
    let odd = f64x2.splat(0);
    for (let i = 0; i < whole; i += 4) {
      const v = v128.load(block + ((<usize>i) << 2));
      const low = low64(v);
      const high = high64(v);
      even = f64x2.add(even, f64x2.mul(low, low));
      odd = f64x2.add(odd, f64x2.mul(high, high));
    }
    let sum = sum2(f64x2.add(even, odd));
    for (let i = whole; i < count; i++) {
      const v = <f64>f32.load(block + ((<usize>i) << 2));
      sum += v * v;
    }
    f64.store(sums + ((<usize>b) << 3), sum);
  }
}

/** y[0] = the sum of the blocks' sums. */
export function sumSquaresTotal(y: usize, sums: usize, blocks: i32): void {
  let sum: f64 = 0;
  for (let b = 0; b < blocks; b++) sum += f64.load(sums + ((<usize>b) << 3));
  f32.store(y, <f32>sum);
}
