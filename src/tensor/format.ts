/** Formatting of the elements of a tensor as nested lists, for `toString()`. */
import type { TypedArray } from '../backend/backend.js';

/** Elements shown at each end of an axis. */
const EDGE = 3;
/** Significant digits of a number. */
const DIGITS = 5;

const format = (value: number): string => String(Number.isInteger(value) ? value : Number(value.toPrecision(DIGITS)));

/** Returns the elements as nested lists; an axis with more than six elements shows its first and last three. */
export function formatElements(data: TypedArray, shape: readonly number[], start = 0): string {
  if (shape.length === 0) return format(data[start]);
  const [extent, ...rest] = shape;
  const step = rest.reduce((product, each) => product * each, 1);
  const item = (i: number) => formatElements(data, rest, start + i * step);
  const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => item(from + i));
  const items = extent <= 2 * EDGE ? range(0, extent) : [...range(0, EDGE), '…', ...range(extent - EDGE, extent)];
  return `[${items.join(', ')}]`;
}
