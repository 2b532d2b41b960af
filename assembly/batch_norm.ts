/**
 * Batch normalisation of [n, channels, inner], one unit per channel, and normalisation of rows [rows, channels, inner] (group and layer
 * normalisation). Sums are float64, in an order that depends on the shape alone. A missing weight or bias is the address 0.
 */
import { high64, low64, round4, storeFirst, sum2 } from './math';

/** Sums that `addRun` and `addProducts` have added to. */
let first: f64 = 0;
let second: f64 = 0;

/** Adds Σ x to `first` and Σ x² to `second`, for n adjacent elements. */
function addRun(x: usize, n: i32): void {
  let s0 = f64x2.splat(0);
  let s1 = f64x2.splat(0);
  let q0 = f64x2.splat(0);
  let q1 = f64x2.splat(0);
  const whole = x + ((<usize>(n & ~3)) << 2);
  const end = x + ((<usize>n) << 2);
  for (; x < whole; x += 16) {
    const v = v128.load(x);
    const low = low64(v);
    const high = high64(v);
    s0 = f64x2.add(s0, low);
    s1 = f64x2.add(s1, high);
    q0 = f64x2.add(q0, f64x2.mul(low, low));
    q1 = f64x2.add(q1, f64x2.mul(high, high));
  }
  first += sum2(f64x2.add(s0, s1));
  second += sum2(f64x2.add(q0, q1));
  for (; x < end; x += 4) {
    const v = <f64>f32.load(x);
    first += v;
    second += v * v;
  }
}

/** Adds Σ dy to `first` and Σ dy · (x − mean) to `second`, for n adjacent elements. */
function addProducts(dy: usize, x: usize, mean: f64, n: i32): void {
  const m = f64x2.splat(mean);
  let s0 = f64x2.splat(0);
  let s1 = f64x2.splat(0);
  let q0 = f64x2.splat(0);
  let q1 = f64x2.splat(0);
  const whole = x + ((<usize>(n & ~3)) << 2);
  const end = x + ((<usize>n) << 2);
  for (; x < whole; x += 16, dy += 16) {
    const d = v128.load(dy);
    const v = v128.load(x);
    const low = low64(d);
    const high = high64(d);
    s0 = f64x2.add(s0, low);
    s1 = f64x2.add(s1, high);
    q0 = f64x2.add(q0, f64x2.mul(low, f64x2.sub(low64(v), m)));
    q1 = f64x2.add(q1, f64x2.mul(high, f64x2.sub(high64(v), m)));
  }
  first += sum2(f64x2.add(s0, s1));
  second += sum2(f64x2.add(q0, q1));
  for (; x < end; x += 4, dy += 4) {
    const d = <f64>f32.load(dy);
    first += d;
    second += d * (<f64>f32.load(x) - mean);
  }
}

/** y = (x − mean) · scale + shift, at least `least`, for n adjacent elements. */
function normalizeRun(y: usize, x: usize, mean: f32, scale: f32, shift: f32, least: f32, n: i32): void {
  const m = f32x4.splat(mean);
  const s = f32x4.splat(scale);
  const t = f32x4.splat(shift);
  const low = f32x4.splat(least);
  for (let i = 0; i < n; i += 4) {
    const offset = (<usize>i) << 2;
    const v = f32x4.add(f32x4.mul(f32x4.sub(v128.load(x + offset), m), s), t);
    storeFirst(y + offset, f32x4.pmax(v, low), n - i);
  }
}

/** dx = factor · (dy − through − (x − mean) · slope), for n adjacent elements. */
function gradientRun(dx: usize, dy: usize, x: usize, mean: f32, factor: f32, through: f32, slope: f32, n: i32): void {
  const m = f32x4.splat(mean);
  const f = f32x4.splat(factor);
  const a = f32x4.splat(through);
  const b = f32x4.splat(slope);
  for (let i = 0; i < n; i += 4) {
    const offset = (<usize>i) << 2;
    const centred = f32x4.sub(v128.load(x + offset), m);
    const rest = f32x4.sub(f32x4.sub(v128.load(dy + offset), a), f32x4.mul(centred, b));
    storeFirst(dx + offset, f32x4.mul(f, rest), n - i);
  }
}

function elementOf(vector: usize, i: i32, absent: f32): f32 {
  return vector ? f32.load(vector + ((<usize>i) << 2)) : absent;
}

function storeElement(vector: usize, i: i32, value: f64): void {
  f32.store(vector + ((<usize>i) << 2), <f32>value);
}

/** Channels [begin, end). In training, mean and variance are outputs. */
export function batchNorm(
  y: usize,
  mean: usize,
  variance: usize,
  x: usize,
  weight: usize,
  bias: usize,
  n: i32,
  channels: i32,
  inner: i32,
  epsilon: f64,
  training: i32,
  relu: i32,
  begin: i32,
  end: i32,
): void {
  const plane = (<usize>inner) << 2;
  const image = plane * <usize>channels;
  const count = <f64>n * <f64>inner;
  const least: f32 = relu ? 0 : -Infinity;
  for (let c = begin; c < end; c++) {
    const start = plane * <usize>c;
    if (training) {
      first = 0;
      second = 0;
      for (let item = 0; item < n; item++) addRun(x + start + image * <usize>item, inner);
      const average = first / count;
      storeElement(mean, c, average);
      storeElement(variance, c, max<f64>(second / count - average * average, 0));
    }
    const scale = <f32>(<f64>elementOf(weight, c, 1) / NativeMath.sqrt(<f64>elementOf(variance, c, 1) + epsilon));
    const centre = elementOf(mean, c, 0);
    const shift = elementOf(bias, c, 0);
    for (let item = 0; item < n; item++) {
      const at = start + image * <usize>item;
      normalizeRun(y + at, x + at, centre, scale, shift, least, inner);
    }
  }
}

/** Channels [begin, end); dx may be the address 0. */
export function batchNormGrad(
  dx: usize,
  dweight: usize,
  dbias: usize,
  dy: usize,
  x: usize,
  mean: usize,
  variance: usize,
  weight: usize,
  n: i32,
  channels: i32,
  inner: i32,
  epsilon: f64,
  training: i32,
  begin: i32,
  end: i32,
): void {
  const plane = (<usize>inner) << 2;
  const image = plane * <usize>channels;
  const count = <f64>n * <f64>inner;
  for (let c = begin; c < end; c++) {
    const start = plane * <usize>c;
    const centre = elementOf(mean, c, 0);
    const inverse = 1 / NativeMath.sqrt(<f64>elementOf(variance, c, 1) + epsilon);
    first = 0;
    second = 0;
    for (let item = 0; item < n; item++) {
      const at = start + image * <usize>item;
      addProducts(dy + at, x + at, <f64>centre, inner);
    }
    storeElement(dbias, c, first);
    storeElement(dweight, c, second * inverse);
    if (!dx) continue;
    const factor = <f32>(<f64>elementOf(weight, c, 1) * inverse);
    const through = <f32>(training ? first / count : 0);
    const slope = <f32>(training ? (second * inverse * inverse) / count : 0);
    for (let item = 0; item < n; item++) {
      const at = start + image * <usize>item;
      gradientRun(dx + at, dy + at, x + at, centre, factor, through, slope, inner);
    }
  }
}

// Rows: group and layer normalisation ---------------------------------------------------------------

/** Four adjacent elements of a vector. */
function four(vector: usize, i: i32, absent: f32): v128 {
  return vector ? v128.load(vector + ((<usize>i) << 2)) : f32x4.splat(absent);
}

/** Rows [begin, end) of [rows, channels, inner]; mean and variance are outputs. */
export function groupNorm(
  y: usize,
  mean: usize,
  variance: usize,
  x: usize,
  weight: usize,
  bias: usize,
  groups: i32,
  channels: i32,
  inner: i32,
  epsilon: f64,
  begin: i32,
  end: i32,
): void {
  const columns = channels * inner;
  for (let row = begin; row < end; row++) {
    const start = (<usize>row * <usize>columns) << 2;
    const channel = (row % groups) * channels;
    first = 0;
    second = 0;
    addRun(x + start, columns);
    const average = first / <f64>columns;
    const spread = max<f64>(second / <f64>columns - average * average, 0);
    storeElement(mean, row, average);
    storeElement(variance, row, spread);
    const centre = <f32>average;
    const inverse = 1 / NativeMath.sqrt(spread + epsilon);
    if (inner === 1) {
      const m = f32x4.splat(centre);
      const s = f32x4.splat(<f32>inverse);
      for (let i = 0; i < columns; i += 4) {
        const at = start + ((<usize>i) << 2);
        const normal = f32x4.mul(f32x4.sub(v128.load(x + at), m), s);
        const v = f32x4.add(f32x4.mul(normal, four(weight, channel + i, 1)), four(bias, channel + i, 0));
        storeFirst(y + at, v, columns - i);
      }
    } else {
      for (let c = 0; c < channels; c++) {
        const at = start + ((<usize>c * <usize>inner) << 2);
        const scale = <f32>(inverse * <f64>elementOf(weight, channel + c, 1));
        normalizeRun(y + at, x + at, centre, scale, elementOf(bias, channel + c, 0), -Infinity, inner);
      }
    }
  }
}

/** Adds Σ w · dy to `first` and Σ w · dy · (x − mean) to `second`, for n adjacent elements with a weight each. */
function addWeighted(dy: usize, x: usize, weight: usize, mean: f64, n: i32): void {
  for (let i = 0; i < n; i++) {
    const offset = (<usize>i) << 2;
    const d = <f64>f32.load(dy + offset) * <f64>f32.load(weight + offset);
    first += d;
    second += d * (<f64>f32.load(x + offset) - mean);
  }
}

/** Rows [begin, end). */
export function groupNormGrad(
  dx: usize,
  dy: usize,
  x: usize,
  mean: usize,
  variance: usize,
  weight: usize,
  groups: i32,
  channels: i32,
  inner: i32,
  epsilon: f64,
  begin: i32,
  end: i32,
): void {
  const columns = channels * inner;
  for (let row = begin; row < end; row++) {
    const start = (<usize>row * <usize>columns) << 2;
    const channel = (row % groups) * channels;
    const centre = elementOf(mean, row, 0);
    const inverse = 1 / NativeMath.sqrt(<f64>elementOf(variance, row, 1) + epsilon);
    let sum: f64 = 0;
    let products: f64 = 0;
    first = 0;
    second = 0;
    if (inner === 1 && weight) {
      addWeighted(dy + start, x + start, weight + ((<usize>channel) << 2), <f64>centre, columns);
      sum = first;
      products = second;
    } else {
      for (let c = 0; c < channels; c++) {
        const at = start + ((<usize>c * <usize>inner) << 2);
        const w = <f64>elementOf(weight, channel + c, 1);
        first = 0;
        second = 0;
        addProducts(dy + at, x + at, <f64>centre, inner);
        sum += w * first;
        products += w * second;
      }
    }
    const through = sum / <f64>columns;
    const slope = (products * inverse * inverse) / <f64>columns;
    if (inner === 1) {
      const m = f32x4.splat(centre);
      const f = f32x4.splat(<f32>inverse);
      const a = f32x4.splat(<f32>through);
      const b = f32x4.splat(<f32>slope);
      for (let i = 0; i < columns; i += 4) {
        const at = start + ((<usize>i) << 2);
        const scaled = f32x4.mul(v128.load(dy + at), four(weight, channel + i, 1));
        const rest = f32x4.sub(f32x4.sub(scaled, a), f32x4.mul(f32x4.sub(v128.load(x + at), m), b));
        storeFirst(dx + at, f32x4.mul(f, rest), columns - i);
      }
    } else {
      for (let c = 0; c < channels; c++) {
        const at = start + ((<usize>c * <usize>inner) << 2);
        weightedRun(dx + at, dy + at, x + at, centre, elementOf(weight, channel + c, 1), <f32>inverse, <f32>through, <f32>slope, inner);
      }
    }
  }
}

/** dx = factor · (weight · dy − through − (x − mean) · slope), for n adjacent elements of one channel. */
function weightedRun(dx: usize, dy: usize, x: usize, mean: f32, weight: f32, factor: f32, through: f32, slope: f32, n: i32): void {
  const m = f32x4.splat(mean);
  const w = f32x4.splat(weight);
  const f = f32x4.splat(factor);
  const a = f32x4.splat(through);
  const b = f32x4.splat(slope);
  for (let i = 0; i < n; i += 4) {
    const offset = (<usize>i) << 2;
    const centred = f32x4.sub(v128.load(x + offset), m);
    const rest = f32x4.sub(f32x4.sub(f32x4.mul(w, v128.load(dy + offset)), a), f32x4.mul(centred, b));
    storeFirst(dx + offset, f32x4.mul(f, rest), n - i);
  }
}

/** Channels [begin, end) of groups · channels: sums over the rows of the channel's group. */
export function groupNormParamGrad(
  dweight: usize,
  dbias: usize,
  dy: usize,
  x: usize,
  mean: usize,
  variance: usize,
  rows: i32,
  groups: i32,
  channels: i32,
  inner: i32,
  epsilon: f64,
  begin: i32,
  end: i32,
): void {
  const columns = channels * inner;
  for (let channel = begin; channel < end; channel++) {
    const group = channel / channels;
    const within = (channel - group * channels) * inner;
    let sum: f64 = 0;
    let products: f64 = 0;
    for (let row = group; row < rows; row += groups) {
      const at = (<usize>row * <usize>columns + <usize>within) << 2;
      first = 0;
      second = 0;
      addProducts(dy + at, x + at, <f64>elementOf(mean, row, 0), inner);
      sum += first;
      products += second / NativeMath.sqrt(<f64>elementOf(variance, row, 1) + epsilon);
    }
    storeElement(dbias, channel, sum);
    storeElement(dweight, channel, products);
  }
}

/**
 * The same for inner = 1: blocks [begin, end) of 4 adjacent channels, ceil(channels / 4) per group. The rows are read in order, four
 * columns at a time, instead of one element per call.
 */
export function rowNormParamGrad(
  dweight: usize,
  dbias: usize,
  dy: usize,
  x: usize,
  mean: usize,
  variance: usize,
  rows: i32,
  groups: i32,
  channels: i32,
  epsilon: f64,
  begin: i32,
  end: i32,
): void {
  const blocks = (channels + 3) >> 2;
  for (let unit = begin; unit < end; unit++) {
    const group = unit / blocks;
    const column = (unit - group * blocks) << 2;
    let s0 = f64x2.splat(0);
    let s1 = f64x2.splat(0);
    let p0 = f64x2.splat(0);
    let p1 = f64x2.splat(0);
    for (let row = group; row < rows; row += groups) {
      const at = (<usize>row * <usize>channels + <usize>column) << 2;
      const d = v128.load(dy + at);
      const v = v128.load(x + at);
      const m = f64x2.splat(<f64>elementOf(mean, row, 0));
      const r = f64x2.splat(1 / NativeMath.sqrt(<f64>elementOf(variance, row, 1) + epsilon));
      const low = low64(d);
      const high = high64(d);
      s0 = f64x2.add(s0, low);
      s1 = f64x2.add(s1, high);
      p0 = f64x2.add(p0, f64x2.mul(f64x2.mul(low, r), f64x2.sub(low64(v), m)));
      p1 = f64x2.add(p1, f64x2.mul(f64x2.mul(high, r), f64x2.sub(high64(v), m)));
    }
    const to = (<usize>group * <usize>channels + <usize>column) << 2;
    storeFirst(dbias + to, round4(s0, s1), channels - column);
    storeFirst(dweight + to, round4(p0, p1), channels - column);
  }
}
