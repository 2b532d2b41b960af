/**
 * col2im: adds the contribution of every tap of every output pixel to the input pixel that the tap reads. One tap processes all rows before
 * the next tap does, because neighbouring taps update the same elements and dependent additions in close succession would stall.
 */

/** A convolution's window over one plane of its input. */
@unmanaged
class WindowGeometry {
  /** Input channels of a group. */
  channels: i32;
  kh: i32;
  kw: i32;
  h: i32;
  w: i32;
  strideH: i32;
  strideW: i32;
  padTop: i32;
  padLeft: i32;
  dilationH: i32;
  dilationW: i32;
}

export function windowGeometry(at: usize): WindowGeometry {
  return changetype<WindowGeometry>(at);
}

/** A run of output pixels along one row, whose contributions are adjacent. */
@unmanaged
class Run {
  /** Offset in bytes from a channel's plane in the first image to its plane in this image. */
  image: usize;
  row: i32;
  column: i32;
  count: i32;
}

/** Bytes of scratch for the runs of `columns` columns. */
export function runsBytes(columns: i32): usize {
  return <usize>columns * offsetof<Run>();
}

/** Splits columns [first, first + count) of a grid of pixels into runs; images are `step` bytes apart. Returns the runs' end. */
export function splitRuns(to: usize, first: i32, count: i32, gridH: i32, gridW: i32, step: usize): usize {
  const plane = gridH * gridW;
  while (count > 0) {
    const run = changetype<Run>(to);
    run.image = <usize>(first / plane) * step;
    run.row = (first % plane) / gridW;
    run.column = first % gridW;
    run.count = min(gridW - run.column, count);
    first += run.count;
    count -= run.count;
    to += offsetof<Run>();
  }
  return to;
}

/** Adds the contributions of one channel's taps (rows of `tile`, `ld` bytes apart) to the channel's planes. */
export function addShares(plane: usize, tile: usize, ld: usize, g: WindowGeometry, runs: usize, runsEnd: usize): void {
  for (let i = 0; i < g.kh; i++) {
    let j = 0;
    if (g.strideW === 2 && g.dilationW === 1) {
      for (; j + 2 <= g.kw; j += 2) {
        addPair(plane, tile, ld, g, i, j, runs, runsEnd);
        tile += ld << 1;
      }
    }
    for (; j < g.kw; j++) {
      addTap(plane, tile, g, i, j, runs, runsEnd);
      tile += ld;
    }
  }
}

function addTap(plane: usize, tile: usize, g: WindowGeometry, i: i32, j: i32, runs: usize, runsEnd: usize): void {
  const stride = g.strideW;
  for (; runs < runsEnd; runs += offsetof<Run>()) {
    const run = changetype<Run>(runs);
    const y = run.row * g.strideH + i * g.dilationH - g.padTop;
    if (y >= 0 && y < g.h) {
      const x = run.column * stride + j * g.dilationW - g.padLeft;
      const line = plane + run.image + ((<usize>(y * g.w + x)) << 2);
      // Pixels [q, high) of the run lie inside the row.
      let q = x < 0 ? (stride - 1 - x) / stride : 0;
      let high = run.count;
      if (x + (high - 1) * stride >= g.w) high = x < g.w ? (g.w - 1 - x) / stride + 1 : 0;
      if (stride === 1) {
        for (; q + 4 <= high; q += 4) {
          const at = line + ((<usize>q) << 2);
          v128.store(at, f32x4.add(v128.load(at), v128.load(tile + ((<usize>q) << 2))));
        }
      }
      for (; q < high; q++) {
        const at = line + ((<usize>(q * stride)) << 2);
        store<f32>(at, load<f32>(at) + load<f32>(tile + ((<usize>q) << 2)));
      }
    }
    tile += (<usize>run.count) << 2;
  }
}

/** Taps j and j + 1 at stride 2: together they cover one contiguous stretch of the row. */
function addPair(plane: usize, tile: usize, ld: usize, g: WindowGeometry, i: i32, j: i32, runs: usize, runsEnd: usize): void {
  for (; runs < runsEnd; runs += offsetof<Run>()) {
    const run = changetype<Run>(runs);
    const y = run.row * g.strideH + i * g.dilationH - g.padTop;
    if (y >= 0 && y < g.h) {
      const x = run.column * 2 + j - g.padLeft;
      const line = plane + run.image + ((<usize>(y * g.w + x)) << 2);
      let q = 0;
      for (; q < run.count && x + 2 * q < 0; q++) addTwo(line, tile, ld, g.w, x, q);
      for (; q + 4 <= run.count && x + 2 * q + 8 <= g.w; q += 4) {
        const at = line + ((<usize>q) << 3);
        const even = v128.load(tile + ((<usize>q) << 2));
        const odd = v128.load(tile + ld + ((<usize>q) << 2));
        v128.store(at, f32x4.add(v128.load(at), v128.shuffle<f32>(even, odd, 0, 4, 1, 5)));
        v128.store(at, f32x4.add(v128.load(at, 16), v128.shuffle<f32>(even, odd, 2, 6, 3, 7)), 16);
      }
      for (; q < run.count; q++) addTwo(line, tile, ld, g.w, x, q);
    }
    tile += (<usize>run.count) << 2;
  }
}

/** Contributions of pixel q through two taps; the first tap's row begins at `x`. */
function addTwo(line: usize, tile: usize, ld: usize, w: i32, x: i32, q: i32): void {
  const at = line + ((<usize>q) << 3);
  const from = tile + ((<usize>q) << 2);
  x += 2 * q;
  if (x >= 0 && x < w) store<f32>(at, load<f32>(at) + load<f32>(from));
  if (x + 1 >= 0 && x + 1 < w) store<f32>(at, load<f32>(at, 4) + load<f32>(from + ld), 4);
}
