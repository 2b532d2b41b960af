/** Shows what every convolution layer responds to, as in the paper's Fig. 2: maps to open, with projections next to image patches. */

import { isConvolution } from '../../nn/index.js';
import type { LayerFindings, ReportContext } from '../input.js';
import { picture } from '../page/components.js';
import { type Html, html } from '../page/html.js';
import type { Section } from '../page/section.js';
import { composition, count, plural, splitInWords } from '../page/words.js';
import { type MapView, mapFigure, patchCrop, projectionCrop, waySwitch } from '../pictures/map_figure.js';

/** The rules of the backward pass, each with a short explanation. */
const RULES_IN_WORDS = {
  deconvnet: 'shows the pattern that caused the activation (Zeiler & Fergus 2013)',
  gradient: 'shows which pixels would change the activation (Simonyan et al. 2013)',
  guided: 'applies both conditions (Springenberg et al. 2014)',
};

export function featuresSection(context: ReportContext): Section {
  const { dataset, featureSplit, layers, summaries, ownData } = context;
  const convolutions = summaries.filter(isConvolution).length;
  return {
    id: 'features',
    title: 'What every layer responds to',
    body: html`<p>The network processed all ${count(dataset.splits[featureSplit].length)} images of one split
(${splitInWords(dataset, featureSplit, ownData)}). For each map, the nine images with the strongest
<em>activations</em> were kept; an activation is the value of a map at one position, and is large where the map finds its pattern. Each map
below shows the strongest
of the nine: on the right the image patch that the activation depends on, on the left the activation <em>projected</em> back to pixels,
which shows the part
of the patch that caused it. <strong>Open a map</strong> to see all nine. The pictures are not averaged: each comes from one image.</p>
<p>How to read the pictures: if the nine patches differ and their projections agree, the projections show what the map responds to, and the
differences show what it ignores. Grey means zero: these pixels did not contribute. Point at a picture, or step through the pictures by
keyboard, to see which
image it is and how large the activation was.</p>
${waySwitch('Rules of the backward pass, which projects activations to pixels', RULES_IN_WORDS)}
<p class="note">Selection of maps: the most selective ones, by the ninth-strongest activation divided by the mean of the strongest
activations of all images. A map that shares
most of its nine images, or its most frequent class, with a map already shown is left out if there are enough others.
${layers.length < convolutions && `Selection of layers: ${layers.length} of the ${convolutions} convolutions of the network, evenly spaced.`}
The contrast of each picture is stretched: black and white
stand for the absolute value that 99.5 % of the values of the projection stay below. At the edge of an image the crop is moved inwards.
Positive values
are brighter than grey, negative values darker.</p>
${layers.map((layer) => layerPart(context, layer))}`,
  };
}

function layerPart(context: ReportContext, layer: LayerFindings): Html {
  const { preprocess, dataset, featureSplit } = context;
  const { inputSize } = preprocess.options;
  const [height, width] = layer.field;
  const view: MapView = { preprocess, classes: dataset.classes, split: featureSplit, layer: layer.name, field: layer.field };
  const field = height >= inputSize && width >= inputSize ? 'the whole image' : `${height}×${width} pixels`;
  const alive = layer.maps - layer.dead.length;
  const dead =
    layer.dead.length === 0
      ? `None of its ${plural(layer.maps, 'map')} is dead: at least one of these images activates each.`
      : `${layer.dead.length} of its ${plural(layer.maps, 'map')} ${layer.dead.length === 1 ? 'is' : 'are'} dead: none of these images activates ${layer.dead.length === 1 ? 'it' : 'them'}.`;
  const id = `layer-${layer.name.replace(/[^\w-]+/g, '-')}`;
  return html`<section class="layer" id="${id}" aria-labelledby="${id}-title">
<h3 id="${id}-title">${layer.name}</h3>
<p>Receptive field (the part of the image that one activation depends on): ${field}. ${dead}
${alive > 0 ? html`${plural(layer.chosen.length, 'map is', 'maps are')} shown.` : ''}</p>
<div class="explorer">${layer.chosen.map((map, i) => mapToOpen(view, map, i === 0))}</div>
</section>`;
}

/** Side of the two pictures of a closed map, in CSS pixels. */
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
