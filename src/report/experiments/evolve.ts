/** Fig. 4: how the features form during training, and which layers settle first. */
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

/** What the page on the evolution of features shows. */
export interface EvolveInput {
  /** The network after the last epoch; its receptive fields give the size of the crops. */
  model: Network;
  /** Preprocessing of the run, to show crops as the network sees them. */
  preprocess: Preprocess;
  /** Data set that `found` indexes into. */
  dataset: Dataset;
  /** Name of the split that `found` indexes into. */
  split: string;
  /** Result of `evolution`. */
  found: Evolution;
  /** Maps to show: the result of `projectEvolution`. */
  pictures: readonly EvolutionPictures[];
}

/** Number of epochs of training in the paper. */
const PAPER_EPOCHS = 70;
const SIDE = 64;
const GAP = 6;
/** Colours of the layers, from the first to the last. The chart is also a file, so it cannot use the colour variables of the page. */
const COLOURS = ['#c77d2b', '#a14f3c', '#7a4a86', '#3f5fa8', '#1f7f7a', '#4f7d2a', '#68635b'];

/** Returns the page and pictures of the evolution of features during training. */
export function evolveExperiment(input: EvolveInput): Experiment {
  return explained(
    'evolveExperiment',
    'an object { model, preprocess, dataset, split, found, pictures } with the result of evolution()',
    () => writeEvolveExperiment(input),
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
      body: html`<p>During training, ${plural(epochs.length, 'checkpoint')} (copies of the weights) were kept, after
${epochs.length > 12 ? `epochs ${epochs[0]} to ${epochs.at(-1)}` : `${epochs.length === 1 ? 'epoch' : 'epochs'} ${list(epochs.map(String))}`}.
The network of each checkpoint
processed ${all ? `all ${count(images)}` : `a random sample of ${count(images)}, the same at every epoch,`} of the
${count(dataset.splits[split].length)} images of “${split}”. Below, each row is a map and each column an epoch; the picture is the
strongest activation of the map at that epoch, projected to pixels. A sudden change can mean that another image now has the strongest
activation.</p>
<figure class="chart">${charted}</figure>
<p>The curves show the similarity of each layer to its final state: the correlation between the activations of a map on all images after an
epoch and after the last epoch, as the
median over the maps of the layer. A layer counts as settled from the epoch on at which its similarity stays above ${SETTLED}.
${settling(layers, epochs)}</p>
${settlingTable(layers, epochs)}
<p class="note">A decreasing learning rate lets every layer settle towards the end, so only differences between layers are
meaningful.${epochs[epochs.length - 1] < PAPER_EPOCHS ? ` The paper’s network was trained for ${PAPER_EPOCHS} epochs, this one for ${epochs[epochs.length - 1]}.` : ''}
The contrast of each picture is stretched.</p>
${sheets.map(
  ({ layer, rows, image }) => html`<section class="layer"><h3>${layer}</h3>
<figure class="scroll" tabindex="0" role="region" aria-label="Maps of ${layer} by epoch">${picture(
    image,
    `${plural(rows.length, 'map')} of ${layer}, a row each, after epochs ${list(epochs.map(String))}: the strongest activation of each, projected`,
    image.width,
  )}
<figcaption>Maps ${list(rows.map(({ map }) => String(map)))}, from the top; epochs ${list(epochs.map(String))}, from the
left.</figcaption></figure></section>`,
)}`,
    },
  };
}

/** Sentences that compare the order in which the layers settle with that in the paper. */
export function settling(layers: readonly LayerEvolution[], epochs: readonly number[]): string {
  const paper = 'In the paper, the lower layers settle within a few epochs and the upper layers only after 40 to 50 of 70 epochs.';
  const [first, last] = [layers[0], layers[layers.length - 1]];
  if (layers.length < 2) return paper;
  const [low, high] = [first.settled, last.settled];
  const end = epochs[epochs.length - 1];
  const early = [first, last].map(({ layer, likeness }) => `${layer} ${likeness[0].toFixed(2)}`);
  const order =
    low < high
      ? `Here too, the lowest layer settles first: ${first.layer} at epoch ${low} and ${last.layer} at epoch ${high} of ${end}.`
      : low > high
        ? `Here the order is reversed: ${first.layer} settles at epoch ${low} and ${last.layer} at epoch ${high} of ${end}.`
        : `Here ${first.layer} and ${last.layer} settle at the same epoch, ${low} of ${end}; after epoch ${epochs[0]} their similarity to the last epoch is ${list(early)}.`;
  const trivial = Math.max(low, high) === end ? ' (At the last epoch every layer counts as settled.)' : '';
  return `${paper} ${order}${trivial}`;
}

function settlingTable(layers: readonly LayerEvolution[], epochs: readonly number[]): Html {
  const middle = Math.floor((epochs.length - 1) / 2);
  return table(
    'When the layers settle',
    [
      'layer',
      'settled at epoch',
      `similarity to the last epoch after epoch ${epochs[0]}`,
      `same strongest image after epoch ${epochs[middle]}`,
    ],
    layers.map(({ layer, settled, likeness, sameImage }) => [layer, String(settled), likeness[0].toFixed(2), percent(sameImage[middle])]),
    [1, 2, 3],
  );
}

/** Draws the similarities over the epochs. All lines end at 1, so their names are at their beginnings. */
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
      y: { label: 'similarity to the last epoch', grid: true, domain: [Math.min(0, ...points.map(({ y }) => y)), 1], ticks: 5 },
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
    `Similarity of each layer to its state after the last epoch. After epoch ${epochs[0]}: ${list(spoken)}; 1 after the last epoch.`,
  );
}

/** Key of the chart of all layers. */
const SETTLING = 'settling';

/** Key of the picture of a layer. A layer may have the name of the chart. */
const keyOf = (layer: string): string => (/^(layer )*settling$/.test(layer) ? `layer ${layer}` : layer);

/** Returns a sheet with one row per map, its number at the left, and one column per epoch, its number below. */
function grid({ model, preprocess, found }: EvolveInput, layer: string, rows: readonly EvolutionPictures[]): Image {
  const { channels, inputSize } = preprocess.options;
  const view = { preprocess, field: fieldSize(model, layer, [1, channels, inputSize, inputSize]) };
  const cells = rows.map(({ strongest }) => strongest.map((activation) => inColour(toSide(projectionCrop(view, activation), SIDE))));
  const { width, height } = cells[0][0];
  const head = (text: string) => below(blank(width, (height - 14) >> 1, 255), label(text));
  const body = rows.flatMap(({ map }, r) => [head(String(map)), ...cells[r]]);
  const foot = [blank(width, 1, 255), ...found.epochs.map((epoch) => label(String(epoch)))];
  const sheet = contactSheet([...body, ...foot], { columns: 1 + found.epochs.length, gap: GAP, margin: GAP });
  // The row of numbers has the height of the other rows; its empty part is cut off.
  const empty = height - Math.max(...foot.map((each) => each.height));
  return cropPicture(sheet, [0, 0, sheet.height - empty, sheet.width]);
}
