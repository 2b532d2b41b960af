/** Arranges several pictures and charts as the panels of one figure. */
import type { Image } from '../../data/dataset.js';
import { type Html, html } from '../page/html.js';

export interface Panel {
  /** Title above the panel. */
  title: string;
  /** A picture, scaled to the panel with square pixels, or a chart of the panel's size. */
  content: Image | Html;
  /** Lines below the panel; a line with a colour begins with a patch of it. */
  key?: readonly { text: string; colour?: string }[];
}

const GAP = 24;
const TITLE = 24;
const LINE = 18;

/**
 * Returns panels in rows on white, as an SVG that uses no colour variables of a page.
 *
 * @param columns number of panels per row
 */
export function panelFigure(panels: readonly Panel[], columns: number, [height, width]: readonly [number, number]): string {
  const across = Math.min(columns, panels.length);
  const rows = Array.from({ length: Math.ceil(panels.length / columns) }, (_, row) => panels.slice(row * columns, (row + 1) * columns));
  // Top of each row, and the bottom of the last one. A row has room for the longest key of its panels.
  const tops = [GAP];
  for (const row of rows) {
    const lines = Math.max(...row.map(({ key = [] }) => key.length));
    tops.push(tops[tops.length - 1] + TITLE + height + lines * LINE + GAP);
  }
  const whole = [across * (width + GAP) + GAP, tops[rows.length]];
  const drawn = panels.map(({ title, content, key = [] }, i) => {
    const x = GAP + (i % columns) * (width + GAP);
    const y = tops[Math.floor(i / columns)];
    const picture =
      'data' in content
        ? html`<image href="${content}" width="${width}" height="${height}" style="image-rendering:pixelated" preserveAspectRatio="xMidYMin meet"/>`
        : content;
    return html`<g transform="translate(${x},${y})"><text y="14" font-weight="bold">${title}</text>
<g transform="translate(0,${TITLE})">${picture}</g>
${key.map(({ text, colour }, line) => {
  const top = TITLE + height + (line + 1) * LINE;
  return html`${colour ? html`<rect x="0" y="${top - 10}" width="11" height="11" fill="${colour}"/>` : ''}<text x="${colour ? 17 : 0}" y="${top}" font-size="12">${text}</text>`;
})}</g>`;
  });
  return html`<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="${whole[0]}" height="${whole[1]}" viewBox="0 0 ${whole[0]} ${whole[1]}" font-family="sans-serif" font-size="13" fill="#23211e" color="#23211e">
<rect width="100%" height="100%" fill="white"/>
${drawn}</svg>`.toString();
}
