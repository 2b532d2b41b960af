/** One feature map in a figure: its strongest activations projected, beside the pieces of image they come from (paper, Fig. 2). */
import type { Example, Image } from '../../data/dataset.js';
import type { ProjectedActivation, ProjectedMap, StrongActivation } from '../../deconv/index.js';
import type { Preprocess } from '../../zfnet/index.js';
import { seen, sheet } from '../page/components.js';
import { type Html, html } from '../page/html.js';
import { className, composition } from '../page/words.js';
import { type Box, cropPicture, cropPlanes, signedPicture, windowAround } from './pictures.js';

/** Where a map's images are from, and what a point of its layer sees. */
export interface MapView {
  preprocess: Preprocess;
  classes: readonly string[];
  /** Name of the split. */
  split: string;
  /** Layer name. */
  layer: string;
  /** [height, width] of what one activation sees, no larger than the image. */
  field: readonly [number, number];
}

/**
 * The figure of a map.
 *
 * @param ways the same activations projected, one way or in several, by the name of the way; one alone needs no name
 * @param show all ways side by side, or the one that a switch elsewhere on the page has chosen (see `waySwitch`)
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
    `${view.split} image ${index}: ${className(view.classes[example.label])}, answer ${value.toPrecision(3)}`;
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
  const alt = `What made map ${map.map} of ${view.layer} answer in its ${n} strongest images: ${who}${names.length > 1 ? ` (${name})` : ''}`;
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
    `The ${n} pieces of image that belong to them`,
    false,
  ),
)}
</div></figure>`;
}

const IMAGE = 'image';

/** Lets the reader choose among ways: what figures made with `show: 'chosen'` show. The first is chosen to begin with. */
export const waySwitch = (question: string, ways: Readonly<Record<string, string>>): Html =>
  html`<fieldset class="switch"><legend>${question}</legend>${Object.entries(ways).map(
    ([way, words], i) =>
      html`<label><input type="radio" name="way" value="${way}"${i === 0 ? html` checked` : ''}> <span>${way}</span> <small>${words}</small></label>`,
  )}</fieldset>`;

type View = Pick<MapView, 'preprocess' | 'field'>;

/** The projection inside a window around the activation's patch; its contrast is stretched. */
export function projectionCrop(view: View, { patch, projection }: Pick<ProjectedActivation, 'patch' | 'projection'>): Image {
  const { inputSize, channels } = view.preprocess.options;
  const { values, shape } = cropPlanes(projection, [channels, inputSize, inputSize], windowOf(view, patch));
  return signedPicture(values, shape);
}

/** The image inside the same window. */
export const patchCrop = (view: View, { patch, example }: { patch: StrongActivation['patch']; example: Example }): Image =>
  cropPicture(seen(view.preprocess, example.image), windowOf(view, patch));

function windowOf({ preprocess, field }: View, patch: Box): Box {
  const { inputSize } = preprocess.options;
  return windowAround(patch, field, inputSize, inputSize);
}

/** `in 3 styles`, or the one that they share. */
function stylesOf(map: ProjectedMap): string {
  const styles = new Set(map.strongest.map(({ example }) => example.details?.style));
  styles.delete(undefined);
  if (styles.size === 0) return '';
  return styles.size === 1 ? `all in the style of ${[...styles].join()}` : `in ${styles.size} styles`;
}
