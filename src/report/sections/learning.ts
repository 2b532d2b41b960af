/** Shows the loss and the error over the epochs of training. */

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
    title: 'Learning curves',
    body: html`<p>${beginning(training.origin)}Each training step changes the weights slightly, so that the right classes of a batch of
images become more probable. An <em>epoch</em> is one pass
over all training images. Training minimises the <em>loss</em>, the mean negative log-probability of the right class; it is near zero if the
network assigns nearly all
probability to the right class. The <em>top-1 error</em> is the share of images whose most probable class is wrong. It matters on images
that are not used
for training (<em>validation</em>): a validation error that stays high while the training error falls shows overfitting, that is, the
network memorises the training images.</p>
<div class="charts">
<figure>${loss}<figcaption>Training loss. Dotted line: the loss of choosing a class at random.</figcaption></figure>
<figure>${error}<figcaption>Top-1 error in training${validated && ' and in validation'}. The training error is measured during the epoch,
while the weights
change${hasDropout(model) && ', and with some units switched off at random (dropout)'}, so it can be larger than the validation
error.</figcaption></figure>
</div>
${drops > 0 && html`<p class="note">Vertical dotted lines: the learning rate was reduced.</p>`}
${speed > 0 && html`<p class="note">Speed: ${count(Math.round(speed))} images per second.</p>`}`,
  };
}

/** Whether training switches units off. A dropout layer with a probability of 0 does not. */
const hasDropout = (model: Network): boolean =>
  model.layerNames().some((name) => {
    const layer = model.layer(name);
    return layer instanceof Dropout && layer.probability > 0;
  });
