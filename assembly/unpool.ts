/** Unpooling by switches and its gradient, for planes [begin, end). A switch outside its plane is ignored. */

/**
 * Writes each value of y [planes, inner] at its switch in x [planes, outer], and zeros elsewhere. With `sum`, values with the same switch
 * are added.
 */
export function maxUnpool2d(x: usize, y: usize, switches: usize, inner: i32, outer: i32, sum: i32, begin: i32, end: i32): void {
  const planeSize = (<usize>outer) << 2;
  for (let plane = begin; plane < end; plane++) {
    const image = x + <usize>plane * planeSize;
    memory.fill(image, 0, planeSize);
    const start = (<usize>plane * <usize>inner) << 2;
    if (sum) addAt(image, outer, y + start, switches + start, inner);
    else storeAt(image, outer, y + start, switches + start, inner);
  }
}

function addAt(image: usize, outer: u32, y: usize, switches: usize, inner: i32): void {
  const end = y + ((<usize>inner) << 2);
  for (; y < end; y += 4, switches += 4) {
    const place = load<u32>(switches);
    if (place >= outer) continue;
    const p = image + ((<usize>place) << 2);
    f32.store(p, f32.load(p) + f32.load(y));
  }
}

function storeAt(image: usize, outer: u32, y: usize, switches: usize, inner: i32): void {
  const end = y + ((<usize>inner) << 2);
  for (; y < end; y += 4, switches += 4) {
    const place = load<u32>(switches);
    if (place < outer) f32.store(image + ((<usize>place) << 2), f32.load(y));
  }
}

/** dy [planes, inner] = dx [planes, outer] at the switches. */
export function maxUnpool2dGrad(dy: usize, dx: usize, switches: usize, inner: i32, outer: i32, begin: i32, end: i32): void {
  for (let plane = begin; plane < end; plane++) {
    const image = dx + ((<usize>plane * <usize>outer) << 2);
    const start = (<usize>plane * <usize>inner) << 2;
    for (let i = 0; i < inner; i++) {
      const offset = start + ((<usize>i) << 2);
      const place = <u32>i32.load(switches + offset);
      f32.store(dy + offset, place < <u32>outer ? f32.load(image + ((<usize>place) << 2)) : 0);
    }
  }
}
