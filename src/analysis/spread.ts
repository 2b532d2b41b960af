/** Mean and standard deviation of repeated measurements. */
export interface Spread {
  /** Arithmetic mean, in the unit of the measurements. */
  mean: number;
  /** Sample standard deviation (n − 1); 0 for a single value. */
  deviation: number;
}

/** Mean and sample standard deviation of some values. */
export function spreadOf(values: readonly number[]): Spread {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / Math.max(1, values.length - 1);
  return { mean, deviation: Math.sqrt(variance) };
}
