/** Copies strided blocks row by row: rows [begin, end) of `length` elements, whose offsets `axes` (odometer.ts) gives. */
import { next, offsetA, offsetB, seek } from './odometer';

/** 32-bit elements. */
export function stridedCopy4(y: usize, x: usize, axes: usize, length: i32, strideY: i32, strideX: i32, begin: i32, end: i32): void {
  const stepY = (<usize>strideY) << 2;
  const stepX = (<usize>strideX) << 2;
  seek(axes, begin);
  for (let r = begin; r < end; r++) {
    let to = y + ((<usize>offsetA) << 2);
    let from = x + ((<usize>offsetB) << 2);
    if (strideY === 1 && strideX === 1) {
      copyRow(to, from, (<usize>length) << 2);
    } else {
      for (let i = 0; i < length; i++, to += stepY, from += stepX) i32.store(to, i32.load(from));
    }
    next();
  }
}

/** `memory.copy` is a call out of the module, so short rows are copied by a loop. */
function copyRow(to: usize, from: usize, bytes: usize): void {
  if (bytes > 512) {
    memory.copy(to, from, bytes);
    return;
  }
  const end = to + bytes;
  for (; to + 16 <= end; to += 16, from += 16) v128.store(to, v128.load(from));
  for (; to < end; to += 4, from += 4) i32.store(to, i32.load(from));
}

/** One-byte elements. */
export function stridedCopy1(y: usize, x: usize, axes: usize, length: i32, strideY: i32, strideX: i32, begin: i32, end: i32): void {
  seek(axes, begin);
  for (let r = begin; r < end; r++) {
    let to = y + <usize>offsetA;
    let from = x + <usize>offsetB;
    if (strideY === 1 && strideX === 1) {
      memory.copy(to, from, length);
    } else {
      for (let i = 0; i < length; i++, to += strideY, from += strideX) store<u8>(to, load<u8>(from));
    }
    next();
  }
}
