/**
 * Reductions of a strided view, y[o] = op over r of x[o, r]. Sums are float64, in an order that depends on the
 * shape alone, so the bits do not depend on chunks or threads. If an element is NaN, the result is NaN.
 */
import { add4, high64, low64, round4, storeFirst, sum2 } from './math';
import { next, offsetA, offsetOf, seek } from './odometer';

/** Each operation's number is its index in `REDUCE_OPS` of src/backend/wasm/reduce.ts; `sum` is 0. */
const MEAN = 1;
const MAX = 2;
const MIN = 3;

function start(op: i32): f64 {
  return op === MAX ? -Infinity : op === MIN ? Infinity : 0;
}

function combine(op: i32, a: f64, b: f64): f64 {
  return op === MAX ? max<f64>(a, b) : op === MIN ? min<f64>(a, b) : a + b;
}

/** Reduces `length` adjacent elements into the accumulator. */
function run(op: i32, accumulator: f64, x: usize, length: i32): f64 {
  const whole = x + ((<usize>(length & ~15)) << 2);
  const end = x + ((<usize>length) << 2);
  if (op <= MEAN) {
    let a = f64x2.splat(0);
    let b = f64x2.splat(0);
    let c = f64x2.splat(0);
    let d = f64x2.splat(0);
    for (; x < whole; x += 64) {
      a = add4(a, v128.load(x));
      b = add4(b, v128.load(x, 16));
      c = add4(c, v128.load(x, 32));
      d = add4(d, v128.load(x, 48));
    }
    accumulator += sum2(f64x2.add(f64x2.add(a, b), f64x2.add(c, d)));
    for (; x < end; x += 4) accumulator += f32.load(x);
    return accumulator;
  }
  const first = f32x4.splat(<f32>start(op));
  let a = first;
  let b = first;
  if (op === MAX) {
    for (; x < whole; x += 64) {
      a = f32x4.max(f32x4.max(a, v128.load(x)), v128.load(x, 16));
      b = f32x4.max(f32x4.max(b, v128.load(x, 32)), v128.load(x, 48));
    }
    a = f32x4.max(a, b);
  } else {
    for (; x < whole; x += 64) {
      a = f32x4.min(f32x4.min(a, v128.load(x)), v128.load(x, 16));
      b = f32x4.min(f32x4.min(b, v128.load(x, 32)), v128.load(x, 48));
    }
    a = f32x4.min(a, b);
  }
  const left = combine(op, f32x4.extract_lane(a, 0), f32x4.extract_lane(a, 1));
  const right = combine(op, f32x4.extract_lane(a, 2), f32x4.extract_lane(a, 3));
  accumulator = combine(op, accumulator, combine(op, left, right));
  for (; x < end; x += 4) accumulator = combine(op, accumulator, f32.load(x));
  return accumulator;
}

/** Outputs [begin, end): `kept` gives the offset of each output, `reduced` that of each of its `rows` rows of `length` elements. */
export function reduceRows(
  op: i32,
  y: usize,
  x: usize,
  kept: usize,
  reduced: usize,
  rows: i32,
  length: i32,
  stride: i32,
  begin: i32,
  end: i32,
): void {
  const step = (<usize>stride) << 2;
  for (let o = begin; o < end; o++) {
    const origin = x + ((<usize>offsetOf(kept, o)) << 2);
    let result = start(op);
    seek(reduced, 0);
    for (let r = 0; r < rows; r++) {
      let p = origin + ((<usize>offsetA) << 2);
      if (stride === 1) {
        result = run(op, result, p, length);
      } else {
        for (let i = 0; i < length; i++, p += step) result = combine(op, result, f32.load(p));
      }
      if (r + 1 < rows) next();
    }
    if (op === MEAN) result /= <f64>rows * <f64>length;
    f32.store(y + ((<usize>o) << 2), <f32>result);
  }
}

/**
 * Blocks [begin, end) of 16 adjacent outputs. A row has `width` outputs, adjacent in x as well, in `ceil(width / 16)` blocks. `kept` gives
 * the offset of each row, `reduced` that of each of the `count` elements to reduce.
 */
export function reduceColumns(
  op: i32,
  y: usize,
  x: usize,
  kept: usize,
  width: i32,
  reduced: usize,
  count: i32,
  begin: i32,
  end: i32,
): void {
  const blocks = (width + 15) >> 4;
  for (let unit = begin; unit < end; unit++) {
    const row = unit / blocks;
    const column = (unit - row * blocks) << 4;
    const from = x + ((<usize>(offsetOf(kept, row) + column)) << 2);
    const to = y + ((<usize>row * <usize>width + <usize>column) << 2);
    const columns = min(width - column, 16);
    if (op <= MEAN) sumBlock(to, from, reduced, count, columns, op === MEAN ? <f64>count : 1);
    else extremeBlock(op, to, from, reduced, count, columns);
  }
}

function storeBlock(y: usize, a: v128, b: v128, c: v128, d: v128, columns: i32): void {
  storeFirst(y, a, columns);
  storeFirst(y + 16, b, columns - 4);
  storeFirst(y + 32, c, columns - 8);
  storeFirst(y + 48, d, columns - 12);
}

function sumBlock(y: usize, x: usize, reduced: usize, count: i32, columns: i32, divisor: f64): void {
  let a0 = f64x2.splat(0);
  let a1 = f64x2.splat(0);
  let b0 = f64x2.splat(0);
  let b1 = f64x2.splat(0);
  let c0 = f64x2.splat(0);
  let c1 = f64x2.splat(0);
  let d0 = f64x2.splat(0);
  let d1 = f64x2.splat(0);
  seek(reduced, 0);
  for (let r = 0; r < count; r++) {
    const p = x + ((<usize>offsetA) << 2);
    const a = v128.load(p);
    const b = v128.load(p, 16);
    const c = v128.load(p, 32);
    const d = v128.load(p, 48);
    a0 = f64x2.add(a0, low64(a));
    a1 = f64x2.add(a1, high64(a));
    b0 = f64x2.add(b0, low64(b));
    b1 = f64x2.add(b1, high64(b));
    c0 = f64x2.add(c0, low64(c));
    c1 = f64x2.add(c1, high64(c));
    d0 = f64x2.add(d0, low64(d));
    d1 = f64x2.add(d1, high64(d));
    next();
  }
  const by = f64x2.splat(divisor);
  const a = round4(f64x2.div(a0, by), f64x2.div(a1, by));
  const b = round4(f64x2.div(b0, by), f64x2.div(b1, by));
  const c = round4(f64x2.div(c0, by), f64x2.div(c1, by));
  const d = round4(f64x2.div(d0, by), f64x2.div(d1, by));
  storeBlock(y, a, b, c, d, columns);
}

function extremeBlock(op: i32, y: usize, x: usize, reduced: usize, count: i32, columns: i32): void {
  let a = f32x4.splat(<f32>start(op));
  let b = a;
  let c = a;
  let d = a;
  seek(reduced, 0);
  for (let r = 0; r < count; r++) {
    const p = x + ((<usize>offsetA) << 2);
    if (op === MAX) {
      a = f32x4.max(a, v128.load(p));
      b = f32x4.max(b, v128.load(p, 16));
      c = f32x4.max(c, v128.load(p, 32));
      d = f32x4.max(d, v128.load(p, 48));
    } else {
      a = f32x4.min(a, v128.load(p));
      b = f32x4.min(b, v128.load(p, 16));
      c = f32x4.min(c, v128.load(p, 32));
      d = f32x4.min(d, v128.load(p, 48));
    }
    next();
  }
  storeBlock(y, a, b, c, d, columns);
}

/** Reduces blocks [begin, end) of one long run, `block` elements each, to one float64 per block in `partials`. */
export function reducePartials(op: i32, partials: usize, x: usize, length: i32, block: i32, begin: i32, end: i32): void {
  for (let unit = begin; unit < end; unit++) {
    const first = unit * block;
    f64.store(partials + ((<usize>unit) << 3), run(op, start(op), x + ((<usize>first) << 2), min(block, length - first)));
  }
}

/** y[0] = op over the partial results; `length` is the number of elements that they cover. */
export function reduceFinish(op: i32, y: usize, partials: usize, count: i32, length: i32): void {
  let result = start(op);
  for (let i = 0; i < count; i++) result = combine(op, result, f64.load(partials + ((<usize>i) << 3)));
  f32.store(y, <f32>(op === MEAN ? result / <f64>length : result));
}

/** Outputs [begin, end): index of the first maximum among `rows` rows of `length` elements. The first NaN counts as the maximum. */
export function argmax(y: usize, x: usize, kept: usize, reduced: usize, rows: i32, length: i32, stride: i32, begin: i32, end: i32): void {
  const step = (<usize>stride) << 2;
  for (let o = begin; o < end; o++) {
    const origin = x + ((<usize>offsetOf(kept, o)) << 2);
    let best: f32 = -Infinity;
    let place = 0;
    seek(reduced, 0);
    for (let r = 0; r < rows; r++) {
      let p = origin + ((<usize>offsetA) << 2);
      for (let i = 0; i < length; i++, p += step) {
        const value = f32.load(p);
        if (value > best || (F32.isNaN(value) && !F32.isNaN(best))) {
          best = value;
          place = r * length + i;
        }
      }
      if (r + 1 < rows) next();
    }
    i32.store(y + ((<usize>o) << 2), place);
  }
}

/** Whether value a comes before b: the larger one if `largest`, else the smaller one. NaN is larger than every number. */
function precedes(a: f32, b: f32, largest: i32): bool {
  return largest ? a > b || (F32.isNaN(a) && !F32.isNaN(b)) : a < b || (F32.isNaN(b) && !F32.isNaN(a));
}

/** Rows [begin, end): the columns of the `count` first elements in order, by insertion into the sorted list of those found so far. */
export function topk(indices: usize, x: usize, columns: i32, count: i32, largest: i32, begin: i32, end: i32): void {
  for (let row = begin; row < end; row++) {
    const from = x + ((<usize>row * <usize>columns) << 2);
    const list = indices + ((<usize>row * <usize>count) << 2);
    let found = 0;
    for (let i = 0; i < columns; i++) {
      const value = f32.load(from + ((<usize>i) << 2));
      let place = found;
      for (; place > 0; place--) {
        const other = i32.load(list + ((<usize>(place - 1)) << 2));
        if (!precedes(value, f32.load(from + ((<usize>other) << 2)), largest)) break;
        if (place < count) i32.store(list + ((<usize>place) << 2), other);
      }
      if (place >= count) continue;
      i32.store(list + ((<usize>place) << 2), i);
      if (found < count) found++;
    }
  }
}
