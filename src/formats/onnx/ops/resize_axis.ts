/** Positions and weights of interpolation along one axis, for all modes of the operator Resize. */
import type { Attributes } from '../decoding/attributes.js';

const MODES = ['nearest', 'linear', 'cubic'] as const;
const NEAREST = ['round_prefer_floor', 'round_prefer_ceil', 'floor', 'ceil'] as const;
const COORDINATES = [
  'half_pixel',
  'half_pixel_symmetric',
  'pytorch_half_pixel',
  'align_corners',
  'asymmetric',
  'tf_half_pixel_for_nn',
  'tf_crop_and_resize',
] as const;

/** How values between the input elements are computed. */
export interface Interpolation {
  mode: (typeof MODES)[number];
  nearest: (typeof NEAREST)[number];
  coordinates: (typeof COORDINATES)[number];
  /** Coefficient of cubic interpolation. */
  cubic: number;
  /** Whether positions outside the input have the weight 0, instead of repeating the element at the edge. */
  excludeOutside: boolean;
}

/** Reads the attributes of Resize. Before opset 11, and for Upsample, coordinates are asymmetric and the nearest element is rounded down. */
export function interpolationOf(attributes: Attributes, opset: number): Interpolation {
  const older = opset < 11;
  return {
    mode: attributes.word('mode', MODES, 'nearest'),
    nearest: attributes.word('nearest_mode', NEAREST, older ? 'floor' : 'round_prefer_floor'),
    coordinates: attributes.word('coordinate_transformation_mode', COORDINATES, older ? 'asymmetric' : 'half_pixel'),
    cubic: attributes.float('cubic_coeff_a', -0.75),
    excludeOutside: attributes.int('exclude_outside', 0) !== 0,
  };
}

/** Size and scale of one axis. */
export interface ResizedAxis {
  inputs: number;
  outputs: number;
  scale: number;
  /** Start and end of the region of interest, as fractions of the axis. */
  roi: readonly [number, number];
}

/** The linear map of one axis. */
export interface AxisMap {
  inputs: number;
  /** For each output, the nearest input element. */
  sources: readonly number[];
  /** Outputs whose position is outside the input; only in mode tf_crop_and_resize. */
  outside: ReadonlySet<number>;
  /** Returns the matrix [outputs, inputs] in row-major order. Rows of outputs outside the input are 0. */
  weights(): Float64Array;
}

/** Returns x / y as float32. Other runtimes compute in float32, and rounding decides which of two elements is the nearest. */
const quotient = (x: number, y: number): number => Math.fround(x / Math.fround(y));

/** Returns the position in the input of an output element. */
function position(
  i: number,
  { inputs, outputs, scale, roi: [start, end] }: ResizedAxis,
  coordinates: Interpolation['coordinates'],
): number {
  switch (coordinates) {
    case 'half_pixel':
      return Math.fround(quotient(i + 0.5, scale) - 0.5);
    case 'half_pixel_symmetric': {
      // If the output size was rounded, the positions are centred.
      const centre = inputs / 2;
      const offset = Math.fround(centre * Math.fround(1 - quotient(outputs, scale * inputs)));
      return Math.fround(offset + Math.fround(quotient(i + 0.5, scale) - 0.5));
    }
    case 'pytorch_half_pixel':
      return outputs > 1 ? Math.fround(quotient(i + 0.5, scale) - 0.5) : 0;
    case 'align_corners':
      return outputs > 1 ? quotient(i * (inputs - 1), outputs - 1) : 0;
    case 'asymmetric':
      return quotient(i, scale);
    case 'tf_half_pixel_for_nn':
      return quotient(i + 0.5, scale);
    case 'tf_crop_and_resize':
      if (outputs === 1) return 0.5 * (start + end) * (inputs - 1);
      return start * (inputs - 1) + (i * (end - start) * (inputs - 1)) / (outputs - 1);
  }
}

function nearestElement(at: number, rule: Interpolation['nearest']): number {
  switch (rule) {
    case 'round_prefer_floor':
      return Math.ceil(at - 0.5);
    case 'round_prefer_ceil':
      return Math.floor(at + 0.5);
    case 'floor':
      return Math.floor(at);
    case 'ceil':
      return Math.ceil(at);
  }
}

/** Returns the weights of neighbouring elements, the first of which has the index ⌊at⌋ − before. */
function neighbours(at: number, { mode, cubic }: Interpolation): { before: number; weights: readonly number[] } {
  const rest = at - Math.floor(at);
  if (mode === 'linear') return { before: 0, weights: [1 - rest, rest] };
  // Keys' cubic convolution kernel at the distances 1 + rest, rest, 1 − rest and 2 − rest.
  const near = (d: number) => ((cubic + 2) * d - (cubic + 3)) * d * d + 1;
  const far = (d: number) => ((cubic * d - 5 * cubic) * d + 8 * cubic) * d - 4 * cubic;
  return { before: 1, weights: [far(1 + rest), near(rest), near(1 - rest), far(2 - rest)] };
}

/** Computes the linear map of one axis. */
export function resizedAxis(axis: ResizedAxis, interpolation: Interpolation): AxisMap {
  const { inputs, outputs } = axis;
  const { mode, nearest, coordinates, excludeOutside } = interpolation;
  const positions = Array.from({ length: outputs }, (_, i) => position(i, axis, coordinates));
  const crops = coordinates === 'tf_crop_and_resize';
  const outside = new Set(positions.flatMap((at, i) => (crops && (at < 0 || at > inputs - 1) ? [i] : [])));
  const inside = (index: number) => Math.min(Math.max(index, 0), inputs - 1);
  const sources = positions.map((at) => inside(nearestElement(at, nearest)));
  const weights = (): Float64Array => {
    const matrix = new Float64Array(outputs * inputs);
    for (const [i, at] of positions.entries()) {
      if (outside.has(i)) continue;
      if (mode === 'nearest') {
        matrix[i * inputs + sources[i]] = 1;
        continue;
      }
      const { before, weights: list } = neighbours(at, interpolation);
      const first = Math.floor(at) - before;
      const kept = list.map((weight, k) => (excludeOutside && inside(first + k) !== first + k ? 0 : weight));
      const total = excludeOutside ? kept.reduce((sum, weight) => sum + weight, 0) : 1;
      for (const [k, weight] of kept.entries()) matrix[i * inputs + inside(first + k)] += weight / total;
    }
    return matrix;
  };
  return { inputs, sources, outside, weights };
}
