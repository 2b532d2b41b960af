/**
 * Packing of B for the micro-kernels: panels of `width` columns (16 or 8) that hold, for every k, the panel's columns side by side.
 * Missing columns of the last panel are zeros. Strides are in bytes.
 */
import { scratch } from '../scratch';

/** Prefetches rows into the cache. Many cache lines are requested at once, where the packing loop would wait for one after another. */
export function touch(from: usize, rows: i32, ld: usize, bytes: usize): void {
  let seen: i32 = 0;
  for (let i = 0; i < rows; i++) {
    const row = from + <usize>i * ld;
    for (let at = row; at < row + bytes; at += 64) seen |= load<i32>(at);
  }
  store<i32>(scratch, seen);
}

/** Transposes four vectors of one row each into four of one column each; stores them `step` bytes apart. */
export function storeTransposed(to: usize, step: usize, r0: v128, r1: v128, r2: v128, r3: v128): void {
  const low01 = v128.shuffle<f32>(r0, r1, 0, 4, 1, 5);
  const low23 = v128.shuffle<f32>(r2, r3, 0, 4, 1, 5);
  const high01 = v128.shuffle<f32>(r0, r1, 2, 6, 3, 7);
  const high23 = v128.shuffle<f32>(r2, r3, 2, 6, 3, 7);
  v128.store(to, v128.shuffle<f32>(low01, low23, 0, 1, 4, 5));
  v128.store(to + step, v128.shuffle<f32>(low01, low23, 2, 3, 6, 7));
  to += step << 1;
  v128.store(to, v128.shuffle<f32>(high01, high23, 0, 1, 4, 5));
  v128.store(to + step, v128.shuffle<f32>(high01, high23, 2, 3, 6, 7));
}

/** Loads one vector from four addresses. */
export function gather(p0: usize, p1: usize, p2: usize, p3: usize): v128 {
  let v = v128.load32_zero(p0);
  v = v128.load_lane<f32>(p1, v, 1);
  v = v128.load_lane<f32>(p2, v, 2);
  return v128.load_lane<f32>(p3, v, 3);
}

/** Packs B [kc, n], row by row so that a large B is read from memory in long runs. */
export function packRows(to: usize, panel: usize, b: usize, ldb: usize, kc: i32, n: i32, width: i32): void {
  const step = (<usize>width) << 2;
  for (let k = 0; k < kc; k++) {
    let from = b + <usize>k * ldb;
    let at = to + <usize>k * step;
    let j = 0;
    for (; j + width <= n; j += width) {
      v128.store(at, v128.load(from));
      v128.store(at, v128.load(from, 16), 16);
      if (width === 16) {
        v128.store(at, v128.load(from, 32), 32);
        v128.store(at, v128.load(from, 48), 48);
      }
      from += step;
      at += panel;
    }
    if (j < n) {
      for (let i = 0; i < width; i++) {
        store<f32>(at + ((<usize>i) << 2), j + i < n ? load<f32>(from + ((<usize>i) << 2)) : 0);
      }
    }
  }
}

/** Packs a B that is stored transposed, as [n, kc]. */
export function packTransposed(to: usize, panel: usize, b: usize, ldb: usize, kc: i32, n: i32, width: i32): void {
  const step = (<usize>width) << 2;
  for (let j = 0; j < n; j += width) {
    for (let g = 0; g < width; g += 4) {
      let at = to + <usize>(j / width) * panel + ((<usize>g) << 2);
      const left = n - j - g;
      if (left >= 4) {
        let r0 = b + <usize>(j + g) * ldb;
        let r1 = r0 + ldb;
        let r2 = r1 + ldb;
        let r3 = r2 + ldb;
        let k = 0;
        for (; k + 4 <= kc; k += 4) {
          storeTransposed(at, step, v128.load(r0), v128.load(r1), v128.load(r2), v128.load(r3));
          r0 += 16;
          r1 += 16;
          r2 += 16;
          r3 += 16;
          at += step << 2;
        }
        for (; k < kc; k++) {
          v128.store(at, gather(r0, r1, r2, r3));
          r0 += 4;
          r1 += 4;
          r2 += 4;
          r3 += 4;
          at += step;
        }
      } else {
        for (let k = 0; k < kc; k++) {
          for (let i = 0; i < 4; i++) {
            store<f32>(at + ((<usize>i) << 2), i < left ? load<f32>(b + <usize>(j + g + i) * ldb + ((<usize>k) << 2)) : 0);
          }
          at += step;
        }
      }
    }
  }
}
