/** Fig. 7 over a whole split: how much of the drop of the true class's probability lies where the object is. */

import * as Plot from '@observablehq/plot';
import { explained } from '../../backend/validate.js';
import type { SplitOcclusion } from '../../deconv/index.js';
import { chart } from '../charts/charts.js';
import type { Experiment } from '../experiment.js';
import { table } from '../page/components.js';
import { html } from '../page/html.js';
import { percent, percentsApart, plural } from '../page/words.js';
import { panelFigure } from './panels.js';

/** What `occlude-boxes.json` holds; the section is made of it alone. */
export interface OccludeBoxesNumbers extends SplitOcclusion {
  data: string;
  split: string;
  square: number;
  stride: number;
  grey: number;
}

export function occludeBoxesExperiment(numbers: OccludeBoxesNumbers): Experiment {
  return explained('occludeBoxesExperiment', 'what occludeSplit() gave, with its settings', () => writeOccludeBoxesExperiment(numbers));
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
      x: { domain: [0, 100], percent: true, label: 'box’s share of the area (%)', grid: true },
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
    `A dot an image: the share of the drop inside the object's box over the box's share of the area. ${above} of ${points.length} lie above the line where both are equal.`,
  );
  const row = (name: string, { mean, deviation }: { mean: number; deviation: number }) => [name, percent(mean), percent(deviation)];
  return {
    name: 'occlude-boxes',
    numbers,
    pictures: { '': { svg: panelFigure([{ title: `${plural(fell, 'image')} of “${split}”`, content: drawn }], 1, [360, 380]) } },
    section: {
      id: 'occlude-boxes',
      title: 'Does the answer depend on the object?',
      body: html`<p>In ${plural(images, 'image')} it is known where the object lies. A grey square of ${square}×${square} pixels was moved over each of them in steps of ${plural(stride, 'pixel')}, and at each
place it was noted by how much the probability of the right class fell. The fall was spread evenly over the square, and added up inside the object’s box.</p>
<p>${verdict(numbers)} A network that looks just anywhere would have about as much of the fall there as of the area; one that looks at the object
alone, nearly all of it.</p>
${table('Share of the drop inside the object’s box, beside its share of the area', ['', 'mean', 'deviation from image to image'], [row('Drop of the probability inside the box', drop), row('Box’s share of the area', area)], [1, 2])}
<figure class="single">${drawn}<figcaption>A dot an image; the ring is the mean. Above the dashed line the object counts for more than its area.</figcaption></figure>
<p class="note">The share of the area counts what squares covered, as the share of the fall does: it is the share that a fall equal everywhere would have. A box’s corners belong to the background, and a
square half on the object spreads its fall on both sides, so that even a perfect answer stays below 100 %.${images > fell ? ` In ${plural(images - fell, 'image')} the probability fell nowhere: not counted.` : ''} The paper showed this on three photographs,
without boxes; it gives no number to compare with.</p>`,
    },
  };
}

/** Whether the object has more of the fall than of the area, in sentences. */
function verdict({ images, fell, shares, drop, area }: OccludeBoxesNumbers): string {
  const points = shares.filter((share) => share.drop !== null);
  if (fell === 0 || points.length === 0) return `In none of the ${plural(images, 'image')} did the probability fall anywhere.`;
  const [inside, size] = percentsApart(drop.mean, area.mean);
  const compared = drop.mean > area.mean ? 'more than' : drop.mean < area.mean ? 'less than' : 'exactly';
  const above = points.filter((point) => point.drop! > point.area).length;
  return `On average ${inside} of the fall lies inside the box, ${compared} its share of the area, ${size}. In ${above} of ${plural(points.length, 'image')} the object has more of the fall than of the area.`;
}
