/** Fig. 4: how what maps look for forms during training, and which layers settle first. */

import * as Plot from '@observablehq/plot';
import { explained } from '../../backend/validate.js';
import type { Dataset, Image } from '../../data/dataset.js';
import { type Evolution, type EvolutionPictures, fieldSize, type LayerEvolution, SETTLED } from '../../deconv/index.js';
import type { Network } from '../../nn/index.js';
import type { Preprocess } from '../../zfnet/index.js';
import { apart, chart } from '../charts/charts.js';
import type { Experiment } from '../experiment.js';
import { picture, table } from '../page/components.js';
import { type Html, html } from '../page/html.js';
import { count, list, percent, plural } from '../page/words.js';
import { label } from '../pictures/label.js';
import { projectionCrop } from '../pictures/map_figure.js';
import { below, blank, contactSheet, cropPicture, inColour, toSide } from '../pictures/pictures.js';

export interface EvolveInput {
  /** The network after the last epoch, for what its layers see. */
  model: Network;
  preprocess: Preprocess;
  dataset: Dataset;
  split: string;
  found: Evolution;
  /** The maps to show, as `projectEvolution` made them. */
  pictures: readonly EvolutionPictures[];
}

/** Epochs that the paper’s network was trained for. */
const PAPER_EPOCHS = 70;
const SIDE = 64;
const GAP = 6;
/** One a layer, from the first to the last: literal colours, as a chart of its own has no page to take them from. */
const COLOURS = ['#c77d2b', '#a14f3c', '#7a4a86', '#3f5fa8', '#1f7f7a', '#4f7d2a', '#68635b'];

export function evolveExperiment(input: EvolveInput): Experiment {
  return explained('evolveExperiment', 'an object { model, preprocess, dataset, split, found, pictures } with what evolution() gave', () =>
    writeEvolveExperiment(input),
  );
}

function writeEvolveExperiment(input: EvolveInput): Experiment {
  const { found, dataset, split, pictures } = input;
  const { epochs, images, layers } = found;
  const sheets = layers.flatMap(({ layer }) => {
    const rows = pictures.filter((row) => row.layer === layer);
    return rows.length > 0 ? [{ layer, rows, image: grid(input, layer, rows) }] : [];
  });
  const all = images === dataset.splits[split].length;
  const charted = settlingChart(found);
  return {
    name: 'evolve',
    numbers: { epochs, split, images, layers },
    pictures: {
      ...Object.fromEntries(sheets.map(({ layer, image }) => [keyOf(layer), image])),
      [SETTLING]: { svg: charted.parts.join('') },
    },
    section: {
      id: 'evolve',
      title: 'How features form',
      body: html`<p>${plural(epochs.length, 'state')} of the network were kept while it learned, after ${epochs.length > 12 ? `epochs ${epochs[0]} to ${epochs.at(-1)}` : `${epochs.length === 1 ? 'epoch' : 'epochs'} ${list(epochs.map(String))}`}. Each was shown
${all ? `all ${count(images)}` : `a random sample of ${count(images)}, the same at every epoch,`} of the ${count(dataset.splits[split].length)} images of “${split}”. A row below is a map, a column an epoch: what in its
strongest image the map responded to at that time, projected to pixels. A sudden jump can mean that another image has become the strongest.</p>
<figure class="chart">${charted}</figure>
<p>The curves compare the layers: how much a map’s answers to all the images resemble, after each epoch, those that it gives at the end (their correlation; the
median over the layer’s maps). A layer counts as settled once this stays above ${SETTLED}. ${settling(layers, epochs)}</p>
${settlingTable(layers, epochs)}
<p class="note">A learning rate that falls makes everything settle towards the end, so only differences between layers mean something.${epochs[epochs.length - 1] < PAPER_EPOCHS ? ` The paper’s network was trained for ${PAPER_EPOCHS} epochs, this one for ${epochs[epochs.length - 1]}.` : ''}
Contrast is stretched picture by picture.</p>
${sheets.map(
  ({ layer, rows, image }) => html`<section class="layer"><h3>${layer}</h3>
<figure class="scroll" tabindex="0" role="region" aria-label="Maps of ${layer} by epoch">${picture(
    image,
    `${plural(rows.length, 'map')} of ${layer}, a row each, after epochs ${list(epochs.map(String))}: what each answered to most strongly`,
    image.width,
  )}
<figcaption>Maps ${list(rows.map(({ map }) => String(map)))}, from the top; epochs ${list(epochs.map(String))}, from the left.</figcaption></figure></section>`,
)}`,
    },
  };
}

/** Whether it came out as in the paper, in words. */
export function settling(layers: readonly LayerEvolution[], epochs: readonly number[]): string {
  const paper = 'Zeiler & Fergus saw the lower layers settle within a few epochs, the upper ones only after 40 to 50 of their 70.';
  const [first, last] = [layers[0], layers[layers.length - 1]];
  if (layers.length < 2) return paper;
  const [low, high] = [first.settled, last.settled];
  const end = epochs[epochs.length - 1];
  const early = [first, last].map(({ layer, likeness }) => `${layer} ${likeness[0].toFixed(2)}`);
  const order =
    low < high
      ? `Here too the lowest layer settles first: ${first.layer} at epoch ${low} and ${last.layer} at epoch ${high} of ${end}.`
      : low > high
        ? `Here it is the other way round: ${first.layer} settles at epoch ${low} and ${last.layer} at epoch ${high} of ${end}.`
        : `Here ${first.layer} and ${last.layer} settle at the same epoch, ${low} of ${end}; after epoch ${epochs[0]} the likeness to the end is ${list(early)}.`;
  const trivial = Math.max(low, high) === end ? ' (At the last epoch every layer counts as settled.)' : '';
  return `${paper} ${order}${trivial}`;
}

function settlingTable(layers: readonly LayerEvolution[], epochs: readonly number[]): Html {
  const middle = Math.floor((epochs.length - 1) / 2);
  return table(
    'When the layers settle',
    ['layer', 'settled at epoch', `likeness after epoch ${epochs[0]}`, `same strongest image after epoch ${epochs[middle]}`],
    layers.map(({ layer, settled, likeness, sameImage }) => [layer, String(settled), likeness[0].toFixed(2), percent(sameImage[middle])]),
    [1, 2, 3],
  );
}

/** Lines over epochs that meet at 1, so each is named where it begins. */
function settlingChart({ epochs, layers }: Evolution): Html {
  const spoken = layers.map(({ layer, likeness }) => `${layer} ${likeness[0].toFixed(2)}`);
  const colourOf = (layer: string) => COLOURS[layers.findIndex((each) => each.layer === layer) % COLOURS.length];
  const points = layers.flatMap(({ layer, likeness }) => likeness.map((y, i) => ({ layer, epoch: epochs[i], y })));
  const names = apart(
    layers.map(({ layer, likeness }) => ({ layer, y: likeness[0] })),
    0.055,
  );
  return chart(
    {
      width: 560,
      height: 320,
      marginLeft: 104,
      marginTop: 28,
      marginBottom: 44,
      x: { label: 'epoch', ticks: [...epochs], tickFormat: 'd', insetLeft: 8 },
      y: { label: 'likeness to the end', grid: true, domain: [Math.min(0, ...points.map(({ y }) => y)), 1], ticks: 5 },
      marks: [
        Plot.ruleY([SETTLED], { strokeDasharray: '2,4', strokeOpacity: 0.6 }),
        Plot.lineY(points, {
          x: 'epoch',
          y: 'y',
          z: 'layer',
          stroke: ({ layer }: { layer: string }) => colourOf(layer),
          strokeWidth: 2,
          curve: 'monotone-x',
        }),
        Plot.dot(points, { x: 'epoch', y: 'y', fill: ({ layer }: { layer: string }) => colourOf(layer), r: 2.5 }),
        Plot.text(names, {
          y: 'y',
          frameAnchor: 'left',
          text: 'layer',
          fill: ({ layer }: { layer: string }) => colourOf(layer),
          textAnchor: 'end',
          dx: -36,
          fontWeight: 600,
        }),
      ],
      color: { type: 'identity' },
    },
    `How much the answers of each layer resemble those at the end. After epoch ${epochs[0]}: ${list(spoken)}; 1 after the last.`,
  );
}

/** Key of the chart of all layers. */
const SETTLING = 'settling';

/** Key of a layer's picture; a layer may be called what the chart is called. */
const keyOf = (layer: string): string => (/^(layer )*settling$/.test(layer) ? `layer ${layer}` : layer);

/** Rows of maps, their numbers at the left; columns of epochs, their numbers below. */
function grid({ model, preprocess, found }: EvolveInput, layer: string, rows: readonly EvolutionPictures[]): Image {
  const { channels, inputSize } = preprocess.options;
  const view = { preprocess, field: fieldSize(model, layer, [1, channels, inputSize, inputSize]) };
  const cells = rows.map(({ strongest }) => strongest.map((activation) => inColour(toSide(projectionCrop(view, activation), SIDE))));
  const { width, height } = cells[0][0];
  const head = (text: string) => below(blank(width, (height - 14) >> 1, 255), label(text));
  const body = rows.flatMap(({ map }, r) => [head(String(map)), ...cells[r]]);
  const foot = [blank(width, 1, 255), ...found.epochs.map((epoch) => label(String(epoch)))];
  const sheet = contactSheet([...body, ...foot], { columns: 1 + found.epochs.length, gap: GAP, margin: GAP });
  // The row of numbers is as high as the others; what is empty of it goes.
  const empty = height - Math.max(...foot.map((each) => each.height));
  return cropPicture(sheet, [0, 0, sheet.height - empty, sheet.width]);
}
