/** The type of a case (an operation with its inputs), and the inputs, named by one letter each. */
import type { Tensor } from '../../src/tensor/index.js';
import * as formula from './formula.js';

/** One input: its values depend on its shape and its index among the inputs. Types other than `float` have no gradient. */
export interface Input {
  shape: readonly number[];
  dtype: 'float' | 'int32' | 'uint8';
  values(size: number, seed: number): number[];
}

export type Run = (inputs: Tensor[]) => Tensor;

export interface CaseOptions {
  /** Errors are measured against the sum of the absolute products that make a number, not against the number itself. */
  sums?: boolean;
  /** A factor on the tolerance. */
  slack?: number;
  /** `compared`: between backends, not with differences, as where inputs sit on a kink. `none`: the operation has no gradient. */
  gradient?: 'checked' | 'compared' | 'none';
  /** Elements of each input that the gradient check looks at. */
  places?: number;
}

export interface Case extends CaseOptions {
  op: string;
  name: string;
  inputs: readonly Input[];
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
