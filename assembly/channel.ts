/** Adds a bias per channel to [n, channels, inner]. Its gradient is a reduction; see `channelSum` in src/backend/wasm/channel.ts. */
import { storeFirst } from './math';

/** y[n, c, inner] += b[c] in place, for planes [begin, end) of n · channels. */
export function channelAdd(y: usize, b: usize, channels: i32, inner: i32, begin: i32, end: i32): void {
  for (let plane = begin; plane < end; plane++) {
    const v = v128.load32_splat(b + ((<usize>(plane % channels)) << 2));
    const p = y + ((<usize>plane * <usize>inner) << 2);
    for (let i = 0; i < inner; i += 4) {
      const at = p + ((<usize>i) << 2);
      storeFirst(at, f32x4.add(v128.load(at), v), inner - i);
    }
  }
}

/** The same kernel for inner = 1: y[n, channels] += b in place, for rows [begin, end). */
export function rowAdd(y: usize, b: usize, channels: i32, begin: i32, end: i32): void {
  for (let row = begin; row < end; row++) {
    const p = y + ((<usize>row * <usize>channels) << 2);
    for (let i = 0; i < channels; i += 4) {
      const offset = (<usize>i) << 2;
      storeFirst(p + offset, f32x4.add(v128.load(p + offset), v128.load(b + offset)), channels - i);
    }
  }
}
