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
  const common = kh === 3 && kw === 3 && strideW === 2 && dilationH === 1 && dilationW === 1;
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
          const o = (line + <usize>ox) << 2;
          const corner = (top + kyFrom * dilationH) * w + left;
          ox += 4;
          if (common && kyEnd - kyFrom === 3 && maxOf3x3(y + o, switches ? switches + o : 0, image, corner, w)) continue;
          let best = f32x4.splat(-Infinity);
          // Each lane's place in the plane, of the first tap to begin with.
          const lanes = i32x4.mul(i32x4(0, 1, 2, 3), i32x4.splat(strideW));
          let place = kyFrom < kyEnd ? i32x4.add(lanes, i32x4.splat(corner)) : i32x4.splat(-1);
          for (let ky = kyFrom; ky < kyEnd; ky++) {
            let here = (top + ky * dilationH) * w + left;
            for (let kx = 0; kx < kw; kx++, here += dilationW) {
              const v = gather4(image + ((<usize>here) << 2), strideW);
              const wins = v128.or(f32x4.gt(v, best), f32x4.ne(v, v));
              best = v128.bitselect(v, best, wins);
              place = v128.bitselect(i32x4.add(lanes, i32x4.splat(here)), place, wins);
            }
          }
          v128.store(y + o, best);
          if (switches) v128.store(switches + o, place);
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
 * The same for four 3×3 windows two columns apart, of which the first begins at place `corner`: the nine values of each are compared
 * without a choice in between, and then looked for. False, with nothing written, if there is a NaN among them (or ∞ and −∞).
 */
function maxOf3x3(y: usize, switches: usize, image: usize, corner: i32, w: i32): bool {
  const row0 = image + ((<usize>corner) << 2);
  const row1 = row0 + ((<usize>w) << 2);
  const row2 = row1 + ((<usize>w) << 2);
  let a = v128.load(row0);
  let b = v128.load(row0, 16);
  const v00 = v128.shuffle<f32>(a, b, 0, 2, 4, 6);
  const v01 = v128.shuffle<f32>(a, b, 1, 3, 5, 7);
  const v02 = v128.shuffle<f32>(v00, v128.load(row0, 20), 1, 2, 3, 7);
  a = v128.load(row1);
  b = v128.load(row1, 16);
  const v10 = v128.shuffle<f32>(a, b, 0, 2, 4, 6);
  const v11 = v128.shuffle<f32>(a, b, 1, 3, 5, 7);
  const v12 = v128.shuffle<f32>(v10, v128.load(row1, 20), 1, 2, 3, 7);
  a = v128.load(row2);
  b = v128.load(row2, 16);
  const v20 = v128.shuffle<f32>(a, b, 0, 2, 4, 6);
  const v21 = v128.shuffle<f32>(a, b, 1, 3, 5, 7);
  const v22 = v128.shuffle<f32>(v20, v128.load(row2, 20), 1, 2, 3, 7);
  const sum = f32x4.add(f32x4.add(sum3(v00, v01, v02), sum3(v10, v11, v12)), sum3(v20, v21, v22));
  if (v128.any_true(f32x4.ne(sum, sum))) return false;
  // Of equal values (0 and -0 are), `pmax` keeps the first.
  const best = f32x4.pmax(f32x4.pmax(max3(v00, v01, v02), max3(v10, v11, v12)), max3(v20, v21, v22));
  v128.store(y, best);
  if (switches) {
    // Backwards, so that the first place has the last word.
    const next = i32x4.splat(1);
    const below = i32x4.splat(w - 2);
    let here = i32x4.add(i32x4.splat(corner + 2 * w + 2), i32x4(0, 2, 4, 6));
    let place = here;
    here = i32x4.sub(here, next);
    place = v128.bitselect(here, place, f32x4.eq(v21, best));
    here = i32x4.sub(here, next);
    place = v128.bitselect(here, place, f32x4.eq(v20, best));
    here = i32x4.sub(here, below);
    place = v128.bitselect(here, place, f32x4.eq(v12, best));
    here = i32x4.sub(here, next);
    place = v128.bitselect(here, place, f32x4.eq(v11, best));
    here = i32x4.sub(here, next);
    place = v128.bitselect(here, place, f32x4.eq(v10, best));
    here = i32x4.sub(here, below);
    place = v128.bitselect(here, place, f32x4.eq(v02, best));
    here = i32x4.sub(here, next);
    place = v128.bitselect(here, place, f32x4.eq(v01, best));
    here = i32x4.sub(here, next);
    place = v128.bitselect(here, place, f32x4.eq(v00, best));
    v128.store(switches, place);
  }
  return true;
}

function sum3(a: v128, b: v128, c: v128): v128 {
  return f32x4.add(f32x4.add(a, b), c);
}

function max3(a: v128, b: v128, c: v128): v128 {
  return f32x4.pmax(f32x4.pmax(a, b), c);
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
