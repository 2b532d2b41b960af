/** Interactive occlusion maps: pointing at a position moves the square there, and a line of text shows the result of the network. */
import { type Html, html, script } from '../page/html.js';

export interface OcclusionExplorer {
  /** Number of rows and columns of positions. */
  grid: readonly [number, number];
  /** [y, x] of the top left corner of the square, row by row. */
  places: readonly (readonly [number, number])[];
  /** Side of the square, and [height, width] of the image, in pixels. */
  square: number;
  size: readonly [number, number];
  /** Text for each position. */
  words: readonly string[];
  /** Index of the position shown at the start. */
  start: number;
}

/** The square that moves over the image. */
export const coveringSquare = html`<i class="square"></i>`;

/** Makes a map interactive, by pointer and by the arrow keys. */
export const pointable = (map: Html, title: string): Html =>
  html`<div class="over" data-occlusion-map tabindex="0" role="group" aria-label="${title}: arrow keys move the square">${map}<i class="here"></i></div>`;

/** Adds the line of text and the script to the figures. `content` contains one `coveringSquare` and any number of `pointable` maps. */
export function occlusionExplorer(explorer: OcclusionExplorer, shade: number, content: Html): Html {
  return html`<div class="occlusion" style="--shade:rgb(${shade} ${shade} ${shade})" data-explorer="${JSON.stringify(explorer)}">${content}
<output aria-live="polite">${explorer.words[explorer.start]}</output></div>
${script(SCRIPT)}`;
}

const SCRIPT = `for (const root of document.querySelectorAll('.occlusion:not([data-ready])')) {
  root.dataset.ready = '';
  const { grid, places, square, size, words, start } = JSON.parse(root.dataset.explorer);
  const [rows, columns] = grid;
  const maps = root.querySelectorAll('[data-occlusion-map]');
  const percent = (part, of) => (100 * part) / of + '%';
  let at;
  const show = (row, column) => {
    const place = Math.min(Math.max(row, 0), rows - 1) * columns + Math.min(Math.max(column, 0), columns - 1);
    if (place === at) return;
    at = place;
    const [y, x] = places[at];
    for (const box of root.querySelectorAll('.square'))
      Object.assign(box.style, { top: percent(y, size[0]), left: percent(x, size[1]), height: percent(square, size[0]), width: percent(square, size[1]) });
    for (const mark of root.querySelectorAll('.here'))
      Object.assign(mark.style, { top: percent(Math.floor(at / columns), rows), left: percent(at % columns, columns), height: percent(1, rows), width: percent(1, columns) });
    root.querySelector('output').textContent = words[at];
  };
  for (const map of maps) {
    map.addEventListener('pointermove', (event) => {
      const box = map.getBoundingClientRect();
      show(Math.floor(((event.clientY - box.top) / box.height) * rows), Math.floor(((event.clientX - box.left) / box.width) * columns));
    });
    map.addEventListener('keydown', (event) => {
      const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
      if (!step) return;
      event.preventDefault();
      show(Math.floor(at / columns) + step[0], (at % columns) + step[1]);
    });
  }
  show(Math.floor(start / columns), start % columns);
}`;
