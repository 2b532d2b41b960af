/** Softmax and log-softmax along rows [begin, end) of a matrix of `columns`, and their gradients. Sums are float64. */
import { add4, exp4, high64, low64, round4, storeFirst, sum2 } from './math';
import { firstLanes, rowMax, sumExp } from './softmax_rows';

export function softmax(y: usize, x: usize, columns: i32, begin: i32, end: i32): void {
  const bytes = (<usize>columns) << 2;
  for (let r = begin; r < end; r++) {
    const from = x + <usize>r * bytes;
    const to = y + <usize>r * bytes;
    const sum = sumExp(to, from, rowMax(from, columns), columns);
    const scale = f32x4.splat(<f32>(1.0 / sum));
    for (let i = 0; i < columns; i += 4) {
      const p = to + ((<usize>i) << 2);
      storeFirst(p, f32x4.mul(v128.load(p), scale), columns - i);
    }
  }
}

export function logSoftmax(y: usize, x: usize, columns: i32, begin: i32, end: i32): void {
  const bytes = (<usize>columns) << 2;
  for (let r = begin; r < end; r++) {
    const from = x + <usize>r * bytes;
    const to = y + <usize>r * bytes;
    const max = rowMax(from, columns);
    const shift = f32x4.splat(max);
    const log = f32x4.splat(<f32>NativeMath.log(sumExp(0, from, max, columns)));
    for (let i = 0; i < columns; i += 4) {
      const offset = (<usize>i) << 2;
      storeFirst(to + offset, f32x4.sub(f32x4.sub(v128.load(from + offset), shift), log), columns - i);
    }
  }
}

/** dx = y · (dy − Σ dy · y), with the difference in float64, because it cancels where one probability is nearly 1. */
export function softmaxGrad(dx: usize, dy: usize, y: usize, columns: i32, begin: i32, end: i32): void {
  for (let r = begin; r < end; r++) {
    const start = (<usize>r * <usize>columns) << 2;
    let sums = f64x2.splat(0);
    for (let i = 0; i < columns; i += 4) {
      const p = start + ((<usize>i) << 2);
      let d = v128.load(dy + p);
      let v = v128.load(y + p);
      if (i + 4 > columns) {
        d = v128.and(d, firstLanes(columns - i));
        v = v128.and(v, firstLanes(columns - i));
      }
      sums = f64x2.add(f64x2.add(sums, f64x2.mul(low64(d), low64(v))), f64x2.mul(high64(d), high64(v)));
    }
    const dot = f64x2.splat(sum2(sums));
    for (let i = 0; i < columns; i += 4) {
      const p = start + ((<usize>i) << 2);
      const d = v128.load(dy + p);
      const above = round4(f64x2.sub(low64(d), dot), f64x2.sub(high64(d), dot));
      storeFirst(dx + p, f32x4.mul(v128.load(y + p), above), columns - i);
    }
  }
}

/** dx = dy − exp(y) · Σ dy. */
export function logSoftmaxGrad(dx: usize, dy: usize, y: usize, columns: i32, begin: i32, end: i32): void {
  for (let r = begin; r < end; r++) {
    const start = (<usize>r * <usize>columns) << 2;
    let sums = f64x2.splat(0);
    for (let i = 0; i < columns; i += 4) {
      let v = v128.load(dy + start + ((<usize>i) << 2));
      if (i + 4 > columns) v = v128.and(v, firstLanes(columns - i));
      sums = add4(sums, v);
    }
    const sum = f32x4.splat(<f32>sum2(sums));
    for (let i = 0; i < columns; i += 4) {
      const p = start + ((<usize>i) << 2);
      storeFirst(dx + p, f32x4.sub(v128.load(dy + p), f32x4.mul(exp4(v128.load(y + p)), sum)), columns - i);
    }
  }
}
