/** Draws the values of a grid of positions as colours. */
import * as Plot from '@observablehq/plot';
import { chart } from '../charts/charts.js';
import type { Html } from '../page/html.js';

export interface HeatMapOptions {
  /** Number of rows and columns of positions. */
  grid: readonly [number, number];
  /** Description of the chart in a sentence, for screen readers. */
  label: string;
  /** [height, width] in pixels. */
  size: readonly [number, number];
}

/**
 * Draws one square per position, from dark blue for the smallest value of the range to yellow for the largest.
 *
 * @param values one value per position, row by row
 * @param words text shown when the pointer is on a position
 * @param range smallest and largest value; default: those of `values`
 */
export function heatMap(
  values: readonly number[],
  words: (value: number) => string,
  { range = [Math.min(...values), Math.max(...values)], ...options }: HeatMapOptions & { range?: readonly [number, number] },
): Html {
  return cells(values, words, { type: 'linear', scheme: 'viridis', domain: range }, options);
}

/** Draws one square per position, in the colour of its name. */
export function nameMap(names: readonly string[], colours: ReadonlyMap<string, string>, options: HeatMapOptions): Html {
  return cells(names, String, { type: 'ordinal', domain: [...colours.keys()], range: [...colours.values()] }, options);
}

function cells<T>(
  values: readonly T[],
  words: (value: T) => string,
  color: Plot.ScaleOptions,
  { grid, label, size }: HeatMapOptions,
): Html {
  const [rows, columns] = grid;
  const places = values.map((value, i) => ({ value, row: Math.floor(i / columns), column: i % columns }));
  const axis = (count: number): Plot.ScaleOptions => ({
    axis: null,
    domain: Array.from({ length: count }, (_, i) => i),
    padding: 0,
    round: false,
  });
  return chart(
    {
      width: size[1],
      height: size[0],
      margin: 0,
      x: axis(columns),
      y: axis(rows),
      color,
      // Squares overlap slightly, so that no gaps are visible between them.
      marks: [Plot.cell(places, { x: 'column', y: 'row', fill: 'value', inset: -0.3, title: ({ value }: { value: T }) => words(value) })],
    },
    label,
  );
}
