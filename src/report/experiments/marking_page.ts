/** A page for marking parts of images with boxes. It saves the file that `zfnet correspond --parts` reads. */
import { arrayOf, checkArgument, explained, integer, objectWith, text } from '../../backend/validate.js';
import { html, script, trusted } from '../page/html.js';
import { page } from '../page/page.js';

/** An image on the page for marking parts. */
export interface MarkableImage {
  /** Path of the image file, as written into the parts file. */
  file: string;
  /** Size of the upright image in pixels. */
  width: number;
  /** Height of the upright image in pixels; marked parts are in the same pixels. */
  height: number;
  /** Picture to show, of any size, as a data URI. */
  picture: string;
}

/**
 * Returns the page as HTML that loads nothing from elsewhere. On it, a box per part and image is drawn by pointer or keyboard; a button
 * downloads the parts file.
 *
 * @param parts names of the parts; more can be added on the page
 * @param command command line that reads the file, shown on the page
 */
export async function markingPage(images: readonly MarkableImage[], parts: readonly string[], command: string): Promise<string> {
  const image = objectWith('an image { file, width, height, picture }', {
    file: text,
    width: integer(1),
    height: integer(1),
    picture: text,
  });
  checkArgument('markingPage', 'images', images, arrayOf(image));
  checkArgument('markingPage', 'parts', parts, arrayOf(text));
  checkArgument('markingPage', 'command', command, text);
  return explained('markingPage', 'images { file, width, height, picture }, the names of the parts, and a command', () =>
    writeMarkingPage(images, parts, command),
  );
}

function writeMarkingPage(images: readonly MarkableImage[], parts: readonly string[], command: string): Promise<string> {
  return page({
    title: 'Mark parts of images',
    description: 'Draw a box around the same parts in every image.',
    lead: html`<p class="lead">Choose a part and draw its box on every image: press, drag, release. Drawing it again replaces the box. With
the keyboard: step to an image with Tab, press Enter to add a box, move it with
the arrow keys, resize it with Shift and the arrow keys, and remove it with Delete.</p>`,
    sections: [
      {
        id: 'marking',
        title: 'Parts',
        body: html`${trusted(`<style>${STYLE}</style>`)}
<form id="parts"><fieldset class="switch"><legend>Which part is being marked?</legend>${parts.map(
          (part, i) => html`<label><input type="radio" name="part" value="${part}"${i === 0 ? html` checked` : ''}> ${part}</label>`,
        )}</fieldset>
<p><label>Another part: <input id="another" type="text"></label> <button id="add" type="button">Add</button></p></form>
<div id="images">${images.map(
          ({
            file,
            width,
            height,
            picture,
          }) => html`<figure><div class="markable" tabindex="0" role="application" aria-label="${file}: boxes of parts" data-file="${file}" data-width="${width}" data-height="${height}"><img src="${picture}" alt="${file}" draggable="false"></div>
<figcaption>${file} <span class="marked" role="status"></span></figcaption></figure>`,
        )}</div>
<p><button id="download" type="button">Download parts.json</button> <span id="state" role="status"></span></p>
<p>Then: <code>${command}</code></p>
${script(SCRIPT)}`,
      },
    ],
  });
}

const STYLE = `
#images { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 20rem), 1fr)); gap: 1.5rem; margin-block: 1.5rem; align-items: start; }
.markable { position: relative; cursor: crosshair; touch-action: none; user-select: none; }
.markable img { display: block; width: 100%; height: auto; }
.markable i { position: absolute; border: 2px solid #fff; outline: 2px solid #1c6290; pointer-events: none; }
.markable i.current { outline-color: #d9480f; }
.markable i::after { content: attr(data-part); position: absolute; left: 0; top: 100%; padding: 0 0.3em; background: #fffd; color: #23211e; font: 0.75rem/1.3 var(--sans); font-style: normal; white-space: nowrap; }
button, input[type=text] { font: inherit; padding: 0.2rem 0.7rem; }
`;

/** Script of the page. Boxes are fractions of the height and width of the image, [y0, x0, y1, x1]. */
const SCRIPT = `
const areas = [...document.querySelectorAll('.markable')].map((element) => ({ element, boxes: new Map() }));
const partNames = () => [...document.querySelectorAll('[name=part]')].map((input) => input.value);
const current = () => document.querySelector('[name=part]:checked').value;
const clamp = (value) => Math.min(Math.max(value, 0), 1);

function draw(area) {
  area.element.querySelectorAll('i').forEach((box) => box.remove());
  for (const [part, [y0, x0, y1, x1]] of area.boxes) {
    const box = document.createElement('i');
    box.dataset.part = part;
    box.className = part === current() ? 'current' : '';
    Object.assign(box.style, { top: 100 * y0 + '%', left: 100 * x0 + '%', width: 100 * (x1 - x0) + '%', height: 100 * (y1 - y0) + '%' });
    area.element.append(box);
  }
  const missing = partNames().filter((part) => !area.boxes.has(part));
  area.element.parentElement.querySelector('.marked').textContent = missing.length === 0 ? 'all parts marked' : 'to mark: ' + missing.join(', ');
  const left = areas.reduce((sum, each) => sum + partNames().filter((part) => !each.boxes.has(part)).length, 0);
  document.getElementById('state').textContent = left === 0 ? 'All parts are marked in all images.' : left + ' boxes are missing; a part is used if it is marked in every image.';
}
const drawAll = () => areas.forEach(draw);

for (const area of areas) {
  let from = null;
  const place = ({ clientX, clientY }) => {
    const { left, top, width, height } = area.element.getBoundingClientRect();
    return [clamp((clientY - top) / height), clamp((clientX - left) / width)];
  };
  area.element.addEventListener('pointerdown', (event) => {
    from = place(event);
    area.element.setPointerCapture(event.pointerId);
  });
  area.element.addEventListener('pointermove', (event) => {
    if (!from) return;
    const to = place(event);
    const box = [Math.min(from[0], to[0]), Math.min(from[1], to[1]), Math.max(from[0], to[0]), Math.max(from[1], to[1])];
    if (box[2] > box[0] && box[3] > box[1]) area.boxes.set(current(), box);
    draw(area);
  });
  for (const end of ['pointerup', 'pointercancel']) area.element.addEventListener(end, () => { from = null; });
  area.element.addEventListener('keydown', (event) => {
    const step = { ArrowUp: [-0.01, 0], ArrowDown: [0.01, 0], ArrowLeft: [0, -0.01], ArrowRight: [0, 0.01] }[event.key];
    const box = area.boxes.get(current());
    if (event.key === 'Enter' && !box) area.boxes.set(current(), [0.4, 0.4, 0.6, 0.6]);
    else if (event.key === 'Delete' || event.key === 'Backspace') area.boxes.delete(current());
    else if (step && box) {
      const [dy, dx] = step;
      const [y0, x0, y1, x1] = box;
      if (event.shiftKey) area.boxes.set(current(), [y0, x0, Math.max(y0 + 0.01, clamp(y1 + dy)), Math.max(x0 + 0.01, clamp(x1 + dx))]);
      else if (y0 + dy >= 0 && x0 + dx >= 0 && y1 + dy <= 1 && x1 + dx <= 1) area.boxes.set(current(), [y0 + dy, x0 + dx, y1 + dy, x1 + dx]);
    } else return;
    event.preventDefault();
    draw(area);
  });
}

document.getElementById('parts').addEventListener('change', drawAll);
document.getElementById('parts').addEventListener('submit', (event) => { event.preventDefault(); addPart(); });
document.getElementById('add').addEventListener('click', addPart);
function addPart() {
  const field = document.getElementById('another');
  const name = field.value.trim();
  if (!name || name === 'random' || partNames().includes(name)) return;
  const label = document.createElement('label');
  const input = Object.assign(document.createElement('input'), { type: 'radio', name: 'part', value: name, checked: true });
  label.append(input, ' ' + name);
  document.querySelector('#parts fieldset').append(label);
  field.value = '';
  drawAll();
}

document.getElementById('download').addEventListener('click', () => {
  const images = areas.map(({ element, boxes }) => {
    const { file, width, height } = element.dataset;
    const size = [height, width, height, width];
    const pixels = (box) => box.map((share, i) => Math.round(share * size[i]));
    return { file, parts: Object.fromEntries([...boxes].map(([part, box]) => [part, pixels(box)])) };
  });
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([JSON.stringify({ images }, null, 2)], { type: 'application/json' }));
  link.download = 'parts.json';
  link.click();
});
drawAll();
`;
