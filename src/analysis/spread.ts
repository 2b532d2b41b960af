/** How numbers that were measured several times lie. */
export interface Spread {
  mean: number;
  /** Standard deviation of the sample; 0 for a single number. */
  deviation: number;
}

/** Mean and standard deviation. */
export function spreadOf(values: readonly number[]): Spread {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / Math.max(1, values.length - 1);
  return { mean, deviation: Math.sqrt(variance) };
}
