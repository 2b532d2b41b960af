/**
 * Convolutions and input gradients as dense gathers, so that one kernel computes both.
 *
 * A gather computes a grid of elements of an output plane. Grid row g, with tap t, reads source row source0 + g · sourceStep + t · tapStep
 * and is output row out0 + g · outStep; columns likewise. Elements outside the source are zeros.
 */
import type { ConvParams } from '../../params.js';

/** A gather along one axis. */
export interface GatherAxis {
  /** Rows of the grid. */
  readonly grid: number;
  /** Number of taps. */
  readonly taps: number;
  /** Kernel row of the first tap, and distance of the others. */
  readonly tap0: number;
  readonly tapEvery: number;
  readonly source0: number;
  readonly sourceStep: number;
  readonly tapStep: number;
  readonly out0: number;
  readonly outStep: number;
}

/** A gather of images [images, groups · channels, sourceH, sourceW] to [images, groups · rows, outH, outW]. */
export interface Gather {
  readonly images: number;
  readonly groups: number;
  /** Output channels and source channels per group. */
  readonly rows: number;
  readonly channels: number;
  readonly y: GatherAxis;
  readonly x: GatherAxis;
  readonly sourceH: number;
  readonly sourceW: number;
  readonly outH: number;
  readonly outW: number;
  /** Distance in the weights between groups, output channels and source channels. */
  readonly weightGroup: number;
  readonly weightRow: number;
  readonly weightChannel: number;
  readonly kernelW: number;
}

/** Returns a forward convolution as a gather. */
export function forwardGather(p: ConvParams): Gather {
  const axis = (grid: number, taps: number, pad: number, stride: number, dilation: number): GatherAxis => ({
    grid,
    taps,
    tap0: 0,
    tapEvery: 1,
    source0: -pad,
    sourceStep: stride,
    tapStep: dilation,
    out0: 0,
    outStep: 1,
  });
  const [rows, channels, taps] = [p.o / p.groups, p.c / p.groups, p.kh * p.kw];
  return {
    images: p.n,
    groups: p.groups,
    rows,
    channels,
    y: axis(p.oh, p.kh, p.padTop, p.strideH, p.dilationH),
    x: axis(p.ow, p.kw, p.padLeft, p.strideW, p.dilationW),
    sourceH: p.h,
    sourceW: p.w,
    outH: p.oh,
    outW: p.ow,
    weightGroup: rows * channels * taps,
    weightRow: channels * taps,
    weightChannel: taps,
    kernelW: p.kw,
  };
}

const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b));

/**
 * Returns the phases of an input gradient along one axis. Phase r computes the input rows r, r + stride, r + 2 · stride, …: they use the same
 * kernel rows, those whose distance from r + pad is a multiple of the stride, and read consecutive rows of dy.
 */
export function gradientPhases(size: number, kernel: number, stride: number, dilation: number, pad: number): GatherAxis[] {
  const common = gcd(stride, dilation);
  const tapEvery = stride / common;
  return Array.from({ length: Math.min(stride, size) }, (_, r) => {
    let tap0 = 0;
    while (tap0 < tapEvery && (r + pad - tap0 * dilation) % stride !== 0) tap0++;
    const exists = tap0 < tapEvery && tap0 < kernel;
    return {
      grid: Math.ceil((size - r) / stride),
      taps: exists ? Math.ceil((kernel - tap0) / tapEvery) : 0,
      tap0: exists ? tap0 : 0,
      tapEvery,
      source0: exists ? (r + pad - tap0 * dilation) / stride : 0,
      sourceStep: 1,
      tapStep: -dilation / common,
      out0: r,
      outStep: stride,
    };
  });
}

/** Returns the number of phases of an input gradient. */
export const phaseCount = (p: ConvParams): number => Math.min(p.strideH, p.h) * Math.min(p.strideW, p.w);

/** Returns an input gradient as gathers, one per pair of phases; each element of dx belongs to one of them. */
export function inputGradGathers(p: ConvParams): Gather[] {
  const [rows, channels, taps] = [p.c / p.groups, p.o / p.groups, p.kh * p.kw];
  const columns = gradientPhases(p.w, p.kw, p.strideW, p.dilationW, p.padLeft);
  return gradientPhases(p.h, p.kh, p.strideH, p.dilationH, p.padTop).flatMap((y) =>
    columns.map((x) => ({
      images: p.n,
      groups: p.groups,
      rows,
      channels,
      y,
      x,
      sourceH: p.oh,
      sourceW: p.ow,
      outH: p.h,
      outW: p.w,
      weightGroup: rows * channels * taps,
      weightRow: taps,
      weightChannel: rows * taps,
      kernelW: p.kw,
    })),
  );
}
