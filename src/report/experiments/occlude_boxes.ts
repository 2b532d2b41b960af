/** Fig. 7 for a whole split: the share of the drop of the true class's probability that lies inside the object's box. */
import * as Plot from '@observablehq/plot';
import { explained } from '../../backend/validate.js';
import type { SplitOcclusion } from '../../deconv/index.js';
import { chart } from '../charts/charts.js';
import type { Experiment } from '../experiment.js';
import { table } from '../page/components.js';
import { html } from '../page/html.js';
import { percent, percentsApart, plural } from '../page/words.js';
import { panelFigure } from './panels.js';

/** Content of `occlude-boxes.json`, from which the section is written. */
export interface OccludeBoxesNumbers extends SplitOcclusion {
  /** Data source as the user named it. */
  data: string;
  /** Name of the split that the images are from. */
  split: string;
  /** Side of the grey square in pixels of the network's input. */
  square: number;
  /** Distance between neighbouring positions of the square in pixels. */
  stride: number;
  /** Shade of the square, 0 to 255. */
  grey: number;
}

/** Returns the page of occlusions of the objects whose boxes are known. */
export function occludeBoxesExperiment(numbers: OccludeBoxesNumbers): Experiment {
  return explained('occludeBoxesExperiment', 'the result of occludeSplit(), with its settings', () => writeOccludeBoxesExperiment(numbers));
}

function writeOccludeBoxesExperiment(numbers: OccludeBoxesNumbers): Experiment {
  const { split, square, stride, images, fell, shares, drop, area } = numbers;
  const points = shares.filter((share) => share.drop !== null);
  const above = points.filter((point) => point.drop! > point.area).length;
  const drawn = chart(
    {
      width: 380,
      height: 360,
      marginLeft: 52,
      marginBottom: 42,
      x: { domain: [0, 100], percent: true, label: 'share of the area inside the box (%)', grid: true },
      y: { domain: [0, 100], percent: true, label: 'share of the drop inside the box (%)', grid: true },
      marks: [
        Plot.line(
          [
            [0, 0],
            [1, 1],
          ],
          { strokeOpacity: 0.6, strokeDasharray: '3,4' },
        ),
        Plot.dot(points, { x: 'area', y: 'drop', r: 2, fill: '#4269d0', fillOpacity: 0.5 }),
        Plot.dot([{ x: area.mean, y: drop.mean }], { x: 'x', y: 'y', r: 6, stroke: '#b2501f', strokeWidth: 3 }),
      ],
    },
    `One dot per image: the share of the drop inside the object's box against the share of the area inside it. ${above} of ${points.length} dots lie above the line of equal shares.`,
  );
  const row = (name: string, { mean, deviation }: { mean: number; deviation: number }) => [name, percent(mean), percent(deviation)];
  return {
    name: 'occlude-boxes',
    numbers,
    pictures: { '': { svg: panelFigure([{ title: `${plural(fell, 'image')} of “${split}”`, content: drawn }], 1, [360, 380]) } },
    section: {
      id: 'occlude-boxes',
      title: 'Does the prediction depend on the object?',
      body: html`<p>In ${plural(images, 'image')} the box around the object is known. A grey square of ${square}×${square} pixels was moved
over each image in steps of ${plural(stride, 'pixel')}, and at each
position the drop of the probability of the right class was recorded. The drop was distributed evenly over the square and summed inside the
object’s box.</p>
<p>${verdict(numbers)} If the prediction depended on all parts of the image alike, the share of the drop would be about the share of the
area; if it depended on the object
alone, nearly the whole drop would lie inside the box.</p>
${table('Share of the drop inside the object’s box, next to the share of the area', ['', 'mean', 'standard deviation over the images'], [row('Share of the drop inside the box', drop), row('Share of the area inside the box', area)], [1, 2])}
<figure class="single">${drawn}<figcaption>One dot per image; the ring is the mean. Above the dashed line, the share of the drop is larger
than the share of the area.</figcaption></figure>
<p class="note">The share of the area is computed like the share of the drop, for a drop that is equal at all positions. The corners of a
box belong to the background, and a
square that covers the object in part distributes its drop to both sides, so the share stays below 100 % even if only the object
matters.${images > fell ? ` In ${plural(images - fell, 'image')} the probability dropped at no position; ${images - fell === 1 ? 'it is' : 'they are'} not counted.` : ''}
The paper shows three photographs
without boxes and gives no number for comparison.</p>`,
    },
  };
}

/** Sentences that compare the share of the drop with the share of the area. */
function verdict({ images, fell, shares, drop, area }: OccludeBoxesNumbers): string {
  const points = shares.filter((share) => share.drop !== null);
  if (fell === 0 || points.length === 0) return `In none of the ${plural(images, 'image')} did the probability drop at any position.`;
  const [inside, size] = percentsApart(drop.mean, area.mean);
  const compared = drop.mean > area.mean ? 'more than' : drop.mean < area.mean ? 'less than' : 'equal to';
  const above = points.filter((point) => point.drop! > point.area).length;
  return `On average ${inside} of the drop lies inside the box, ${compared} the share of the area, ${size}. In ${above} of ${plural(points.length, 'image')} the share of the drop is larger than that of the area.`;
}
