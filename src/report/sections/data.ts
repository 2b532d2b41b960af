/** Shows a few images of every class. */
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
  // A network may have more classes than these images show.
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
    title: ownData ? 'The training data' : 'The images on this page',
    body: html`${explain(dataset, ownData)}<div class="tiles">${tiles}</div>${
      more > 0 &&
      html`<p class="note">… and
${plural(more, 'more class', 'more classes')}.</p>`
    }`,
  };
}

function explain(dataset: Dataset, ownData: boolean): Html {
  const sizes = list(Object.entries(dataset.splits).map(([name, split]) => `${count(split.length)} (${name})`));
  if (dataset.name !== 'scenes' || !ownData)
    return html`<p>The data set has ${plural(dataset.classes.length, 'class', 'classes')} and these splits: ${sizes} images. Below are a few
images of each class.</p>`;
  return html`<p>Every image shows one of ${dataset.classes.length} emoji over a part of an old photograph. Position, size, angle, hue and
brightness are
random, so the colour of an object does not tell its class. The network was trained on three drawing styles over six photographs. It is
tested on three other photographs, and besides on these photographs with a fourth drawing style; neither was used for training.
The splits have ${sizes} images. Below are four images per class: three training images, and at the bottom right one in the fourth
style.</p>`;
}

/** Returns, for `scenes`, one image in each training style and one in the unseen style; for other data, the first few images. */
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
