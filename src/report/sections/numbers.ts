/** Explains the terms and numbers of the page. */

import type { ReportContext } from '../input.js';
import { html } from '../page/html.js';
import type { Section } from '../page/section.js';
import { percent, plural } from '../page/words.js';

export function numbersSection({ dataset }: ReportContext): Section {
  const classes = dataset.classes.length;
  return {
    id: 'numbers',
    title: 'Terms and numbers',
    body: html`<dl>
<dt>Top-1 error, top-5 error</dt><dd>The top-1 error is the share of images whose most probable class is wrong; the top-5 error is the share
of images whose right class is not among the five
most probable ones. With ${plural(classes, 'class', 'classes')}, choosing a class at random has a top-1 error of
${percent(1 - 1 / classes)}.</dd>
<dt>Accuracy</dt><dd>The share of images whose most probable class is right: 1 minus the top-1 error.</dd>
<dt>Loss</dt><dd>The mean negative log-probability of the right class (cross-entropy), in nats. Choosing a class at random has a loss of
${Math.log(classes).toFixed(2)}.</dd>
<dt>Nearest neighbour in pixels</dt><dd>A method without training: it predicts the class of the training image whose pixels differ least. A
network with a smaller error
uses more than the distance between pixels.</dd>
<dt>Map (feature map)</dt><dd>One output channel of a layer: one value per position, large where the layer finds one particular
pattern.</dd>
<dt>Activation</dt><dd>The value of a map at one position, a number without a unit: zero or negative where the map does not find its
pattern, and the larger the better the pattern fits. Activations
can be compared within a map, not between maps.</dd>
<dt>Receptive field</dt><dd>The part of the image that one activation depends on. Outside of it, a projection is exactly zero.</dd>
<dt>Projection</dt><dd>An activation carried back to pixels by a backward pass. It shows the pattern of pixels that caused the activation.
It does not show why the network predicted
a class, and it depends on the image, so up to nine projections per map are shown.</dd>
<dt>Dead map</dt><dd>A map that no image activates, so that it contributes nothing to any prediction.</dd>
</dl>`,
  };
}
