/** Cross-entropy of logits [rows, columns] against one label per row. The caller has checked the labels. */
import { storeFirst } from './math';
import { rowMax, sumExp } from './softmax_rows';

/** losses[r] (float64) = log Σ exp(x[r]) − x[r, label] for rows [begin, end). */
export function crossEntropyRows(losses: usize, x: usize, labels: usize, columns: i32, begin: i32, end: i32): void {
  for (let r = begin; r < end; r++) {
    const row = x + ((<usize>r * <usize>columns) << 2);
    const max = rowMax(row, columns);
    const chosen = f32.load(row + ((<usize>i32.load(labels + ((<usize>r) << 2))) << 2));
    f64.store(losses + ((<usize>r) << 3), NativeMath.log(sumExp(0, row, max, columns)) + (<f64>max - <f64>chosen));
  }
}

/** loss[0] = mean of the rows' losses. */
export function crossEntropyMean(loss: usize, losses: usize, rows: i32): void {
  let sum: f64 = 0;
  for (let r = 0; r < rows; r++) sum += f64.load(losses + ((<usize>r) << 3));
  f32.store(loss, <f32>(sum / <f64>rows));
}

/** dx = dloss[0] · (softmax(x) − onehot(labels)) / rows for rows [begin, end). */
export function crossEntropyGrad(dx: usize, dloss: usize, x: usize, labels: usize, rows: i32, columns: i32, begin: i32, end: i32): void {
  const share = <f64>f32.load(dloss) / <f64>rows;
  const one = f32x4.splat(<f32>share);
  for (let r = begin; r < end; r++) {
    const start = (<usize>r * <usize>columns) << 2;
    const max = rowMax(x + start, columns);
    const sum = sumExp(dx + start, x + start, max, columns);
    const label = dx + start + ((<usize>i32.load(labels + ((<usize>r) << 2))) << 2);
    const chosen = <f64>f32.load(label);
    const scale = f32x4.splat(<f32>(1.0 / sum));
    for (let i = 0; i < columns; i += 4) {
      const p = dx + start + ((<usize>i) << 2);
      storeFirst(p, f32x4.mul(f32x4.mul(v128.load(p), scale), one), columns - i);
    }
    // At the label, p − 1 is exact enough in this order: both are at most 1.
    f32.store(label, <f32>(share * (chosen / sum - 1)));
  }
}
