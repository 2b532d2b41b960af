/** Chart of accuracies by layer or by number of images, measured ones next to published ones. */
import * as Plot from '@observablehq/plot';
import { chart } from '../charts/charts.js';
import type { Html } from '../page/html.js';

/** Colours that are legible on white and on black. */
export const COLOURS = { first: '#4269d0', second: '#c4572b', paper: '#8b9099' } as const;

export interface AccuracySeries {
  name: string;
  colour: string;
  /** Whether the line is dashed, as for published values. */
  dashed?: boolean;
  /** Accuracies and standard deviations as fractions. */
  points: readonly { x: number | string; accuracy: number; deviation?: number }[];
}

export interface AccuracyChartOptions {
  series: readonly AccuracySeries[];
  x: string;
  /** Categories of the x axis in order; without them x is numeric. */
  steps?: readonly string[];
  /** Description of the chart in a sentence, for screen readers. */
  label: string;
}

export const ACCURACY_CHART_SIZE: readonly [height: number, width: number] = [320, 560];

/** Draws lines with their names at their ends, and bars of one standard deviation up and down where there is one. */
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
      y: { label: 'accuracy (%)', grid: true, domain: [0, 100], percent: true, ticks: 5 },
      marks: [
        Plot.ruleY([0], { strokeOpacity: 0.4 }),
        ...series.flatMap(({ colour, dashed, points }) => [
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
        ]),
        Plot.text(namesApart(series), { x: 'x', y: 'place', text: 'name', fill: 'colour', dx: 10, textAnchor: 'start', fontWeight: 600 }),
      ],
      color: { type: 'identity' },
    },
    label,
  );
}

/** Height of a line of text as a fraction of the y axis. */
const LINE = 0.06;

/** Places the names at the ends of their lines, moved up and down so that they do not overlap. */
function namesApart(series: readonly AccuracySeries[]): { name: string; colour: string; x: number | string; place: number }[] {
  const ends = series.map(({ name, colour, points }) => {
    const { x, accuracy } = points[points.length - 1];
    return { name, colour, x, place: accuracy };
  });
  ends.sort((a, b) => a.place - b.place);
  for (const [i, end] of ends.entries()) if (i > 0) end.place = Math.max(end.place, ends[i - 1].place + LINE);
  for (const [i, end] of [...ends].reverse().entries()) end.place = Math.min(end.place, 1 - i * LINE);
  return ends;
}
