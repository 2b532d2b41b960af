/**
 * Packing of B straight from images: for every k (a tap: channel, kernel row, kernel column) and every column (an output pixel of
 * some image) the packed block holds x[pixel + tap], or the transposed matrix. Only one block of the im2col matrix exists at a time.
 *
 * The images are already padded, so every tap lies inside. Tables hold the addresses of taps and pixels.
 */
import { gather, storeTransposed } from './pack';

/**
 * Memory layout of a convolution, filled by the host; all fields are i32, sizes and strides in elements.
 * Columns are (image, row, column) of a grid of output pixels; taps are (channel, kernel row, kernel column).
 */
@unmanaged
class ConvShape {
  n: i32;
  groups: i32;
  /** Output channels of a group: rows of w and y. */
  outputs: i32;
  /** Input channels of a group. */
  channels: i32;
  kh: i32;
  kw: i32;
  /** The grid of output pixels. */
  gridH: i32;
  gridW: i32;
  /** Strides through x: per image, group, tap channel, tap row, tap column, grid row and grid column. */
  xImage: i32;
  xGroup: i32;
  xTapC: i32;
  xTapH: i32;
  xTapW: i32;
  xGridH: i32;
  xGridW: i32;
  /** Extent of one unit of work; `unitColumns` is a multiple of 16. */
  unitRows: i32;
  unitColumns: i32;
}

export function convShape(at: usize): ConvShape {
  return changetype<ConvShape>(at);
}

// Layout of four neighbouring pixels: arbitrary, adjacent, or every second element.
const SCATTERED: u8 = 0;
const ADJACENT: u8 = 1;
const ALTERNATE: u8 = 2;

/** Writes the offset of every tap, in bytes. */
export function tapOffsets(to: usize, s: ConvShape): void {
  for (let c = 0; c < s.channels; c++) {
    for (let i = 0; i < s.kh; i++) {
      let offset = (<usize>(c * s.xTapC + i * s.xTapH)) << 2;
      for (let j = 0; j < s.kw; j++) {
        store<usize>(to, offset);
        offset += (<usize>s.xTapW) << 2;
        to += sizeof<usize>();
      }
    }
  }
}

/** Writes the addresses in x of the pixels of columns [first, first + count), then repeats the last one up to `room`. */
export function pixelAddresses(to: usize, x: usize, s: ConvShape, first: i32, count: i32, room: i32): void {
  const plane = s.gridH * s.gridW;
  const step = (<usize>s.xGridW) << 2;
  let image = first / plane;
  let row = (first % plane) / s.gridW;
  let column = first % s.gridW;
  const end = to + <usize>count * sizeof<usize>();
  const roomEnd = to + <usize>room * sizeof<usize>();
  let address: usize = 0;
  while (to < end) {
    address = x + ((<usize>image * <usize>s.xImage + <usize>(row * s.xGridH + column * s.xGridW)) << 2);
    const rowEnd = min(end, to + <usize>(s.gridW - column) * sizeof<usize>());
    for (; to < rowEnd; to += sizeof<usize>()) {
      store<usize>(to, address);
      address += step;
    }
    column = 0;
    if (++row === s.gridH) {
      row = 0;
      image++;
    }
  }
  for (; to < roomEnd; to += sizeof<usize>()) store<usize>(to, address - step);
}

/** Writes the layout of every four pixels. `count` is a multiple of 4. */
export function pixelPatterns(to: usize, pixels: usize, count: i32): void {
  for (let i = 0; i < count; i += 4) {
    const p0 = load<usize>(pixels);
    const p1 = load<usize>(pixels, sizeof<usize>());
    const p2 = load<usize>(pixels, 2 * sizeof<usize>());
    const p3 = load<usize>(pixels, 3 * sizeof<usize>());
    const step = p1 - p0;
    const even = p2 - p1 === step && p3 - p2 === step;
    store<u8>(to++, even && step === 4 ? ADJACENT : even && step === 8 ? ALTERNATE : SCATTERED);
    pixels += 4 * sizeof<usize>();
  }
}

/** Loads four elements from `p` on, every second one; reads nothing beyond the last. */
function loadAlternate(p: usize): v128 {
  return v128.shuffle<f32>(v128.load(p), v128.load(p, 12), 0, 2, 5, 7);
}

/** Packs taps [0, kc) of `columns` pixels (a multiple of 8) into panels. */
export function packPixels(to: usize, pixels: usize, patterns: usize, taps: usize, kc: i32, columns: i32, width: i32): void {
  const step = (<usize>width) << 2;
  const tapsEnd = taps + <usize>kc * sizeof<usize>();
  for (let j = 0; j < columns; j += width) {
    const panel = to + ((<usize>(j * kc)) << 2);
    const groups = min(width, columns - j) >> 2;
    const at = pixels + <usize>j * sizeof<usize>();
    // All four vectors of a panel at once, each adjacent or every second element.
    const four = groups === 4 ? load<u32>(patterns + <usize>(j >> 2)) : 0;
    if (four === 0x01010101 * <u32>ADJACENT || four === 0x01010101 * <u32>ALTERNATE) {
      const p0 = load<usize>(at);
      const p1 = load<usize>(at, 4 * sizeof<usize>());
      const p2 = load<usize>(at, 8 * sizeof<usize>());
      const p3 = load<usize>(at, 12 * sizeof<usize>());
      let target = panel;
      if (four === 0x01010101 * <u32>ADJACENT) {
        for (let tap = taps; tap < tapsEnd; tap += sizeof<usize>()) {
          const offset = load<usize>(tap);
          v128.store(target, v128.load(p0 + offset));
          v128.store(target, v128.load(p1 + offset), 16);
          v128.store(target, v128.load(p2 + offset), 32);
          v128.store(target, v128.load(p3 + offset), 48);
          target += 64;
        }
      } else {
        for (let tap = taps; tap < tapsEnd; tap += sizeof<usize>()) {
          const offset = load<usize>(tap);
          v128.store(target, loadAlternate(p0 + offset));
          v128.store(target, loadAlternate(p1 + offset), 16);
          v128.store(target, loadAlternate(p2 + offset), 32);
          v128.store(target, loadAlternate(p3 + offset), 48);
          target += 64;
        }
      }
      continue;
    }
    for (let g = 0; g < groups; g++) {
      const quad = at + <usize>(g << 2) * sizeof<usize>();
      const p0 = load<usize>(quad);
      let target = panel + ((<usize>g) << 4);
      const pattern = load<u8>(patterns + <usize>(j >> 2) + <usize>g);
      if (pattern === ADJACENT) {
        for (let tap = taps; tap < tapsEnd; tap += sizeof<usize>()) {
          v128.store(target, v128.load(p0 + load<usize>(tap)));
          target += step;
        }
      } else if (pattern === ALTERNATE) {
        for (let tap = taps; tap < tapsEnd; tap += sizeof<usize>()) {
          v128.store(target, loadAlternate(p0 + load<usize>(tap)));
          target += step;
        }
      } else {
        const p1 = load<usize>(quad, sizeof<usize>());
        const p2 = load<usize>(quad, 2 * sizeof<usize>());
        const p3 = load<usize>(quad, 3 * sizeof<usize>());
        for (let tap = taps; tap < tapsEnd; tap += sizeof<usize>()) {
          const offset = load<usize>(tap);
          v128.store(target, gather(p0 + offset, p1 + offset, p2 + offset, p3 + offset));
          target += step;
        }
      }
    }
  }
}

/** Packs `columns` taps (a multiple of 8) of `kc` pixels into panels: the transposed matrix. */
export function packTaps(to: usize, pixels: usize, patterns: usize, taps: usize, kc: i32, columns: i32, width: i32): void {
  const step = (<usize>width) << 2;
  for (let j = 0; j < columns; j += 4) {
    const four = taps + <usize>j * sizeof<usize>();
    const t0 = load<usize>(four);
    const t1 = load<usize>(four, sizeof<usize>());
    const t2 = load<usize>(four, 2 * sizeof<usize>());
    const t3 = load<usize>(four, 3 * sizeof<usize>());
    let target = to + ((<usize>((j / width) * width * kc + (j % width))) << 2);
    let pixel = pixels;
    let k = 0;
    if (t1 - t0 === 4 && t2 - t1 === 4 && t3 - t2 === 4) {
      // Four adjacent taps: each pixel's elements are in order already.
      for (; k < kc; k++) {
        v128.store(target, v128.load(load<usize>(pixel) + t0));
        target += step;
        pixel += sizeof<usize>();
      }
    }
    for (; k + 4 <= kc; k += 4) {
      const p = load<usize>(pixel);
      const pattern = load<u8>(patterns + (<usize>k >> 2));
      if (pattern === ADJACENT) {
        storeTransposed(target, step, v128.load(p + t0), v128.load(p + t1), v128.load(p + t2), v128.load(p + t3));
      } else if (pattern === ALTERNATE) {
        storeTransposed(target, step, loadAlternate(p + t0), loadAlternate(p + t1), loadAlternate(p + t2), loadAlternate(p + t3));
      } else {
        v128.store(target, gather(p + t0, p + t1, p + t2, p + t3));
        const p1 = load<usize>(pixel, sizeof<usize>());
        v128.store(target + step, gather(p1 + t0, p1 + t1, p1 + t2, p1 + t3));
        const p2 = load<usize>(pixel, 2 * sizeof<usize>());
        v128.store(target + step * 2, gather(p2 + t0, p2 + t1, p2 + t2, p2 + t3));
        const p3 = load<usize>(pixel, 3 * sizeof<usize>());
        v128.store(target + step * 3, gather(p3 + t0, p3 + t1, p3 + t2, p3 + t3));
      }
      target += step << 2;
      pixel += 4 * sizeof<usize>();
    }
    for (; k < kc; k++) {
      const p = load<usize>(pixel);
      v128.store(target, gather(p + t0, p + t1, p + t2, p + t3));
      target += step;
      pixel += sizeof<usize>();
    }
  }
}
