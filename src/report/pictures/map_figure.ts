/** The figure of a map: its strongest activations projected to pixels, next to the image patches that cause them (paper, Fig. 2). */
import type { Example, Image } from '../../data/dataset.js';
import type { ProjectedActivation, ProjectedMap, StrongActivation } from '../../deconv/index.js';
import type { Preprocess } from '../../zfnet/index.js';
import { seen, sheet } from '../page/components.js';
import { type Html, html } from '../page/html.js';
import { className, composition } from '../page/words.js';
import { type Box, cropPicture, cropPlanes, signedPicture, windowAround } from './pictures.js';

/** The images of a map, and the receptive field of its layer. */
export interface MapView {
  preprocess: Preprocess;
  classes: readonly string[];
  /** Name of the split. */
  split: string;
  /** Layer name. */
  layer: string;
  /** [height, width] of the receptive field in pixels, at most the size of the image. */
  field: readonly [number, number];
}

/**
 * Returns the figure of a map.
 *
 * @param ways the same activations, projected by one or several sets of rules; keys are the names of the rules
 * @param show all projections side by side, or the one that a switch elsewhere on the page selects (see `waySwitch`)
 */
export function mapFigure(view: MapView, ways: Readonly<Record<string, ProjectedMap>>, show: 'all' | 'chosen' = 'all'): Html {
  const names = Object.keys(ways);
  const map = ways[names[0]];
  const n = map.strongest.length;
  const who = composition(
    map.strongest.map(({ example }) => example.label),
    view.classes,
  );
  const styles = stylesOf(map);
  const tip = ({ index, value, example }: ProjectedActivation) =>
    `${view.split} image ${index}: ${className(view.classes[example.label])}, activation ${value.toPrecision(3)}`;
  const cells = (strongest: readonly ProjectedActivation[], picture: (activation: ProjectedActivation) => Image) =>
    strongest.map((activation) => ({ picture: picture(activation), tip: tip(activation) }));
  const named = (name: string, content: Html) => {
    if (names.length === 1) return content;
    const shown = show === 'chosen' && name !== IMAGE ? html` class="way" data-way="${name}"` : '';
    return html`<div${shown}>${content}<small>${name}</small></div>`;
  };
  return html`<figure class="map">
<figcaption><strong>map ${map.map}</strong> <span>${who}</span>${styles && html` <small>${styles}</small>`}</figcaption>
<div class="pair">
${names.map((name, i) => {
  const alt = `Projections of the ${n} strongest activations of map ${map.map} of ${view.layer}: ${who}${names.length > 1 ? ` (${name})` : ''}`;
  return named(
    name,
    sheet(
      cells(ways[name].strongest, (activation) => projectionCrop(view, activation)),
      3,
      alt,
      i === 0 || show === 'chosen',
    ),
  );
})}
${named(
  IMAGE,
  sheet(
    cells(map.strongest, (activation) => patchCrop(view, activation)),
    3,
    `The ${n} image patches of these activations`,
    false,
  ),
)}
</div></figure>`;
}

const IMAGE = 'image';

/** Returns a switch between sets of rules, for figures made with `show: 'chosen'`. The first is selected at the start. */
export const waySwitch = (question: string, ways: Readonly<Record<string, string>>): Html =>
  html`<fieldset class="switch"><legend>${question}</legend>${Object.entries(ways).map(
    ([way, words], i) =>
      html`<label><input type="radio" name="way" value="${way}"${i === 0 ? html` checked` : ''}> <span>${way}</span>
<small>${words}</small></label>`,
  )}</fieldset>`;

type View = Pick<MapView, 'preprocess' | 'field'>;

/** Returns the projection inside a window around the activation's patch, with stretched contrast. */
export function projectionCrop(view: View, { patch, projection }: Pick<ProjectedActivation, 'patch' | 'projection'>): Image {
  const { inputSize, channels } = view.preprocess.options;
  const { values, shape } = cropPlanes(projection, [channels, inputSize, inputSize], windowOf(view, patch));
  return signedPicture(values, shape);
}

/** Returns the image inside the same window. */
export const patchCrop = (view: View, { patch, example }: { patch: StrongActivation['patch']; example: Example }): Image =>
  cropPicture(seen(view.preprocess, example.image), windowOf(view, patch));

function windowOf({ preprocess, field }: View, patch: Box): Box {
  const { inputSize } = preprocess.options;
  return windowAround(patch, field, inputSize, inputSize);
}

/** Returns `in 3 styles`, or the name of the style that all images share. */
function stylesOf(map: ProjectedMap): string {
  const styles = new Set(map.strongest.map(({ example }) => example.details?.style));
  styles.delete(undefined);
  if (styles.size === 0) return '';
  return styles.size === 1 ? `all in the style ${[...styles].join()}` : `in ${styles.size} styles`;
}
