/** What every convolution layer looks for, as in the paper's Fig. 2: maps to open, and their projections next to the patches of image they come from. */

import { isConvolution } from '../../nn/index.js';
import type { LayerFindings, ReportContext } from '../input.js';
import { picture } from '../page/components.js';
import { type Html, html } from '../page/html.js';
import type { Section } from '../page/section.js';
import { composition, count, plural, splitInWords } from '../page/words.js';
import { type MapView, mapFigure, patchCrop, projectionCrop, waySwitch } from '../pictures/map_figure.js';

const WAYS = {
  deconvnet: 'what the answer was built from (Zeiler & Fergus 2013)',
  gradient: 'what would change it (Simonyan et al. 2013)',
  guided: 'both conditions at once (Springenberg et al. 2014)',
};

export function featuresSection(context: ReportContext): Section {
  const { dataset, featureSplit, layers, summaries, ownData } = context;
  const convolutions = summaries.filter(isConvolution).length;
  return {
    id: 'features',
    title: 'What every layer looks for',
    body: html`<p>For each map, all ${count(dataset.splits[featureSplit].length)} images of one split (${splitInWords(dataset, featureSplit, ownData)}) were shown to the network, and the nine that the map answered to
most strongly were kept. Each map below shows the strongest of them: right the piece of the image that the map could see, left the same answer
<em>projected</em> back down to pixels: the part of the piece that made the map answer, and nothing else. <strong>Open a map</strong> for all nine.
Nothing there is drawn or averaged; each picture comes from one image alone.</p>
<p>How to read it: where the nine pieces differ but their projections agree, you see what the map cares about, and what it does not mind. Grey means
“did not matter”. Point at a picture, or step through them by keyboard, to see which image it is and how strong the answer was.</p>
${waySwitch('How answers are brought back to pixels', WAYS)}
<p class="note">Which maps: those that answer to their nine images far more than to an average image (the ninth-best answer over the mean of the best answers
of all images). Maps that share most of their nine images, or their favourite class, with one shown already are shown only if there are too few others.
${layers.length < convolutions && `Which layers: ${layers.length} of the network’s ${convolutions} convolutions, evenly spread.`} Contrast is stretched picture by picture:
the shades reach full range at the value that 99.5 % of the projection stays within. At an image’s edge the crop is moved inwards. Negative and
positive are shown alike, as darker and brighter than grey.</p>
${layers.map((layer) => layerPart(context, layer))}`,
  };
}

function layerPart(context: ReportContext, layer: LayerFindings): Html {
  const { preprocess, dataset, featureSplit } = context;
  const { inputSize } = preprocess.options;
  const [height, width] = layer.field;
  const view: MapView = { preprocess, classes: dataset.classes, split: featureSplit, layer: layer.name, field: layer.field };
  const sees = height >= inputSize && width >= inputSize ? 'the whole image' : `${height}×${width} pixels of the image`;
  const alive = layer.maps - layer.dead.length;
  const dead =
    layer.dead.length === 0
      ? `None of its ${plural(layer.maps, 'map')} is dead: each responds to at least one of these images.`
      : `${layer.dead.length} of its ${plural(layer.maps, 'map')} ${layer.dead.length === 1 ? 'is' : 'are'} dead: silent on every one of these images.`;
  const id = `layer-${layer.name.replace(/[^\w-]+/g, '-')}`;
  return html`<section class="layer" id="${id}" aria-labelledby="${id}-title">
<h3 id="${id}-title">${layer.name}</h3>
<p>A point of this layer sees ${sees}. ${dead} ${alive > 0 ? html`Shown: ${plural(layer.chosen.length, 'map')}.` : ''}</p>
<div class="explorer">${layer.chosen.map((map, i) => mapToOpen(view, map, i === 0))}</div>
</section>`;
}

/** Side of the two pictures of a map that is not open, in CSS pixels. */
const THUMB = 72;

function mapToOpen(view: MapView, ways: LayerFindings['chosen'][number], open: boolean): Html {
  const { map, strongest } = ways.deconvnet;
  const [best] = strongest;
  const labels = strongest.map(({ example }) => example.label);
  return html`<details class="open-map"${open ? html` open` : ''}><summary>
${picture(projectionCrop(view, best), '', THUMB)}${picture(patchCrop(view, best), '', THUMB)}
<span><strong>map ${map}</strong> <small>${composition(labels, view.classes)}</small></span></summary>
${mapFigure(view, ways, 'chosen')}</details>`;
}
