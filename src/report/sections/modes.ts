/** Compares the projections of the same activations by three sets of rules: deconvnet, gradient and guided backpropagation. */
import type { DeconvMode } from '../../deconv/index.js';
import type { LayerFindings, ReportContext } from '../input.js';
import { picture, seen } from '../page/components.js';
import { html } from '../page/html.js';
import type { Section } from '../page/section.js';
import { className, list } from '../page/words.js';
import { signedPicture } from '../pictures/pictures.js';

const MODES: readonly DeconvMode[] = ['deconvnet', 'gradient', 'guided'];

/** Side of a picture on the page, in CSS pixels. */
const SIDE = 132;

export function modesSection({ preprocess, dataset, layers, summaries }: ReportContext): Section | null {
  const examples = chooseExamples(layers);
  if (examples.length === 0) return null;
  const { channels, inputSize } = preprocess.options;
  const shape = [channels, inputSize, inputSize];
  const rows = examples.map(({ layer, ways }) => {
    const { map, strongest } = ways.deconvnet;
    const { image, label } = strongest[0].example;
    const name = className(dataset.classes[label]);
    const cells = MODES.map((mode) => {
      const projected = signedPicture(ways[mode].strongest[0].projection, shape);
      return html`<td>${picture(projected, `${layer} map ${map} projected by ${mode}: ${name}`, SIDE)}</td>`;
    });
    return html`<tr><th scope="row">${layer}<small>map ${map}, ${name}</small></th>
<td>${picture(seen(preprocess, image), `The image: ${name}`, SIDE)}</td>${cells}</tr>`;
  });
  return {
    id: 'modes',
    title: 'Three sets of rules for the backward pass',
    body: html`<p>An activation is projected to pixels by a backward pass through the network. Three sets of rules differ in how the
projected signal passes a ReLU, which sets negative values
to zero in the forward pass. The <em>gradient</em> (Simonyan et al. 2013) shows which pixels would change the activation: the signal passes
where the input of the ReLU was positive.
With the rules of the <em>deconvnet</em> (Zeiler &amp; Fergus 2013) it passes where the signal itself is positive. <em>Guided</em>
backpropagation (Springenberg et al. 2014) requires
both.${normalizes(summaries) && ' The deconvnet also passes the signal unchanged through contrast normalisation; the other two use the gradient of the normalisation.'}
${likeness(examples)}</p>
<div class="scroll" tabindex="0" role="region" aria-label="Projections by three sets of rules, side by side"><table class="modes">
<caption class="hidden">The strongest activation of a map, projected by three sets of rules</caption>
<thead><tr><th scope="col"><span class="hidden">Map</span></th><th scope="col">image</th>${MODES.map((mode) => html`<th scope="col">${mode}</th>`)}</tr></thead>
<tbody>${rows}</tbody></table></div>`,
  };
}

type Example = ReturnType<typeof chooseExamples>[number];

const normalizes = (summaries: ReportContext['summaries']): boolean =>
  summaries.some(({ kind }) => kind === 'LocalResponseNorm' || kind === 'LRN');

/** A sentence on the examples whose three projections are equal; empty if there are none. */
export function likeness(examples: readonly Pick<Example, 'layer' | 'ways'>[]): string {
  const alike = examples.filter(({ ways }) => {
    const [first, ...others] = MODES.map((mode) => ways[mode].strongest[0].projection);
    return others.every((other) => other.every((value, i) => value === first[i]));
  });
  if (alike.length === 0) return '';
  if (alike.length === examples.length) return 'In this network all three give equal projections of the examples below.';
  return `For ${list(alike.map(({ layer }) => layer))} all three give equal projections here.`;
}

/** Returns a map of each of the last four layers. */
function chooseExamples(layers: readonly LayerFindings[]): { layer: string; ways: LayerFindings['chosen'][number] }[] {
  return layers.slice(-4).flatMap(({ name, chosen }, i) => {
    const ways = chosen[Math.min(i, chosen.length - 1)];
    return ways ? [{ layer: name, ways }] : [];
  });
}
