/** Accuracies along layers or numbers of images, ours beside published ones. */
import * as Plot from '@observablehq/plot';
import { chart } from '../charts.js';
import type { Html } from '../html.js';

/** Colours that show on white and on black. */
export const COLOURS = { first: '#4269d0', second: '#c4572b', paper: '#8b9099' } as const;

export interface AccuracySeries {
  name: string;
  colour: string;
  /** For published figures. */
  dashed?: boolean;
  /** Accuracies and deviations as fractions. */
  points: readonly { x: number | string; accuracy: number; deviation?: number }[];
}

export interface AccuracyChartOptions {
  series: readonly AccuracySeries[];
  x: string;
  /** Steps in this order; without them x is a number. */
  steps?: readonly string[];
  /** What the chart shows, in a sentence, for those who do not see it. */
  label: string;
}

export const ACCURACY_CHART_SIZE: readonly [height: number, width: number] = [320, 560];

/** Lines, each named at its end, with bars of a deviation up and down where there is one. */
export function accuracyChart({ series, x, steps, label }: AccuracyChartOptions): Html {
  const [height, width] = ACCURACY_CHART_SIZE;
  return chart(
    {
      width,
      height,
      marginLeft: 48,
      marginRight: 150,
      marginTop: 28,
      marginBottom: 40,
      x: steps ? { label: x, domain: [...steps], type: 'point' } : { label: x, insetLeft: 8, nice: true },
      y: { label: 'right answers (%)', grid: true, domain: [0, 100], percent: true, ticks: 5 },
      marks: [
        Plot.ruleY([0], { strokeOpacity: 0.4 }),
        ...series.flatMap(({ name, colour, dashed, points }) => [
          Plot.lineY(points, {
            x: 'x',
            y: 'accuracy',
            stroke: colour,
            strokeWidth: dashed ? 1.5 : 2,
            strokeDasharray: dashed ? '4,3' : undefined,
          }),
          Plot.ruleX(
            points.filter(({ deviation = 0 }) => deviation > 0),
            {
              x: 'x',
              y1: ({ accuracy, deviation = 0 }: (typeof points)[number]) => Math.max(0, accuracy - deviation),
              y2: ({ accuracy, deviation = 0 }: (typeof points)[number]) => Math.min(1, accuracy + deviation),
              stroke: colour,
            },
          ),
          Plot.dot(points, { x: 'x', y: 'accuracy', fill: colour, r: dashed ? 2 : 3.5 }),
          Plot.text(points.slice(-1), {
            x: 'x',
            y: 'accuracy',
            text: () => name,
            fill: colour,
            dx: 10,
            textAnchor: 'start',
            fontWeight: 600,
          }),
        ]),
      ],
    },
    label,
  );
}
