/**
 * Max pooling with its switches and average pooling, of planes x [H, W] to y [OH, OW], planes [begin, end).
 *
 * Outputs whose window lies inside the image horizontally are computed four at a time; the others, at the left and right
 * border, one by one. The last four may overlap the four before them: they come out the same.
 */
import { endInside, endWhole, firstInside, firstWhole, gather4 } from './window';

/**
 * switches is 0 where they are not wanted. Padding never wins, the first of equal values does, NaN passes through and the
 * last of several is the switch. A window that sees nothing gives −∞ and the switch −1.
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
  const reach = dilationW * (kw - 1) + 1;
  const first = firstWhole(padLeft, strideW);
  const last = endWhole(w, reach, padLeft, strideW, ow);
  for (let plane = begin; plane < end; plane++) {
    const image = x + ((<usize>plane * <usize>h * <usize>w) << 2);
    for (let oy = 0; oy < oh; oy++) {
      const top = oy * strideH - padTop;
      const kyFrom = firstInside(top, dilationH);
      const kyEnd = endInside(top, dilationH, kh, h);
      const line = (<usize>plane * <usize>oh + <usize>oy) * <usize>ow;
      let ox = 0;
      while (ox < ow) {
        if (ox >= first && ox < last && last - first >= 4) {
          ox = min(ox, last - 4);
          const left = ox * strideW - padLeft;
          let best = f32x4.splat(-Infinity);
          // Each lane's place in the plane, of the first tap to begin with.
          const lanes = i32x4.mul(i32x4(0, 1, 2, 3), i32x4.splat(strideW));
          let place = kyFrom < kyEnd ? i32x4.add(lanes, i32x4.splat((top + kyFrom * dilationH) * w + left)) : i32x4.splat(-1);
          for (let ky = kyFrom; ky < kyEnd; ky++) {
            let here = (top + ky * dilationH) * w + left;
            for (let kx = 0; kx < kw; kx++, here += dilationW) {
              const v = gather4(image + ((<usize>here) << 2), strideW);
              const wins = v128.or(f32x4.gt(v, best), f32x4.ne(v, v));
              best = v128.bitselect(v, best, wins);
              place = v128.bitselect(i32x4.add(lanes, i32x4.splat(here)), place, wins);
            }
          }
          const o = (line + <usize>ox) << 2;
          v128.store(y + o, best);
          if (switches) v128.store(switches + o, place);
          ox += 4;
        } else {
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
          const o = (line + <usize>ox) << 2;
          f32.store(y + o, best);
          if (switches) i32.store(switches + o, place);
          ox++;
        }
      }
    }
  }
}

/**
 * The divisor is PyTorch's: the places of the window within input and padding, or within the input alone. A window that sees
 * nothing gives 0.
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
  const reach = dilationW * (kw - 1) + 1;
  const first = firstWhole(padLeft, strideW);
  const last = endWhole(w, reach, padLeft, strideW, ow);
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

/** Every output's gradient, divided as above, added to the places that its window saw. */
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
  const planeSize = (<usize>h * <usize>w) << 2;
  for (let plane = begin; plane < end; plane++) {
    const image = dx + <usize>plane * planeSize;
    memory.fill(image, 0, planeSize);
    let from = dy + ((<usize>plane * <usize>oh * <usize>ow) << 2);
    for (let oy = 0; oy < oh; oy++) {
      const top = oy * strideH - padTop;
      const kyFrom = firstInside(top, dilationH);
      const kyEnd = endInside(top, dilationH, kh, h);
      const countY = countPad ? endInside(top, dilationH, kh, h + padBottom) : kyEnd - kyFrom;
      for (let ox = 0; ox < ow; ox++, from += 4) {
        const left = ox * strideW - padLeft;
        const kxFrom = firstInside(left, dilationW);
        const kxEnd = endInside(left, dilationW, kw, w);
        const countX = countPad ? endInside(left, dilationW, kw, w + padRight) : kxEnd - kxFrom;
        const share = f32.load(from) / <f32>(countY * countX);
        for (let ky = kyFrom; ky < kyEnd; ky++) {
          const row = (top + ky * dilationH) * w + left;
          for (let kx = kxFrom; kx < kxEnd; kx++) {
            const p = image + ((<usize>(row + kx * dilationW)) << 2);
            f32.store(p, f32.load(p) + share);
          }
        }
      }
    }
  }
}
