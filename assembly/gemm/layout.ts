/** Kernels that rearrange data for matrix products: padding, reversed weights, channels gathered over the batch. */

/**
 * Weights of the convolution that computes an input gradient: to [groups, channels, outputs, taps] = w [groups, outputs, channels, taps]
 * with the taps in reverse. A unit is eight channels of one group.
 */
export function conv2dFlip(to: usize, w: usize, outputs: i32, channels: i32, taps: i32, begin: i32, end: i32): void {
  const blocks = (channels + 7) >> 3;
  const bytes = (<usize>taps) << 2;
  for (let unit = begin; unit < end; unit++) {
    const group = unit / blocks;
    const first = (unit % blocks) << 3;
    const last = min(channels, first + 8);
    for (let o = 0; o < outputs; o++) {
      let from = w + <usize>((group * outputs + o) * channels + first) * bytes;
      for (let c = first; c < last; c++) {
        const start = to + <usize>((group * channels + c) * outputs + o) * bytes;
        for (let at = start + bytes; at > start; from += 4) {
          at -= 4;
          store<f32>(at, load<f32>(from));
        }
      }
    }
  }
}

/** to [channels, n, inner] = x [n, channels, inner]: the planes of each channel in sequence. A unit is one channel. */
export function gatherChannels(to: usize, x: usize, n: i32, channels: i32, inner: i32, begin: i32, end: i32): void {
  const row = (<usize>inner) << 2;
  for (let channel = begin; channel < end; channel++) {
    let at = to + <usize>(channel * n) * row;
    for (let i = 0; i < n; i++) at = copy(at, x + <usize>(i * channels + channel) * row, row);
  }
}

export function zeroFill(to: usize, count: i32): void {
  memory.fill(to, 0, (<usize>count) << 2);
}

/** Copies planes of x [planes, h, w] into zero-filled planes [planes, paddedH, paddedW], offset by `top` rows and `left` columns. */
export function pad2d(to: usize, x: usize, h: i32, w: i32, paddedH: i32, paddedW: i32, top: i32, left: i32, begin: i32, end: i32): void {
  const row = (<usize>w) << 2;
  for (let plane = begin; plane < end; plane++) {
    let at = to + ((<usize>plane * <usize>(paddedH * paddedW)) << 2);
    let from = x + ((<usize>plane * <usize>(h * w)) << 2);
    const before = (<usize>(top * paddedW + left)) << 2;
    const between = (<usize>(paddedW - w)) << 2;
    at = zeros(at, before);
    for (let i = 0; i < h; i++) {
      at = copy(at, from, row);
      from += row;
      if (i < h - 1) at = zeros(at, between);
    }
    zeros(at, (<usize>((paddedH - top - h) * paddedW + paddedW - left - w)) << 2);
  }
}

/**
 * Splits images into their even and odd rows and columns, padded with zeros: to [n, 4, channels, rows, columns] from
 * x [n, channels, h, w], where pixel (q, r) of phase (a, b) is pixel (2q + a - top, 2r + b - left) of x. Phases come in the order
 * (0, 1), (0, 0), (1, 0), (1, 1), in which those with a = 0, and those with b = 0, are neighbours. One unit is one plane of `to`.
 */
export function phases2d(
  to: usize,
  x: usize,
  channels: i32,
  h: i32,
  w: i32,
  rows: i32,
  columns: i32,
  top: i32,
  left: i32,
  begin: i32,
  end: i32,
): void {
  const row = (<usize>columns) << 2;
  for (let unit = begin; unit < end; unit++) {
    const phase = (unit / channels) & 3;
    const plane = (unit / channels / 4) * channels + (unit % channels);
    const a = (phase >> 1) - top;
    const b = ((phase ^ (phase >> 1) ^ 1) & 1) - left;
    let at = to + <usize>unit * <usize>rows * row;
    for (let q = 0; q < rows; q++) {
      const y = 2 * q + a;
      if (y < 0 || y >= h) {
        at = zeros(at, row);
        continue;
      }
      const line = x + ((<usize>plane * <usize>(h * w) + <usize>(y * w)) << 2);
      // Pixels [first, last) of the row lie inside the image.
      const first = min(columns, b < 0 ? (1 - b) >> 1 : 0);
      const last = max(first, min(columns, (w - b + 1) >> 1));
      zeros(at, (<usize>first) << 2);
      let r = first;
      for (; 2 * r + b + 8 <= w && r + 4 <= last; r += 4) {
        const from = line + ((<usize>(2 * r + b)) << 2);
        v128.store(at + ((<usize>r) << 2), v128.shuffle<f32>(v128.load(from), v128.load(from, 16), 0, 2, 4, 6));
      }
      for (; r < last; r++) store<f32>(at + ((<usize>r) << 2), load<f32>(line + ((<usize>(2 * r + b)) << 2)));
      at = zeros(at + ((<usize>last) << 2), (<usize>(columns - last)) << 2);
    }
  }
}

// Rows are short, so a loop costs less than the function call that memory.copy and memory.fill compile to.

function zeros(to: usize, bytes: usize): usize {
  const end = to + bytes;
  for (; to + 16 <= end; to += 16) v128.store(to, f32x4.splat(0));
  for (; to < end; to += 4) store<f32>(to, 0);
  return end;
}

function copy(to: usize, from: usize, bytes: usize): usize {
  const end = to + bytes;
  for (; to + 16 <= end; to += 16) {
    v128.store(to, v128.load(from));
    from += 16;
  }
  for (; to < end; to += 4) {
    store<f32>(to, load<f32>(from));
    from += 4;
  }
  return end;
}
