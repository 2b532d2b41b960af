/** Pointing at a place of an occlusion map shows the picture behind it: the square moves there, and a line tells what the network made of it. */
import { type Html, html, script } from '../page/html.js';

export interface OcclusionExplorer {
  /** Rows and columns of places. */
  grid: readonly [number, number];
  /** [y, x] of the square's top left, row by row. */
  places: readonly (readonly [number, number])[];
  /** Side of the square, and [height, width] of the image, in pixels. */
  square: number;
  size: readonly [number, number];
  /** What is told of each place. */
  words: readonly string[];
  /** The place shown to begin with. */
  start: number;
}

/** What moves over the image, and over a map to mark the place in it. */
export const coveringSquare = html`<i class="square"></i>`;

/** A map that can be pointed at, or stepped over by the arrow keys. */
export const pointable = (map: Html, title: string): Html =>
  html`<div class="over" data-occlusion-map tabindex="0" role="group" aria-label="${title}: arrow keys move the square">${map}<i class="here"></i></div>`;

/** The figures with what makes them move, and the line that tells. `content` holds one `coveringSquare` and any number of `pointable`s. */
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
