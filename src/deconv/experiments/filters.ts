/** Measures of a convolution's filters, computed from the weights alone (paper, Fig. 6): size, spatial frequencies and aliasing. */
import { filterRms } from '../../analysis/standing_out.js';
import { arrayOf, checkArgument, finite, integer } from '../../backend/validate.js';
import { aTensor } from '../../nn/rules.js';
import { ShapeError, type Tensor } from '../../tensor/index.js';

/** Shares of a filter's energy by spatial frequency, which sum to 1. `BAND_LIMITS` separates the bands. */
export interface Bands {
  /** Share below the first limit of `BAND_LIMITS`: uniform colour and slow gradients. */
  low: number;
  /** Share between the two limits: edges and stripes, which the paper wants first layers to cover. */
  mid: number;
  /** Share above the second limit, up to the finest stripes that pixels can show. */
  high: number;
}

/** Measures of one filter. */
export interface FilterMeasures {
  /** Index of the filter, which is that of the map it computes, from 0. */
  map: number;
  /** Root mean square of the filter's weights. */
  rms: number;
  /** Mean frequency weighted by energy, in cycles per pixel: 0 for a uniform filter, 0.5 for the finest stripes along an axis. */
  frequency: number;
  /** How the filter's energy is divided between low, middle and high frequencies. */
  bands: Bands;
  /**
   * Aliasing: share of the energy of the filter's responses to natural images above the Nyquist frequency of the stride, which therefore
   * appears as coarser patterns. Natural images have a power of about 1 / f² (Field 1987); a stride of s represents frequencies up to
   * 1 / (2 s) cycles per pixel along each axis.
   */
  aliasing: number;
}

/** Lower limits of the bands in cycles per pixel: `low` is up to 1/8, `mid` from 1/8 on, `high` from 1/4 on. */
export const BAND_LIMITS = { mid: 1 / 8, high: 1 / 4 } as const;

/** Number of frequencies along an axis. Filters of all sizes are compared on the same grid. */
const GRID = 32;

/**
 * Root mean square, frequencies and aliasing of every filter of a convolution.
 *
 * @example const [{ frequency, aliasing }] = await filterMeasures(model.stateDict()['conv1.weight'], [2, 2]);
 * @param weight [maps, channels, height, width]
 * @param stride of the layer, [vertical, horizontal]
 * @throws ShapeError for weights of another rank than 4
 */
export async function filterMeasures(weight: Tensor, stride: readonly [number, number]): Promise<FilterMeasures[]> {
  checkArgument('filterMeasures', 'weight', weight, aTensor);
  if (weight.rank !== 4)
    throw new ShapeError(`filterMeasures: weight has shape [${weight.shape}], expected [maps, channels, height, width]`);
  checkArgument('filterMeasures', 'stride', stride, arrayOf(integer(1), 2, 2));
  const [maps, channels, height, width] = weight.shape;
  const values = Float64Array.from(await weight.data());
  const sizes = filterRms(values, maps);
  const [rows, columns] = [waves(height), waves(width)];
  return Array.from({ length: maps }, (_, map) => {
    const own = values.subarray(map * channels * height * width, (map + 1) * channels * height * width);
    const power = new Float64Array(GRID * GRID);
    for (let c = 0; c < channels; c++)
      addPower(power, own.subarray(c * height * width, (c + 1) * height * width), height, width, rows, columns);
    return { map, rms: sizes[map], ...spectrumMeasures(power, stride) };
  });
}

/** Signed frequency of an index of the grid, in cycles per pixel: −1/2 to 1/2. */
const frequencyOf = (place: number): number => (place < GRID / 2 ? place : place - GRID) / GRID;

function spectrumMeasures(power: Float64Array, stride: readonly [number, number]): Omit<FilterMeasures, 'map' | 'rms'> {
  const bands: Bands = { low: 0, mid: 0, high: 0 };
  let [total, weighted, answered, aliased] = [0, 0, 0, 0];
  power.forEach((energy, at) => {
    const [fy, fx] = [frequencyOf(Math.floor(at / GRID)), frequencyOf(at % GRID)];
    const frequency = Math.hypot(fy, fx);
    total += energy;
    weighted += energy * frequency;
    bands[bandOf(frequency)] += energy;
    if (frequency === 0) return;
    const answer = energy / frequency ** 2;
    answered += answer;
    if (Math.abs(fy) > 1 / (2 * stride[0]) || Math.abs(fx) > 1 / (2 * stride[1])) aliased += answer;
  });
  const share = (part: number, of: number) => (of > 0 ? part / of : 0);
  return {
    frequency: share(weighted, total),
    bands: { low: share(bands.low, total), mid: share(bands.mid, total), high: share(bands.high, total) },
    aliasing: share(aliased, answered),
  };
}

/** The band of a frequency in cycles per pixel. */
export function bandOf(frequency: number): keyof Bands {
  checkArgument('bandOf', 'frequency', frequency, finite(0));
  return frequency < BAND_LIMITS.mid ? 'low' : frequency < BAND_LIMITS.high ? 'mid' : 'high';
}

/** cos and sin of 2π · frequency · pixel: [GRID, pixels] each. */
function waves(pixels: number): { cos: Float64Array; sin: Float64Array } {
  const angle = (i: number) => (2 * Math.PI * Math.floor(i / pixels) * (i % pixels)) / GRID;
  return {
    cos: Float64Array.from({ length: GRID * pixels }, (_, i) => Math.cos(angle(i))),
    sin: Float64Array.from({ length: GRID * pixels }, (_, i) => Math.sin(angle(i))),
  };
}

/** Adds the power spectrum of one channel (discrete Fourier transform, zero-padded to the grid) to `power`. */
function addPower(
  power: Float64Array,
  values: ArrayLike<number>,
  height: number,
  width: number,
  rows: ReturnType<typeof waves>,
  columns: ReturnType<typeof waves>,
): void {
  for (let u = 0; u < GRID; u++) {
    // Transform along the columns first: [width] complex values.
    const real = new Float64Array(width);
    const imaginary = new Float64Array(width);
    for (let y = 0; y < height; y++) {
      const [cos, sin] = [rows.cos[u * height + y], rows.sin[u * height + y]];
      for (let x = 0; x < width; x++) {
        real[x] += values[y * width + x] * cos;
        imaginary[x] -= values[y * width + x] * sin;
      }
    }
    for (let v = 0; v < GRID; v++) {
      let [re, im] = [0, 0];
      for (let x = 0; x < width; x++) {
        const [cos, sin] = [columns.cos[v * width + x], columns.sin[v * width + x]];
        re += real[x] * cos + imaginary[x] * sin;
        im += imaginary[x] * cos - real[x] * sin;
      }
      power[u * GRID + v] += re * re + im * im;
    }
  }
}
