/**
 * Iterates over the rows of two strided views in parallel. `axes` points to int32 words written by the host:
 * rank, then for each axis its size, its stride in view A and its stride in view B, in elements, slowest axis first.
 */
import { scratch } from './scratch';

/** Offsets of the current row from the start of each view, in elements. */
export let offsetA: i32 = 0;
export let offsetB: i32 = 0;

let table: usize = 0;
let rank: i32 = 0;

/** Moves to row `index`. The index along each axis is kept in the first 32 bytes of the scratch area. */
export function seek(axes: usize, index: i32): void {
  rank = i32.load(axes);
  table = axes + 4;
  offsetA = 0;
  offsetB = 0;
  for (let axis = rank - 1; axis >= 0; axis--) {
    const entry = table + <usize>axis * 12;
    const size = i32.load(entry);
    const place = index % size;
    index /= size;
    i32.store(scratch + ((<usize>axis) << 2), place);
    offsetA += place * i32.load(entry, 4);
    offsetB += place * i32.load(entry, 8);
  }
}

/** Moves to the next row. */
export function next(): void {
  for (let axis = rank - 1; axis >= 0; axis--) {
    const entry = table + <usize>axis * 12;
    const size = i32.load(entry);
    const place = i32.load(scratch + ((<usize>axis) << 2)) + 1;
    offsetA += i32.load(entry, 4);
    offsetB += i32.load(entry, 8);
    if (place < size) {
      i32.store(scratch + ((<usize>axis) << 2), place);
      return;
    }
    i32.store(scratch + ((<usize>axis) << 2), 0);
    offsetA -= size * i32.load(entry, 4);
    offsetB -= size * i32.load(entry, 8);
  }
}

/** Offset of row `index` in view A; does not move. */
export function offsetOf(axes: usize, index: i32): i32 {
  let offset = 0;
  for (let axis = i32.load(axes) - 1; axis >= 0; axis--) {
    const entry = axes + 4 + <usize>axis * 12;
    const size = i32.load(entry);
    offset += (index % size) * i32.load(entry, 4);
    index /= size;
  }
  return offset;
}
