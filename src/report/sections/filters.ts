/** Shows the filters of the first layer as pictures; it is the only layer whose weights are colours (paper, Fig. 6). */

import type { ReportContext } from '../input.js';
import { filtersOrigin } from '../origin.js';
import { sheet } from '../page/components.js';
import { html } from '../page/html.js';
import type { Section } from '../page/section.js';
import { plural } from '../page/words.js';
import { columnsFor, filterPictures } from '../pictures/filter_pictures.js';

export async function filtersSection({ model, layers, training, experiments = [] }: ReportContext): Promise<Section | null> {
  // The experiment of this name shows the filters too, and measures them.
  if (experiments.some(({ name }) => name === 'filters')) return null;
  const [first] = layers;
  const weight = first && model.layer(first.name).parameters()[0];
  if (!weight) return null;
  const filters = await filterPictures(weight);
  if (!filters) return null;
  const [maps, , height, width] = weight.shape;
  const cells = filters.map(({ picture, rms }, map) => ({ picture, tip: `filter ${map}, RMS ${rms.toPrecision(2)}` }));
  return {
    id: 'filters',
    title: 'The filters of the first layer',
    body: html`<p>These are all ${plural(maps, 'filter')} of ${first.name}, each ${height}×${width} pixels. A filter is moved over the
image; its output is large where the
image resembles it. ${filtersOrigin(training.origin)}</p>
<figure class="filters">${sheet(cells, columnsFor(maps), `The ${maps} filters of ${first.name} as small colour pictures`)}
<figcaption>Grey is zero. Each filter is scaled by its own largest weight, so that brightness cannot be compared between
filters.</figcaption></figure>`,
  };
}
