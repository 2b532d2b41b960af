/**
 * Which positions `start + i · step`, i in [0, count), lie inside an axis [0, size). Pooling loops from `firstInside` to `endInside` and so
 * needs no test for padding inside its loops.
 */

/** The least i ≥ 0 with start + i · step ≥ 0. */
export function firstInside(start: i32, step: i32): i32 {
  return start >= 0 ? 0 : (step - 1 - start) / step;
}

/** One more than the greatest i < count with start + i · step < size. If it is below `firstInside`, no position lies inside. */
export function endInside(start: i32, step: i32, count: i32, size: i32): i32 {
  if (start + (count - 1) * step < size) return count; // the common case, without a division
  return start >= size ? 0 : (size - start + step - 1) / step;
}

/**
 * Range [first, end) of outputs along an axis whose whole window of `extent` elements lies inside the input, so that it needs no clipping.
 */
export function firstWhole(pad: i32, stride: i32): i32 {
  return (pad + stride - 1) / stride;
}

export function endWhole(size: i32, extent: i32, pad: i32, stride: i32, outputs: i32): i32 {
  const room = size - extent + pad;
  return room < 0 ? 0 : min(outputs, room / stride + 1);
}

/** Loads four floats from p on, `stride` floats apart. For stride 2 one float beyond the last is read and not used. */
export function gather4(p: usize, stride: i32): v128 {
  if (stride === 1) return v128.load(p);
  if (stride === 2) return v128.shuffle<f32>(v128.load(p), v128.load(p, 16), 0, 2, 4, 6);
  const step = (<usize>stride) << 2;
  let v = v128.load32_zero(p);
  v = v128.load32_lane(p + step, v, 1);
  v = v128.load32_lane(p + step * 2, v, 2);
  return v128.load32_lane(p + step * 3, v, 3);
}
