/** Max pooling with switches, average pooling and its gradient. One thread per element of the output, which gathers its inputs. */
import type { Backend } from '../../backend.js';
import type { PoolParams } from '../../params.js';
import { flatGroups, type GpuQueue, type Kernel } from '../kernel.js';
import { expect } from './dtype.js';
import { eachElement, fields, memo, ownAll, reads, writes } from './lanes.js';
import { ORDER } from './numeric.js';

/** Sizes of pooling, in the order of `geometryOf`. */
export const POOL_FIELDS: Kernel['params'] = [
  ...fields('u32', 'count'),
  ...fields('i32', 'h', 'w', 'kh', 'kw', 'oh', 'ow', 'strideH', 'strideW', 'padTop', 'padLeft', 'padBottom', 'padRight'),
  ...fields('i32', 'dilationH', 'dilationW', 'countIncludePad'),
];

/** Values of `POOL_FIELDS` for a kernel with one thread for each of `count` elements. */
export function geometryOf(p: PoolParams, count: number): number[] {
  const { h, w, kh, kw, oh, ow, strideH, strideW, padTop, padLeft, padBottom, padRight, dilationH, dilationW } = p;
  const flag = p.countIncludePad ? 1 : 0;
  return [count, h, w, kh, kw, oh, ow, strideH, strideW, padTop, padLeft, padBottom, padRight, dilationH, dilationW, flag];
}

/** The taps of a window that are inside an axis, as in the reference backend. */
const TAPS = `
fn firstInside(start: i32, step: i32) -> i32 { return select((step - 1 - start) / step, 0, start >= 0); }
fn endInside(start: i32, step: i32, count: i32, size: i32) -> i32 {
  return select(0, min(count, (size - start + step - 1) / step), size > start);
}
`;

/** Output element i: its plane, the first row and column of its window, and the taps inside the image. */
const WINDOW = `
  let ox = i32(i % u32(p.ow));
  let line = i / u32(p.ow);
  let oy = i32(line % u32(p.oh));
  let origin = (line / u32(p.oh)) * u32(p.h * p.w);
  let top = oy * p.strideH - p.padTop;
  let left = ox * p.strideW - p.padLeft;
  let kyFrom = firstInside(top, p.dilationH);
  let kyEnd = endInside(top, p.dilationH, p.kh, p.h);
  let kxFrom = firstInside(left, p.dilationW);
  let kxEnd = endInside(left, p.dilationW, p.kw, p.w);
`;

/**
 * Input element i: its plane, row and column, and the windows that may cover it. `tapOf` returns whether a window that starts `distance`
 * before the element has a tap there. The windows are visited in row-major order, which fixes the order of sums.
 */
export const COVERING = `
fn firstCovering(place: i32, extent: i32, stride: i32) -> i32 { return select((place - extent + stride) / stride, 0, place < extent); }
fn hasTap(distance: i32, dilation: i32) -> bool { return distance % dilation == 0; }
`;

export const COVERED = `
  let column = i32(i % u32(p.w)) + p.padLeft;
  let line = i / u32(p.w);
  let row = i32(line % u32(p.h)) + p.padTop;
  let outputs = (line / u32(p.h)) * u32(p.oh * p.ow);
  let oyFrom = firstCovering(row, p.dilationH * (p.kh - 1) + 1, p.strideH);
  let oyEnd = min(p.oh, row / p.strideH + 1);
  let oxFrom = firstCovering(column, p.dilationW * (p.kw - 1) + 1, p.strideW);
  let oxEnd = min(p.ow, column / p.strideW + 1);
`;

/** Compares and copies bits: NaN is the largest value, and a later NaN replaces an earlier one, as in PyTorch. */
const maxPool = memo(
  (switches: 'switches' | ''): Kernel => ({
    name: 'maxPool2d',
    key: switches,
    buffers: [writes('y', 'u32'), ...(switches ? [writes('switches', 'i32')] : []), reads('x', 'u32')],
    params: POOL_FIELDS,
    code: () =>
      ORDER +
      TAPS +
      eachElement(`${WINDOW}
  var best = 0xff800000u; // minus infinity
  var most = 0u;
  var place = -1;
  for (var ky = kyFrom; ky < kyEnd; ky++) {
    let start = (top + ky * p.dilationH) * p.w + left;
    for (var kx = kxFrom; kx < kxEnd; kx++) {
      let here = start + kx * p.dilationW;
      let value = x[origin + u32(here)];
      let rank = order(value);
      if (rank > most || rank == NAN_ORDER) {
        most = rank;
        best = value;
        place = here;
      }
    }
  }
  y[i] = best;
  ${switches ? 'switches[i] = place;' : ''}`),
  }),
);

/** Divisor of a window: the number of elements within input and padding, or within the input. */
const SHARE = `
fn share(top: i32, left: i32) -> i32 {
  var countY = endInside(top, p.dilationH, p.kh, p.h + select(0, p.padBottom, p.countIncludePad == 1));
  var countX = endInside(left, p.dilationW, p.kw, p.w + select(0, p.padRight, p.countIncludePad == 1));
  if (p.countIncludePad == 0) {
    countY -= firstInside(top, p.dilationH);
    countX -= firstInside(left, p.dilationW);
  }
  return select(0, countY * countX, countY > 0 && countX > 0);
}
`;

/** Sums each row of the window before adding it, so that large windows round less. A window without elements gives 0. */
const avgPool: Kernel = {
  name: 'avgPool2d',
  key: '',
  buffers: [writes('y'), reads('x')],
  params: POOL_FIELDS,
  code: () =>
    TAPS +
    SHARE +
    eachElement(`${WINDOW}
  var sum = 0.0;
  for (var ky = kyFrom; ky < kyEnd; ky++) {
    let start = i32(origin) + (top + ky * p.dilationH) * p.w + left;
    var part = 0.0;
    for (var kx = kxFrom; kx < kxEnd; kx++) { part += x[start + kx * p.dilationW]; }
    sum += part;
  }
  let divisor = share(top, left);
  y[i] = select(0.0, sum / f32(max(divisor, 1)), divisor > 0);`),
};

const avgPoolGrad: Kernel = {
  name: 'avgPool2dGrad',
  key: '',
  buffers: [writes('dx'), reads('dy')],
  params: POOL_FIELDS,
  code: () =>
    TAPS +
    SHARE +
    COVERING +
    eachElement(`${COVERED}
  var sum = 0.0;
  for (var oy = oyFrom; oy < oyEnd; oy++) {
    if (!hasTap(row - oy * p.strideH, p.dilationH)) { continue; }
    for (var ox = oxFrom; ox < oxEnd; ox++) {
      if (!hasTap(column - ox * p.strideW, p.dilationW)) { continue; }
      let divisor = share(oy * p.strideH - p.padTop, ox * p.strideW - p.padLeft);
      sum += dy[outputs + u32(oy * p.ow + ox)] / f32(max(divisor, 1));
    }
  }
  dx[i] = sum;`),
};

export const pool2d = (queue: GpuQueue): Pick<Backend, 'maxPool2d' | 'avgPool2d' | 'avgPool2dGrad'> => ({
  maxPool2d(y, switches, x, p) {
    expect('maxPool2d', 'float32', y, x);
    expect('maxPool2d', 'int32', switches);
    const storages = ownAll(queue, switches === null ? [y, x] : [y, switches, x]);
    if (y.size > 0) queue.launch(maxPool(switches === null ? '' : 'switches'), storages, geometryOf(p, y.size), flatGroups(y.size));
  },

  avgPool2d(y, x, p) {
    expect('avgPool2d', 'float32', y, x);
    if (y.size > 0) queue.launch(avgPool, [queue.own(y), queue.own(x)], geometryOf(p, y.size), flatGroups(y.size));
  },

  avgPool2dGrad(dx, dy, p) {
    expect('avgPool2dGrad', 'float32', dx, dy);
    if (dx.size > 0) queue.launch(avgPoolGrad, [queue.own(dx), queue.own(dy)], geometryOf(p, dx.size), flatGroups(dx.size));
  },
});
