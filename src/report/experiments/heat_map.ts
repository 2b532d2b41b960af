/** Numbers of a grid of places as colours. */
import * as Plot from '@observablehq/plot';
import { chart } from '../charts/charts.js';
import type { Html } from '../page/html.js';

export interface HeatMapOptions {
  /** How many places there are down and across. */
  grid: readonly [number, number];
  /** What the chart shows, in a sentence, for those who do not see it. */
  label: string;
  /** [height, width] in pixels. */
  size: readonly [number, number];
}

/**
 * A square a place, from dark blue for the least of the range to yellow for the most of it.
 *
 * @param values one a place, row by row
 * @param range default: from the least value to the largest
 * @param words what a place shows when it is pointed at
 */
export function heatMap(
  values: readonly number[],
  words: (value: number) => string,
  { range = [Math.min(...values), Math.max(...values)], ...options }: HeatMapOptions & { range?: readonly [number, number] },
): Html {
  return cells(values, words, { type: 'linear', scheme: 'viridis', domain: range }, options);
}

/** A square a place, in the colour of its name. */
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
      // Squares overlap by a hair, so that no seams show between them.
      marks: [Plot.cell(places, { x: 'column', y: 'row', fill: 'value', inset: -0.3, title: ({ value }: { value: T }) => words(value) })],
    },
    label,
  );
}
