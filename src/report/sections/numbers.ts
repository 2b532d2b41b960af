/** What the numbers on the page mean, for readers who do not train networks. */

import type { ReportContext } from '../input.js';
import { html } from '../page/html.js';
import type { Section } from '../page/section.js';
import { percent, plural } from '../page/words.js';

export function numbersSection({ dataset }: ReportContext): Section {
  const classes = dataset.classes.length;
  return {
    id: 'numbers',
    title: 'What the numbers mean',
    body: html`<dl>
<dt>Wrong answers (top-1 error)</dt><dd>The share of images for which the most probable class was not the right one. With ${plural(classes, 'class', 'classes')}, guessing errs
${percent(1 - 1 / classes)} of the time.</dd>
<dt>Nearest neighbour on pixels</dt><dd>A method that learns nothing: the answer is the class of that training image whose pixels differ least. A network that errs less
uses more than the distance between pixels.</dd>
<dt>Answer of a map (activation)</dt><dd>A number without a unit: zero or below where the map does not find its pattern, larger the better the pattern fits. It can be compared within a
map, not between maps.</dd>
<dt>Receptive field</dt><dd>The piece of the image that one point of a map can see at all. Outside of it, a projection is exactly zero.</dd>
<dt>Projection</dt><dd>An answer brought back to pixels. It shows which pattern of pixels the answer came from. It does not show why the network decided
for a class, and it is not a picture of “the” pattern of a map, so up to nine are shown of each.</dd>
<dt>Dead map</dt><dd>One that responds to none of the images, and so contributes nothing to any answer to them.</dd>
</dl>`,
  };
}
