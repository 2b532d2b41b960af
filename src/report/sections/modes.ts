/** The same answers brought down to pixels in three ways: deconvnet, gradient and guided backpropagation. */
import { type DeconvMode, type ProjectedActivation, projectBatch } from '../../deconv/index.js';
import { picture, seen } from '../components.js';
import { inputOf } from '../findings.js';
import { html } from '../html.js';
import type { LayerFindings, ReportContext, Section } from '../input.js';
import { signedPicture } from '../pictures.js';
import { className } from '../words.js';

const MODES: readonly { mode: DeconvMode; title: string }[] = [
  { mode: 'deconvnet', title: 'deconvnet' },
  { mode: 'gradient', title: 'gradient' },
  { mode: 'guided', title: 'guided' },
];

/** Side of a picture on the page, in CSS pixels. */
const SIDE = 132;

export async function modesSection(context: ReportContext): Promise<Section | null> {
  const { model, preprocess, dataset } = context;
  const examples = chooseExamples(context.layers);
  if (examples.length === 0) return null;
  const { channels, inputSize } = preprocess.options;
  const shape = [channels, inputSize, inputSize];
  const rows = [];
  for (const { layer, map, activation } of examples) {
    const name = className(dataset.classes[activation.example.label]);
    const cells = [];
    for (const { mode, title } of MODES) {
      const images = inputOf(preprocess, [activation.example]);
      const { pictures } = await projectBatch(model, images, layer, [{ map, position: activation.position }], { mode });
      cells.push(
        html`<td>${picture(signedPicture(await pictures.data(), shape), `${layer} map ${map} projected by ${title}: ${name}`, SIDE)}</td>`,
      );
      images.dispose();
      pictures.dispose();
    }
    rows.push(html`<tr><th scope="row">${layer}<small>map ${map}, ${name}</small></th>
<td>${picture(seen(preprocess, activation.example.image), `The image: ${name}`, SIDE)}</td>${cells}</tr>`);
  }
  return {
    id: 'modes',
    title: 'Three ways down',
    body: html`<p>All three ways walk the same steps back from an answer to the pixels and differ in one place only: what they do at the cut-off at
zero. The <em>gradient</em> asks which pixels would change the answer (Simonyan et al. 2013) and lets through what was positive on the way up.
The <em>deconvnet</em> lets through what is positive on the way down. <em>Guided</em> backpropagation (Springenberg et al. 2014) asks for both, and
draws the cleanest outlines.</p>
<div class="scroll" tabindex="0" role="region" aria-label="Three ways down, side by side"><table class="modes">
<caption class="hidden">The strongest answer of a map, projected in three ways</caption>
<thead><tr><th scope="col"><span class="hidden">Map</span></th><th scope="col">image</th>${MODES.map(({ title }) => html`<th scope="col">${title}</th>`)}</tr></thead>
<tbody>${rows}</tbody></table></div>`,
  };
}

/** The strongest answer of the first map shown of the upper layers. */
function chooseExamples(layers: readonly LayerFindings[]): { layer: string; map: number; activation: ProjectedActivation }[] {
  return layers.slice(-4).flatMap(({ name, chosen }, i) => {
    const map = chosen[Math.min(i, chosen.length - 1)];
    return map ? [{ layer: name, map: map.map, activation: map.strongest[0] }] : [];
  });
}
