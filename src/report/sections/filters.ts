/** The first layer's filters as pictures: the one layer whose weights can be looked at directly (paper, Fig. 6). */
import { sheet } from '../components.js';
import { html } from '../html.js';
import type { ReportContext, Section } from '../input.js';
import { signedPicture } from '../pictures.js';
import { plural } from '../words.js';

export async function filtersSection({ model, layers }: ReportContext): Promise<Section | null> {
  const [first] = layers;
  const weight = first && model.layer(first.name).parameters()[0];
  if (!weight) return null;
  const { shape } = weight;
  const [maps, channels, height, width] = shape;
  if (channels !== 1 && channels !== 3) return null;
  const weights = Float32Array.from(await weight.data());
  const size = channels * height * width;
  const cells = Array.from({ length: maps }, (_, map) => {
    const own = weights.subarray(map * size, (map + 1) * size);
    const strongest = own.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
    const rms = Math.sqrt(own.reduce((sum, value) => sum + value * value, 0) / size);
    return { picture: signedPicture(own, [channels, height, width], strongest), tip: `filter ${map}, RMS ${rms.toPrecision(2)}` };
  });
  return {
    id: 'filters',
    title: 'What the first layer looks for',
    body: html`<p>These are all ${plural(maps, 'filter')} of ${first.name}, each ${height}×${width} pixels. A filter is moved over the image and answers where the
image looks like it: edges in one direction, patches of one colour next to another, fine stripes. Nobody drew them; they are what training
made of random noise.</p>
<figure class="filters">${sheet(cells, columnsFor(maps), `The ${maps} filters of ${first.name} as small colour pictures`)}
<figcaption>Grey is zero. Each filter is scaled by its own largest weight, so brightness cannot be compared between filters.</figcaption></figure>`,
  };
}

/** Twice as wide as high, with full rows where that is near. */
function columnsFor(maps: number): number {
  const ideal = Math.ceil(Math.sqrt(2 * maps));
  const around = Array.from({ length: ideal }, (_, i) => ideal + (i % 2 === 0 ? i / 2 : -(i + 1) / 2));
  return around.find((columns) => columns > ideal / 2 && columns < 1.6 * ideal && maps % columns === 0) ?? ideal;
}
