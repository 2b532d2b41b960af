/** Elements of the page that several sections use: pictures, sheets of pictures, tables. */
import type { Image } from '../../data/dataset.js';
import type { Preprocess } from '../../zfnet/index.js';
import { type Box, contactSheet, cropPicture } from '../pictures/pictures.js';
import { type Html, html } from './html.js';

/** Pictures narrower than this are enlarged with square pixels instead of smoothing. */
const COARSE = 40;

/** Returns a picture that is `width` CSS pixels wide. */
export function picture(image: Image, alt: string, width: number): Html {
  const height = Math.round((width * image.height) / image.width);
  const style = image.width < COARSE ? html` class="coarse"` : '';
  return html`<img${style} src="${image}" alt="${alt}" width="${width}" height="${height}">`;
}

export interface SheetCell {
  picture: Image;
  /** Text shown when the pointer or the focus is on the cell, also for screen readers. */
  tip: string;
}

/**
 * Joins pictures of one size to one image, with a cell over each that shows a text about it. The borders of the cells are the gaps, so that
 * they have the page's colour.
 *
 * @param focus whether the cells can be reached by keyboard; one of two sheets side by side is enough
 */
export function sheet(cells: readonly SheetCell[], columns: number, alt: string, focus = true): Html {
  const image = contactSheet(
    cells.map((cell) => cell.picture),
    { columns, gap: 0 },
  );
  const coarse = cells[0].picture.width < COARSE ? 'coarse' : '';
  const rows = Math.ceil(cells.length / columns);
  const across = Math.min(columns, cells.length);
  return html`<div class="sheet" style="--columns:${across};--rows:${rows};aspect-ratio:${image.width}/${image.height}">
<img class="${coarse}" src="${image}" alt="${alt}" width="${image.width}" height="${image.height}">
${cells.map(({ tip }) => (focus ? html`<span class="cell" tabindex="0" role="note" aria-label="${tip}" data-tip="${tip}"></span>` : html`<span class="cell" data-tip="${tip}" aria-hidden="true"></span>`))}
</div>`;
}

/** Returns the centre crop of an image, which is the input of the network. */
export function seen(preprocess: Preprocess, image: Image): Image {
  const { inputSize, side } = preprocess.options;
  const start = Math.floor((side - inputSize) / 2);
  const box: Box = [start, start, start + inputSize, start + inputSize];
  return cropPicture(image, box);
}

/** Returns a table. The first cell of each row is its heading; the columns listed in `numeric` are aligned to the right. */
export function table(
  caption: string,
  head: readonly string[],
  rows: readonly (readonly (Html | string)[])[],
  numeric: readonly number[] = [],
): Html {
  const side = (i: number) => (numeric.includes(i) ? html` class="number"` : '');
  return html`<div class="scroll" tabindex="0" role="region" aria-label="${caption}"><table>
<caption class="hidden">${caption}</caption>
<thead><tr>${head.map((cell, i) => html`<th scope="col"${side(i)}>${cell}</th>`)}</tr></thead>
<tbody>${rows.map((row) => html`<tr>${row.map((cell, i) => (i === 0 ? html`<th scope="row">${cell}</th>` : html`<td${side(i)}>${cell}</td>`))}</tr>`)}</tbody>
</table></div>`;
}
