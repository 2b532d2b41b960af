/** Kernels that update weights in place: SGD over elements [begin, end), and the limit on the root mean square of a row. */
import { add4, storeFirst, sum2 } from './math';

/** w -= lr · (g + weightDecay · w). The last vector may extend into the padding of w. */
export function sgd(w: usize, grad: usize, lr: f32, weightDecay: f32, begin: i32, end: i32): void {
  const rate = f32x4.splat(lr);
  const decay = f32x4.splat(weightDecay);
  for (let i = begin; i < end; i += 4) {
    const offset = (<usize>i) << 2;
    const weight = v128.load(w + offset);
    const g = f32x4.add(v128.load(grad + offset), f32x4.mul(decay, weight));
    v128.store(w + offset, f32x4.sub(weight, f32x4.mul(rate, g)));
  }
}

/**
 * g = grad + weightDecay · w; v = keep · v + gain · g; w -= lr · (nesterov ? g + momentum · v : v).
 * `keep` is the momentum and `gain` is 1 − dampening. In the first step keep = 0 and gain = 1, so that v = g.
 */
export function sgdMomentum(
  w: usize,
  velocity: usize,
  grad: usize,
  lr: f32,
  weightDecay: f32,
  momentum: f32,
  gain: f32,
  first: i32,
  nesterov: i32,
  begin: i32,
  end: i32,
): void {
  const rate = f32x4.splat(lr);
  const decay = f32x4.splat(weightDecay);
  const keep = f32x4.splat(momentum);
  const scale = f32x4.splat(gain);
  for (let i = begin; i < end; i += 4) {
    const offset = (<usize>i) << 2;
    const weight = v128.load(w + offset);
    const g = f32x4.add(v128.load(grad + offset), f32x4.mul(decay, weight));
    const v = first ? g : f32x4.add(f32x4.mul(keep, v128.load(velocity + offset)), f32x4.mul(scale, g));
    v128.store(velocity + offset, v);
    const step = nesterov ? f32x4.add(g, f32x4.mul(keep, v)) : v;
    v128.store(w + offset, f32x4.sub(weight, f32x4.mul(rate, step)));
  }
}

/** Rescales each of the rows [begin, end) whose root mean square exceeds `limit` so that it equals `limit`. */
export function clipRms(w: usize, columns: i32, limit: f64, begin: i32, end: i32): void {
  for (let r = begin; r < end; r++) {
    const row = w + ((<usize>r * <usize>columns) << 2);
    const whole = columns & ~7;
    let even = f64x2.splat(0);
    let odd = f64x2.splat(0);
    for (let i = 0; i < whole; i += 8) {
      const v0 = v128.load(row + ((<usize>i) << 2));
      const v1 = v128.load(row + ((<usize>i) << 2), 16);
      even = add4(even, f32x4.mul(v0, v0));
      odd = add4(odd, f32x4.mul(v1, v1));
    }
    let squares = sum2(f64x2.add(even, odd));
    for (let i = whole; i < columns; i++) {
      const v = <f64>f32.load(row + ((<usize>i) << 2));
      squares += v * v;
    }
    const rms = sqrt<f64>(squares / <f64>columns);
    if (!(rms > limit)) continue;
    const scale = f32x4.splat(<f32>(limit / rms));
    for (let i = 0; i < columns; i += 4) {
      const p = row + ((<usize>i) << 2);
      storeFirst(p, f32x4.mul(v128.load(p), scale), columns - i);
    }
  }
}
