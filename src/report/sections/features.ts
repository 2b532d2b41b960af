/** What every convolution layer looks for, as in the paper's Fig. 2: projections next to the patches of image they come from. */
import { type Html, html } from '../html.js';
import type { LayerFindings, ReportContext, Section } from '../input.js';
import { mapFigure } from '../map_figure.js';
import { count, plural, splitInWords } from '../words.js';

export function featuresSection(context: ReportContext): Section {
  const { dataset, featureSplit } = context;
  return {
    id: 'features',
    title: 'What every layer looks for',
    body: html`<p>For each map, all ${count(featureSplit.length)} test images (${splitInWords(dataset, featureSplit.name)}) were shown to the network, and the nine that the map answered to
most strongly were kept. On the right are the pieces of those images that the map could see. On the left, the same answers
<em>projected</em> back down to pixels by the deconvnet (Zeiler &amp; Fergus 2013): the part of each piece that made the map answer, and nothing
else. Nothing there is drawn or averaged; each picture comes from one image alone.</p>
<p>How to read it: where the nine pieces differ but their projections agree, you see what the map cares about, and what it does not mind. Grey means
“did not matter”. Point at a picture, or step through them by keyboard, to see which image it is and how strong the answer was.</p>
<p class="note">Which maps: those that answer to their nine images far more than to an average image (the ninth-best answer over the mean of the best answers
of all images), leaving out maps that share most of their nine images, or their favourite class, with one shown already. Contrast is stretched picture by picture:
the shades reach full range at the value that 99.5 % of the projection stays within. At an image’s edge the crop is moved inwards. Negative and
positive are shown alike, as darker and brighter than grey.</p>
${context.layers.map((layer) => layerPart(context, layer))}`,
  };
}

function layerPart(context: ReportContext, layer: LayerFindings): Html {
  const { dataset, preprocess, featureSplit } = context;
  const view = { preprocess, classes: dataset.classes, split: featureSplit.name, layer: layer.name, field: layer.field };
  const { inputSize } = preprocess.options;
  const [height, width] = layer.field;
  const sees = height >= inputSize && width >= inputSize ? 'the whole image' : `${height}×${width} pixels of the image`;
  const alive = layer.maps - layer.dead.length;
  const dead =
    layer.dead.length === 0
      ? `None of its ${plural(layer.maps, 'map')} is dead.`
      : `${layer.dead.length} of its ${plural(layer.maps, 'map')} ${layer.dead.length === 1 ? 'is' : 'are'} dead: silent on every one of these images.`;
  return html`<section class="layer" id="${layer.name}" aria-labelledby="${layer.name}-title">
<h3 id="${layer.name}-title">${layer.name}</h3>
<p>A point of this layer sees ${sees}. ${dead} ${alive > 0 ? html`Shown: ${plural(layer.chosen.length, 'map')}.` : ''}</p>
<div class="maps">${layer.chosen.map((map) => mapFigure(view, { deconvnet: map }))}</div>
</section>`;
}
