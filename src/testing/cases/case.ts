/** The type of a case (an operation with its inputs), and the inputs, named by one letter each. */
import type { Tensor } from '../../tensor/index.js';
import * as formula from './formula.js';

/** One input of a case: its values depend on its shape and its index among the inputs. */
export interface Input {
  /** Shape of the tensor; `values` fills it in row-major order. */
  shape: readonly number[];
  /** `float`: float32 or float64, as the case is run; the other types have no gradient. */
  dtype: 'float' | 'int32' | 'uint8';
  /** Returns `size` values; `seed` is 1 + the index of the input. */
  values(size: number, seed: number): number[];
}

/** Applies the operation of a case to its inputs. */
export type Run = (inputs: Tensor[]) => Tensor;

/** How the results of a case are compared. */
export interface CaseOptions {
  /** Errors are measured against the sum of the absolute products of which an element is the sum, not against the element. */
  sums?: boolean;
  /**
   * `checked`: the gradient is compared with finite differences and between backends. `compared`: between backends only, as where inputs
   * lie on a kink. `none`: the operation has no gradient. Default `checked`.
   */
  gradient?: 'checked' | 'compared' | 'none';
  /** Number of elements of each input that the gradient check uses. */
  places?: number;
}

/** An operation with example inputs. */
export interface Case extends CaseOptions {
  /** Name of the operation: `conv2d`. */
  op: string;
  /** Name of the case, unique among those of the operation. */
  name: string;
  /** Inputs in the order of the operation's arguments; `run` receives one tensor per entry. */
  inputs: readonly Input[];
  /** Applies the operation with the options of this case. */
  run: Run;
}

export type Row = readonly [name: string, inputs: readonly Input[], run: Run, options?: CaseOptions];

export const table = (op: string, options: CaseOptions, rows: readonly Row[]): Case[] =>
  rows.map(([name, inputs, run, own]) => ({ op, name, inputs, run, ...options, ...own }));

// Inputs, by one letter ---------------------------------------------------------------------------

export const floats =
  (values: Input['values']) =>
  (...shape: number[]): Input => ({ shape, dtype: 'float', values });

/** Noise in [-1, 1). */
export const N = floats(formula.noise);
/** Positive, in [0.5, 2). */
export const P = floats(formula.positive);
/** Apart from 0 by at least 0.1. */
export const A = floats(formula.apart);
/** Distinct. */
export const D = floats(formula.distinct);
/** Steps: -1, 0 and 1, full of ties. */
export const S = floats(formula.steps);
/** Wide, in [-32, 32). */
export const W = floats((size, seed) => formula.noise(size, seed).map((v) => 32 * v));
/** Below zero, distinct. */
export const B = floats((size, seed) => formula.distinct(size, seed).map((v) => Math.fround(v - 1)));
/** Extremes: numbers that arithmetic goes wrong with, in an order of their own for each input. */
const EXTREMES = [Number.NaN, 1, Number.POSITIVE_INFINITY, -0.5, 0, Number.NEGATIVE_INFINITY, -1, 2];
export const X = floats((size, seed) => Array.from({ length: size }, (_, i) => EXTREMES[(i * seed + Math.floor(i / 8)) % 8]));
/** Labels or switches: int32 from 0 to count − 1. */
export const L = (count: number, ...shape: number[]): Input => ({
  shape,
  dtype: 'int32',
  values: (size, seed) => formula.labels(size, seed, count),
});
export const bytes = (...shape: number[]): Input => ({ shape, dtype: 'uint8', values: (size, seed) => formula.labels(size, seed, 256) });
