/**
 * Max pooling (with switches) and average pooling from planes x [H, W] to y [OH, OW], for planes [begin, end).
 *
 * Max pooling first computes the maxima along each row, which vertically overlapping windows share, and then the maxima of those. The row
 * maxima are kept in the scratch area, or in registers for small planes, which are processed in strips of four outputs.
 *
 * Average pooling computes outputs whose window lies inside the image horizontally four per step, and those at the left and right border
 * one by one. The last four may overlap the four before; the overlapping results are equal.
 */
import { storeFirst } from './math';
import { scratch } from './scratch';
import { firstLanes } from './softmax_rows';
import { endInside, endWhole, firstInside, firstWhole, gather4 } from './window';

/** Value of the padding around a row in the scratch area. It is never a maximum, so windows need not be clipped. */
const NOTHING: f32 = -Infinity;

/** Widest plane that is processed in strips; for wider planes reading row by row is faster. */
const STRIPS = 32;

/**
 * `switches` is 0 where they are not needed. Padding is never chosen. Of equal values the first is chosen. NaN is propagated, and of
 * several NaNs the last one is the switch. A window without any input element gives −∞ and switch −1.
 *
 * Scratch: one padded row of the image, then for each row of a window its row maxima and their positions.
 */
export function maxPool2d(
  y: usize,
  switches: usize,
  x: usize,
  h: i32,
  w: i32,
  kh: i32,
  kw: i32,
  oh: i32,
  ow: i32,
  strideH: i32,
  strideW: i32,
  padTop: i32,
  padLeft: i32,
  dilationH: i32,
  dilationW: i32,
  begin: i32,
  end: i32,
): void {
  const by2 = (kw === 2 || kw === 3) && strideW === 2 && dilationW === 1;
  const square = by2 && kh === kw && strideH === 2 && dilationH === 1;
  if (square && w <= STRIPS && padTop + padLeft === 0 && ow >= 4 && ow * 2 + kw - 2 <= w && oh * 2 + kh - 2 <= h) {
    for (let plane = begin; plane < end; plane++) {
      const image = x + ((<usize>plane * <usize>h * <usize>w) << 2);
      const to = (<usize>plane * <usize>oh * <usize>ow) << 2;
      for (let i = 0; i < ow; i += 4) maxOfStrip(y + to, switches ? switches + to : 0, image, w, kw, oh, ow, min(i, ow - 4));
    }
    return;
  }
  const extent = dilationH * (kh - 1) + 1;
  const padded = max(padLeft + w, ((ow + 3) & ~3) * strideW + dilationW * (kw - 1)) + 8;
  const rows = scratch + ((<usize>((padded + 3) & ~3)) << 2);
  const pitch = (<usize>((ow + 3) & ~3)) << 2;
  // Whether every window contains a column of the image; with padding and large strides a window may lie outside.
  const seen = dilationW === 1 && padLeft < kw && (ow - 1) * strideW - padLeft < w;
  const ring = rows + <usize>extent * pitch * 2;
  const step = <usize>dilationH * pitch * 2;
  for (let p = scratch; p < rows; p += 16) v128.store(p, f32x4.splat(NOTHING));
  for (let plane = begin; plane < end; plane++) {
    const image = x + ((<usize>plane * <usize>h * <usize>w) << 2);
    let to = (<usize>plane * <usize>oh * <usize>ow) << 2;
    let ready = 0;
    for (let oy = 0; oy < oh; oy++, to += (<usize>ow) << 2) {
      const top = oy * strideH - padTop;
      const kyFrom = firstInside(top, dilationH);
      const kyEnd = endInside(top, dilationH, kh, h);
      let ordinary = true;
      for (ready = max(ready, top); ready < min(h, top + extent); ready++) {
        const row = rows + <usize>(ready % extent) * pitch * 2;
        ordinary = copyOrdinary(scratch + ((<usize>padLeft) << 2), image + ((<usize>(ready * w)) << 2), w) && ordinary;
        const place = ready * w - padLeft;
        if (by2) maxAlongBy2(row, pitch, scratch, place, kw);
        else maxAlong(row, pitch, scratch, place, kw, strideW, dilationW);
      }
      if (!ordinary) {
        ready = 0;
        anyMax(y + to, switches ? switches + to : 0, image, w, top, kyFrom, kyEnd, kw, ow, strideW, padLeft, dilationH, dilationW);
        continue;
      }
      const first = rows + <usize>((top + kyFrom * dilationH) % extent) * pitch * 2;
      if (seen && kyEnd - kyFrom === 3) {
        const second = first + step >= ring ? first + step - (ring - rows) : first + step;
        const third = second + step >= ring ? second + step - (ring - rows) : second + step;
        for (let i = 0; i < ow; i += 4) {
          const offset = (<usize>i) << 2;
          const v0 = v128.load(first + offset);
          const v1 = v128.load(second + offset);
          const best = f32x4.pmax(f32x4.pmax(v0, v1), v128.load(third + offset));
          storeFirst(y + to + offset, best, ow - i);
          if (!switches) continue;
          const later = v128.bitselect(v128.load(second + pitch + offset), v128.load(third + pitch + offset), f32x4.eq(v1, best));
          const place = v128.bitselect(v128.load(first + pitch + offset), later, f32x4.eq(v0, best));
          storeFirst(switches + to + offset, place, ow - i);
        }
        continue;
      }
      for (let i = 0; i < ow; i += 4) {
        const offset = (<usize>i) << 2;
        let best = f32x4.splat(NOTHING);
        let place = i32x4.splat(-1);
        for (let ky = kyFrom, at = first + offset; ky < kyEnd; ky++) {
          const v = v128.load(at);
          place = v128.bitselect(v128.load(at + pitch), place, f32x4.gt(v, best));
          best = f32x4.pmax(best, v);
          at += step;
          if (at >= ring) at -= ring - rows;
        }
        storeFirst(y + to + offset, best, ow - i);
        if (switches) storeFirst(switches + to + offset, place, ow - i);
      }
    }
  }
}

/** Windows of two or three rows and columns, two apart, inside the image: the outputs [ox, ox + 4) of each row. */
function maxOfStrip(y: usize, switches: usize, image: usize, w: i32, k: i32, oh: i32, ow: i32, ox: i32): void {
  const pitch = (<usize>ow) << 2;
  let place = i32x4.add(i32x4.splat(ox * 2), i32x4(0, 2, 4, 6));
  let x = image + ((<usize>ox) << 3);
  y += (<usize>ox) << 2;
  if (switches) switches += (<usize>ox) << 2;
  // For the two rows above: the maxima, their positions, and sums, which show whether NaN or −∞ occurred.
  let best0 = f32x4.splat(NOTHING);
  let best1 = best0;
  let place0 = place;
  let place1 = place;
  let sum0 = f32x4.splat(0);
  let sum1 = sum0;
  for (let row = 0, oy = 0; oy < oh; row++) {
    const a = v128.load(x);
    const b = v128.load(x, 16);
    const v0 = v128.shuffle<f32>(a, b, 0, 2, 4, 6);
    const v1 = v128.shuffle<f32>(a, b, 1, 3, 5, 7);
    let best = f32x4.pmax(v0, v1);
    let sum = f32x4.add(v0, v1);
    if (k === 3) {
      const v2 = v128.shuffle<f32>(v128.load(x, 8), v128.load(x, 24), 0, 2, 4, 6);
      best = f32x4.pmax(best, v2);
      sum = f32x4.add(sum, v2);
    }
    // The position increases by one for each failed comparison (−1) before the first successful one.
    const not0 = f32x4.ne(v0, best);
    const here = i32x4.sub(i32x4.sub(place, not0), v128.and(not0, f32x4.ne(v1, best)));
    if (row === oy * 2 + k - 1) {
      if (i32x4.all_true(f32x4.gt(f32x4.add(f32x4.add(sum0, sum1), sum), f32x4.splat(NOTHING)))) {
        const most = f32x4.pmax(f32x4.pmax(best0, best1), best);
        v128.store(y, most);
        if (switches) {
          const later = v128.bitselect(place1, here, f32x4.eq(best1, most));
          v128.store(switches, v128.bitselect(place0, later, f32x4.eq(best0, most)));
        }
      } else anyMax(y, switches, image, w, oy * 2, 0, k, k, 4, 2, -2 * ox, 1, 1);
      y += pitch;
      if (switches) switches += pitch;
      oy++;
    }
    if (k === 3) {
      best0 = best1;
      place0 = place1;
      sum0 = sum1;
    }
    best1 = best;
    place1 = here;
    sum1 = sum;
    x += (<usize>w) << 2;
    place = i32x4.add(place, i32x4.splat(w));
  }
}

/** Copies n floats. Returns false if NaN or −∞ is among them; these need the slower path. */
function copyOrdinary(to: usize, from: usize, n: i32): bool {
  let above = i32x4.splat(-1);
  let i = 0;
  for (; i + 4 <= n; i += 4) {
    const v = v128.load(from + ((<usize>i) << 2));
    above = v128.and(above, f32x4.gt(v, f32x4.splat(NOTHING)));
    v128.store(to + ((<usize>i) << 2), v);
  }
  if (i < n) {
    const v = v128.load(from + ((<usize>i) << 2));
    above = v128.and(above, v128.or(f32x4.gt(v, f32x4.splat(NOTHING)), v128.not(firstLanes(n - i))));
    storeFirst(to + ((<usize>i) << 2), v, n - i);
  }
  return i32x4.all_true(above);
}

/** Maximum of each window along one padded row, and its position in the plane; `place` is the position of the row's first element. */
function maxAlong(to: usize, pitch: usize, x: usize, place: i32, kw: i32, stride: i32, dilation: i32): void {
  const end = to + pitch;
  let first = i32x4.add(i32x4.splat(place), i32x4.mul(i32x4(0, 1, 2, 3), i32x4.splat(stride)));
  for (; to < end; to += 16, x += (<usize>stride) << 4) {
    let best = gather4(x, stride);
    let here = first;
    let where = here;
    for (let kx = 1, p = x; kx < kw; kx++) {
      p += (<usize>dilation) << 2;
      here = i32x4.add(here, i32x4.splat(dilation));
      const v = gather4(p, stride);
      where = v128.bitselect(here, where, f32x4.gt(v, best));
      best = f32x4.pmax(best, v);
    }
    v128.store(to, best);
    v128.store(to + pitch, where);
    first = i32x4.add(first, i32x4.splat(stride << 2));
  }
}

/** The same for windows of two or three elements at stride 2: the maximum is computed without branches, then its position is found. */
function maxAlongBy2(to: usize, pitch: usize, x: usize, place: i32, kw: i32): void {
  const end = to + pitch;
  let first = i32x4.add(i32x4.splat(place), i32x4(0, 2, 4, 6));
  for (; to < end; to += 16, x += 32) {
    const a = v128.load(x);
    const b = v128.load(x, 16);
    const v0 = v128.shuffle<f32>(a, b, 0, 2, 4, 6);
    const v1 = v128.shuffle<f32>(a, b, 1, 3, 5, 7);
    let best = f32x4.pmax(v0, v1);
    if (kw === 3) best = f32x4.pmax(best, v128.shuffle<f32>(v128.load(x, 8), v128.load(x, 24), 0, 2, 4, 6));
    // The position increases by one for each failed comparison (−1) before the first successful one.
    const not0 = f32x4.ne(v0, best);
    const not1 = v128.and(not0, f32x4.ne(v1, best));
    v128.store(to, best);
    v128.store(to + pitch, i32x4.sub(i32x4.sub(first, not0), not1));
    first = i32x4.add(first, i32x4.splat(8));
  }
}

/** One row of outputs where the image may contain any value, computed one by one. */
function anyMax(
  y: usize,
  switches: usize,
  image: usize,
  w: i32,
  top: i32,
  kyFrom: i32,
  kyEnd: i32,
  kw: i32,
  ow: i32,
  strideW: i32,
  padLeft: i32,
  dilationH: i32,
  dilationW: i32,
): void {
  for (let ox = 0; ox < ow; ox++) {
    const left = ox * strideW - padLeft;
    const kxFrom = firstInside(left, dilationW);
    const kxEnd = endInside(left, dilationW, kw, w);
    let best: f32 = -Infinity;
    let place = kyFrom < kyEnd && kxFrom < kxEnd ? (top + kyFrom * dilationH) * w + left + kxFrom * dilationW : -1;
    for (let ky = kyFrom; ky < kyEnd; ky++) {
      const row = (top + ky * dilationH) * w + left;
      for (let kx = kxFrom; kx < kxEnd; kx++) {
        const here = row + kx * dilationW;
        const value = f32.load(image + ((<usize>here) << 2));
        if (value > best || F32.isNaN(value)) {
          best = value;
          place = here;
        }
      }
    }
    f32.store(y + ((<usize>ox) << 2), best);
    if (switches) i32.store(switches + ((<usize>ox) << 2), place);
  }
}

/**
 * The divisor is PyTorch's: the number of window positions inside input and padding, or inside the input only. A window without any input
 * element gives 0.
 */
export function avgPool2d(
  y: usize,
  x: usize,
  h: i32,
  w: i32,
  kh: i32,
  kw: i32,
  oh: i32,
  ow: i32,
  strideH: i32,
  strideW: i32,
  padTop: i32,
  padLeft: i32,
  padBottom: i32,
  padRight: i32,
  dilationH: i32,
  dilationW: i32,
  countPad: i32,
  begin: i32,
  end: i32,
): void {
  const extent = dilationW * (kw - 1) + 1;
  const first = firstWhole(padLeft, strideW);
  const last = endWhole(w, extent, padLeft, strideW, ow);
  for (let plane = begin; plane < end; plane++) {
    const image = x + ((<usize>plane * <usize>h * <usize>w) << 2);
    for (let oy = 0; oy < oh; oy++) {
      const top = oy * strideH - padTop;
      const kyFrom = firstInside(top, dilationH);
      const kyEnd = endInside(top, dilationH, kh, h);
      const countY = countPad ? endInside(top, dilationH, kh, h + padBottom) : kyEnd - kyFrom;
      const line = y + (((<usize>plane * <usize>oh + <usize>oy) * <usize>ow) << 2);
      let ox = 0;
      while (ox < ow) {
        if (ox >= first && ox < last && last - first >= 4) {
          ox = min(ox, last - 4);
          const left = ox * strideW - padLeft;
          let sum = f32x4.splat(0);
          for (let ky = kyFrom; ky < kyEnd; ky++) {
            let p = image + ((<usize>((top + ky * dilationH) * w + left)) << 2);
            for (let kx = 0; kx < kw; kx++, p += (<usize>dilationW) << 2) sum = f32x4.add(sum, gather4(p, strideW));
          }
          const divisor = countY * kw;
          if (divisor > 0) sum = f32x4.div(sum, f32x4.splat(<f32>divisor));
          v128.store(line + ((<usize>ox) << 2), sum);
          ox += 4;
        } else {
          const left = ox * strideW - padLeft;
          const kxFrom = firstInside(left, dilationW);
          const kxEnd = endInside(left, dilationW, kw, w);
          const countX = countPad ? endInside(left, dilationW, kw, w + padRight) : kxEnd - kxFrom;
          let sum: f32 = 0;
          for (let ky = kyFrom; ky < kyEnd; ky++) {
            const row = (top + ky * dilationH) * w + left;
            for (let kx = kxFrom; kx < kxEnd; kx++) sum += f32.load(image + ((<usize>(row + kx * dilationW)) << 2));
          }
          f32.store(line + ((<usize>ox) << 2), countY > 0 && countX > 0 ? sum / <f32>(countY * countX) : 0);
          ox++;
        }
      }
    }
  }
}

/**
 * Adds each output's gradient, divided as above, to all positions of its window. The gradients of one output row are first spread along a
 * padded row, which is then added to every input row that its windows contain.
 *
 * Scratch, each row `padded` floats: the divisors along a row of outputs, the spread row, and a row of divided gradients preceded by
 * `extent` zeros.
 */
export function avgPool2dGrad(
  dx: usize,
  dy: usize,
  h: i32,
  w: i32,
  kh: i32,
  kw: i32,
  oh: i32,
  ow: i32,
  strideH: i32,
  strideW: i32,
  padTop: i32,
  padLeft: i32,
  padBottom: i32,
  padRight: i32,
  dilationH: i32,
  dilationW: i32,
  countPad: i32,
  begin: i32,
  end: i32,
): void {
  const extent = (dilationW * (kw - 1) + 4) & ~3;
  const padded = (max(padLeft + w, ((ow + 3) & ~3) * strideW + dilationW * (kw - 1)) + 11) & ~3;
  const spread = scratch + ((<usize>padded) << 2);
  const shares = spread + ((<usize>(padded + extent)) << 2);
  memory.fill(spread, 0, (<usize>(2 * padded + extent)) << 2);
  for (let ox = 0; ox < ow; ox++) {
    const left = ox * strideW - padLeft;
    const count = countPad
      ? endInside(left, dilationW, kw, w + padRight)
      : endInside(left, dilationW, kw, w) - firstInside(left, dilationW);
    f32.store(scratch + ((<usize>ox) << 2), <f32>count);
  }
  // One window covers the whole plane, as in global average pooling.
  const all = oh * ow === 1 && dilationH * dilationW === 1 && kh >= padTop + h && kw >= padLeft + w;
  for (let plane = begin; plane < end; plane++) {
    const image = dx + ((<usize>plane * <usize>h * <usize>w) << 2);
    let from = dy + ((<usize>plane * <usize>oh * <usize>ow) << 2);
    if (all) {
      const countY = <f32>(countPad ? min(kh, padTop + h + padBottom) : h);
      fillWith(image, f32x4.splat(f32.load(from) / (f32.load(scratch) * countY)), h * w);
      continue;
    }
    let done = 0; // rows that have been written already
    for (let oy = 0; oy < oh; oy++, from += (<usize>ow) << 2) {
      const top = oy * strideH - padTop;
      const kyFrom = firstInside(top, dilationH);
      const kyEnd = endInside(top, dilationH, kh, h);
      if (kyFrom >= kyEnd) continue;
      const countY = f32x4.splat(<f32>(countPad ? endInside(top, dilationH, kh, h + padBottom) : kyEnd - kyFrom));
      for (let i = 0; i < ow; i += 4) {
        const offset = (<usize>i) << 2;
        const share = f32x4.div(v128.load(from + offset), f32x4.mul(v128.load(scratch + offset), countY));
        storeFirst(shares + offset, share, ow - i);
      }
      spreadRow(spread, shares, padLeft + w, kw, ow, strideW, dilationW);
      // Rows not written yet are overwritten. They need zeros only where this window skips them.
      const bottom = min(h, top + dilationH * (kh - 1) + 1);
      const zeros = dilationH === 1 ? top : bottom;
      if (zeros > done) {
        memory.fill(image + ((<usize>(done * w)) << 2), 0, (<usize>((zeros - done) * w)) << 2);
        done = zeros;
      }
      for (let ky = kyFrom; ky < kyEnd; ky++) {
        const row = top + ky * dilationH;
        takeRow(image + ((<usize>(row * w)) << 2), spread + ((<usize>padLeft) << 2), w, row < done);
      }
      done = max(done, bottom);
    }
    if (done < h) memory.fill(image + ((<usize>(done * w)) << 2), 0, (<usize>((h - done) * w)) << 2);
  }
}

function fillWith(to: usize, v: v128, n: i32): void {
  for (let i = 0; i < n; i += 4) storeFirst(to + ((<usize>i) << 2), v, n - i);
}

/** Stores n floats, or adds them to the present ones. */
function takeRow(to: usize, from: usize, n: i32, add: bool): void {
  for (let i = 0; i < n; i += 4) {
    const offset = (<usize>i) << 2;
    let v = v128.load(from + offset);
    if (add) v = f32x4.add(v128.load(to + offset), v);
    storeFirst(to + offset, v, n - i);
  }
}

/**
 * Computes at least the first n floats of a padded row: each is the sum of the divided gradients whose windows contain it. The row of
 * divided gradients is surrounded by zeros.
 */
function spreadRow(to: usize, shares: usize, n: i32, kw: i32, ow: i32, stride: i32, dilation: i32): void {
  if (stride > 2) {
    memory.fill(to, 0, (<usize>n) << 2);
    for (let ox = 0; ox < ow; ox++, shares += 4, to += (<usize>stride) << 2) {
      for (let kx = 0, p = to; kx < kw; kx++, p += (<usize>dilation) << 2) f32.store(p, f32.load(p) + f32.load(shares));
    }
    return;
  }
  for (let i = 0; i < n; i += stride << 2, shares += 16) {
    let even = f32x4.splat(0);
    let odd = even;
    for (let offset = dilation * (kw - 1); offset >= 0; offset -= dilation) {
      const v = v128.load(shares - ((<usize>(stride === 2 ? offset >> 1 : offset)) << 2));
      if (stride === 2 && offset & 1) odd = f32x4.add(odd, v);
      else even = f32x4.add(even, v);
    }
    const p = to + ((<usize>i) << 2);
    if (stride === 1) v128.store(p, even);
    else {
      v128.store(p, v128.shuffle<f32>(even, odd, 0, 4, 1, 5));
      v128.store(p, v128.shuffle<f32>(even, odd, 2, 6, 3, 7), 16);
    }
  }
}
