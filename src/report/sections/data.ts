/** What the network was shown: an image or a few of every class. */
import type { Dataset, Example } from '../../data/dataset.js';
import { exampleAt } from '../../data/rules.js';
import type { ReportContext } from '../input.js';
import { seen, sheet } from '../page/components.js';
import { type Html, html } from '../page/html.js';
import type { Section } from '../page/section.js';
import { className, count, list, plural } from '../page/words.js';

const MOST_CLASSES = 48;
const EACH = 4;

export async function dataSection({ dataset, preprocess, ownData }: ReportContext): Promise<Section> {
  // A network may know more classes than these images show.
  const present = [...new Set(Object.values(dataset.splits).flatMap(({ labels }) => [...new Set(labels)]))].sort((a, b) => a - b);
  const shown = await Promise.all(present.slice(0, MOST_CLASSES).map((label) => samplesOf(dataset, label)));
  const more = present.length - shown.length;
  const tiles = shown.map((samples, i) => {
    const name = dataset.classes[present[i]];
    const cells = samples.map(({ split, example }) => ({ picture: seen(preprocess, example.image), tip: describe(split, example) }));
    return html`<figure class="tile">${sheet(cells, 2, `${cells.length} images of ${className(name)}`)}<figcaption>${className(name)}</figcaption></figure>`;
  });
  return {
    id: 'data',
    title: ownData ? 'What it was shown' : 'The images on this page',
    body: html`${explain(dataset, ownData)}<div class="tiles">${tiles}</div>${more > 0 && html`<p class="note">… and ${plural(more, 'more class', 'more classes')}.</p>`}`,
  };
}

function explain(dataset: Dataset, ownData: boolean): Html {
  const sizes = list(Object.entries(dataset.splits).map(([name, split]) => `${count(split.length)} (${name})`));
  if (dataset.name !== 'scenes' || !ownData)
    return html`<p>${plural(dataset.classes.length, 'class', 'classes')}, in splits of ${sizes} images. A few of each:</p>`;
  return html`<p>Every image is one of ${dataset.classes.length} emoji over a piece of an old photograph, at a random place, size, angle, hue and
brightness, so the colour of a thing says nothing about what it is. The network learned from three styles of drawing over six photographs.
It is tested on three other photographs, which it never saw, and then besides on a fourth style, which it never saw either.
Splits: ${sizes} images. Below, three images that it learned from, and at the bottom right one in the unseen style.</p>`;
}

/** `scenes`: an image in each style of the training split and one in the unseen style; else the first few. */
async function samplesOf(dataset: Dataset, label: number): Promise<{ split: string; example: Example }[]> {
  const found: { split: string; example: Example }[] = [];
  const styles = new Set<string | undefined>();
  const unseen = dataset.splits['unseen-style'];
  const train = dataset.splits.train ?? Object.values(dataset.splits)[0];
  const first = dataset.splits.train ? 'train' : Object.keys(dataset.splits)[0];
  for (let i = 0; i < train.length && found.length < (unseen ? EACH - 1 : EACH); i++) {
    if (train.labels[i] !== label) continue;
    const example = await exampleAt(train, i);
    const style = example.details?.style;
    if (style !== undefined && styles.has(style)) continue;
    styles.add(style);
    found.push({ split: first, example });
  }
  const index = unseen ? unseen.labels.indexOf(label) : -1;
  if (index >= 0) found.push({ split: 'unseen-style', example: await exampleAt(unseen, index) });
  return found;
}

function describe(split: string, { index, details }: Example): string {
  return details ? `${details.style}, ${split} image ${index}` : `${split} image ${index}`;
}
