/**
 * Draws charts as static SVG with Observable Plot. They contain no script and use the colour variables of the page, so that they follow its
 * light and dark schemes.
 */
import * as Plot from '@observablehq/plot';
import { parseHTML } from 'linkedom';
import { escapeHtml, type Html, trusted } from '../page/html.js';

const { document } = parseHTML('<!doctype html><html><body></body></html>');

/** Draws a plot as SVG. `label` describes it for screen readers. */
export function chart(options: Plot.PlotOptions, label: string): Html {
  const svg = Plot.plot({
    document: document as unknown as Document,
    style: { fontSize: '12px', background: 'none' },
    ...options,
  }) as unknown as Element;
  // The label describes the whole chart; ARIA allows no label on elements without a role.
  for (const mark of Array.from(svg.querySelectorAll('[aria-label]'))) mark.removeAttribute('aria-label');
  svg.setAttribute('role', 'img');
  svg.setAttribute('aria-label', label);
  return trusted(markupOf(svg));
}

/** Serialises an element. The serialisation of linkedom does not escape `<` and `&` in attributes. */
function markupOf(node: Node): string {
  if (node.nodeType === TEXT) return escapeHtml(node.textContent ?? '');
  if (node.nodeType !== ELEMENT) return '';
  const { localName, attributes, childNodes } = node as Element;
  const written = Array.from(attributes, ({ name, value }) => ` ${name}="${escapeHtml(value)}"`).join('');
  return `<${localName}${written}>${Array.from(childNodes, markupOf).join('')}</${localName}>`;
}

const ELEMENT = 1;
const TEXT = 3;

export interface Series {
  name: string;
  /** A CSS colour, such as a variable of the page. */
  colour: string;
  points: readonly { x: number; y: number }[];
  /** A thin line in the background, without dots and without its name at the end. Default false. */
  faint?: boolean;
}

export interface CurveOptions {
  series: readonly Series[];
  x: string;
  y: string;
  /** Description of the chart in a sentence, for screen readers. */
  label: string;
  /** Positions on the x axis to mark, each with a text. */
  marks?: readonly { x: number; text: string }[];
  percent?: boolean;
  /** Value that choosing a class at random would have; drawn as a dotted line. */
  guess?: number;
  /** End of the x axis, which begins at 0. Default: the last point. */
  until?: number;
}

/** Draws lines over epochs, each with its name at its end. */
export function curves({ series, x, y, label, marks = [], percent = false, guess, until }: CurveOptions): Html {
  const last = until ?? Math.max(...series.flatMap(({ points }) => points.map((point) => point.x)));
  const top = Math.max(guess ?? 0, ...series.flatMap(({ points }) => points.map((point) => point.y)));
  const ends = series.flatMap(({ name, colour, points, faint }) =>
    faint ? [] : points.slice(-1).map((end) => ({ ...end, name, colour })),
  );
  const names = apart(ends, 0.06 * top);
  return chart(
    {
      width: 520,
      height: 300,
      marginLeft: 48,
      marginRight: 84,
      marginTop: 28,
      x: { label: x, ticks: wholeTicks(last), tickFormat: 'd', insetLeft: 8, ...(until !== undefined && { domain: [0, until] }) },
      y: { label: y, grid: true, zero: true, percent, nice: true, ticks: 5 },
      marks: [
        Plot.ruleY([0], { strokeOpacity: 0.4 }),
        ...(guess === undefined
          ? []
          : [
              Plot.ruleY([guess], { strokeOpacity: 0.5, strokeDasharray: '1,3' }),
              Plot.text([guess], { y: guess, text: () => 'guessing', frameAnchor: 'right', textAnchor: 'start', dx: 8, fillOpacity: 0.65 }),
            ]),
        Plot.ruleX(marks, { x: 'x', strokeDasharray: '2,4', strokeOpacity: 0.5 }),
        Plot.text(marks, { x: 'x', text: 'text', frameAnchor: 'top', dx: -4, textAnchor: 'end', fillOpacity: 0.65, rotate: -90 }),
        ...series.flatMap(({ colour, points, faint }) =>
          faint ? [Plot.lineY(points, { x: 'x', y: 'y', stroke: colour, strokeWidth: 1 })] : [],
        ),
        ...series.flatMap(({ colour, points, faint }) =>
          faint
            ? []
            : [
                Plot.lineY(points, { x: 'x', y: 'y', stroke: colour, strokeWidth: 2, curve: 'monotone-x' }),
                Plot.dot(points, { x: 'x', y: 'y', fill: colour, r: 2.5 }),
              ],
        ),
        ...names.map(({ x, y, name, colour }) =>
          Plot.text([{ x, y }], { x: 'x', y: 'y', text: () => name, fill: colour, dx: 8, textAnchor: 'start', fontWeight: 600 }),
        ),
      ],
    },
    label,
  );
}

/**
 * Moves names upwards until none overlaps the one below it.
 *
 * @param line height of a line of text, in units of y
 */
export function apart<T extends { y: number }>(names: readonly T[], line: number): T[] {
  const sorted = [...names].sort((a, b) => a.y - b.y);
  let last = Number.NEGATIVE_INFINITY;
  return sorted.map((name) => {
    last = Math.max(name.y, last + line);
    return { ...name, y: last };
  });
}

/** Returns at most about ten whole numbers from 1 to `last`. */
function wholeTicks(last: number): number[] {
  const step = [1, 2, 5, 10, 20, 50, 100].find((each) => last / each <= 10) ?? Math.ceil(last / 10);
  return Array.from({ length: Math.floor(last / step) }, (_, i) => (i + 1) * step);
}

/**
 * Draws a confusion matrix: one row per true class, one column per predicted class.
 *
 * @param counts [classes][classes], row-major by true class
 */
export function confusion(counts: readonly (readonly number[])[], classes: readonly string[], label: string): Html {
  const cells = counts.flatMap((row, i) => {
    const total = row.reduce((sum, n) => sum + n, 0);
    return row.flatMap((n, j) =>
      n === 0 ? [] : [{ truth: classes[i], predicted: classes[j], share: n / total, n, total, right: i === j }],
    );
  });
  const side = 22 * classes.length;
  return chart(
    {
      width: side + 110,
      height: side + 110,
      marginLeft: 104,
      marginTop: 104,
      marginRight: 6,
      marginBottom: 6,
      x: { domain: [...classes], axis: 'top', tickRotate: -90, label: null, tickSize: 0, padding: 0.06 },
      y: { domain: [...classes], label: null, tickSize: 0, padding: 0.06 },
      opacity: { domain: [0, 1], range: [0.12, 1] },
      marks: [
        Plot.frame({ strokeOpacity: 0.25 }),
        Plot.cell(cells, {
          x: 'predicted',
          y: 'truth',
          fill: (cell: (typeof cells)[number]) => (cell.right ? 'var(--accent)' : 'var(--warm)'),
          fillOpacity: { value: 'share', scale: 'opacity' } as never,
          title: ({ truth, predicted, n, total, right }: (typeof cells)[number]) =>
            `${truth}: ${n} of ${total} images classified ${right ? 'correctly' : `as ${predicted}`}`,
        }),
        Plot.text(
          cells.filter(({ right }) => !right),
          { x: 'predicted', y: 'truth', text: 'n', fontSize: 10 },
        ),
      ],
    },
    label,
  );
}
