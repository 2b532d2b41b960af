/** How loss and error changed from epoch to epoch. */

import { Dropout, type Network } from '../../nn/index.js';
import { learningCurves } from '../charts/learning_curves.js';
import type { ReportContext } from '../input.js';
import { beginning } from '../origin.js';
import { html } from '../page/html.js';
import type { Section } from '../page/section.js';
import { count } from '../page/words.js';

export function learningSection({ metrics, dataset, model, training }: ReportContext): Section | null {
  if (metrics.length < 2) return null;
  const { loss, error, drops } = learningCurves({ metrics, classes: dataset.classes.length });
  const validated = metrics.some(({ valTop1Error }) => valTop1Error !== null);
  const speed = metrics.reduce((sum, m) => sum + (m.imagesPerSecond ?? 0), 0) / metrics.length;
  return {
    id: 'learning',
    title: 'How it learned',
    body: html`<p>${beginning(training.origin)}After every batch of images its weights are changed a little, so that the right answers become more probable; one pass
over all training images is an epoch. The <em>loss</em> is what training minimises: the mean negative log-probability of the right class, which is near zero
where the network is sure and right. What counts in the end is the <em>error</em>, the share of wrong answers, above all on images that
are not learned from. An error that stayed high there while the other fell would show that the network learns its images by heart.</p>
<div class="charts">
<figure>${loss}<figcaption>Loss in training.</figcaption></figure>
<figure>${error}<figcaption>Wrong answers in training${validated && ' and on unseen images'}. In training they are counted while the network still
changes${hasDropout(model) && ', and with some of its units switched off at random (dropout)'}, so the error can be larger there.</figcaption></figure>
</div>
${drops > 0 && html`<p class="note">Dotted lines: the learning rate was lowered.</p>`}
${speed > 0 && html`<p class="note">Speed: ${count(Math.round(speed))} images per second.</p>`}`,
  };
}

/** Whether training switches units off: a layer of dropout with a probability of 0 does not. */
const hasDropout = (model: Network): boolean =>
  model.layerNames().some((name) => {
    const layer = model.layer(name);
    return layer instanceof Dropout && layer.probability > 0;
  });
