/** Kernels that lay numbers out anew for matrix products: borders, weights turned around, channels lined up. */

/**
 * The weights of the convolution that is an input gradient: to [groups, channels, outputs, taps] = w [groups, outputs, channels, taps]
 * with the taps in reverse. One unit is eight channels of one group.
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

/** to [channels, n, inner] = x [n, channels, inner]: each channel's planes behind one another. One unit is one channel. */
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

/** Copies planes of x [planes, h, w] into planes [planes, paddedH, paddedW] of zeros, `top` and `left` from the corner. */
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

// Rows are short: a loop costs less than the call that memory.copy and memory.fill become.

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
