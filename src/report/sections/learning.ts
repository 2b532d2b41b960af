/** How the network got better: loss and error after each round through the images. */

import { learningCurves } from '../charts/learning_curves.js';
import type { ReportContext, Section } from '../input.js';
import { html } from '../page/html.js';
import { count } from '../page/words.js';

export function learningSection({ metrics, dataset, summaries }: ReportContext): Section | null {
  if (metrics.length < 2) return null;
  const { loss, error, drops } = learningCurves({ metrics, classes: dataset.classes.length });
  const dropout = summaries.some(({ kind }) => kind === 'Dropout');
  const speed = metrics.reduce((sum, m) => sum + (m.imagesPerSecond ?? 0), 0) / metrics.length;
  return {
    id: 'learning',
    title: 'How it learned',
    body: html`<p>The network begins with random filters and answers at random. After every image it is nudged towards the right answer, and one
round through all images is an epoch. The <em>loss</em> is what the nudges bring down: the surprise at the right answer, which is near zero
for someone who is sure and right. What counts in the end is the <em>error</em>, the share of wrong answers, above all on images that
are not learned from: if it stayed high there while the other fell, the network would be learning by heart.</p>
<div class="charts">
<figure>${loss}<figcaption>Surprise at the right answer.</figcaption></figure>
<figure>${error}<figcaption>Wrong answers, in training and on unseen images. Training counts while the network still
changes${dropout && ', and with some of its units switched off at random (dropout)'}, so it can look worse there.</figcaption></figure>
</div>
${drops > 0 && html`<p class="note">Dotted lines: the learning rate, the size of the nudges, was lowered.</p>`}
${speed > 0 && html`<p class="note">Speed: ${count(Math.round(speed))} images a second.</p>`}`,
  };
}
