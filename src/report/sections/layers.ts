/** The network as a table: one row per layer. */

import { isWeighted } from '../../analysis/hidden_layers.js';
import { type LayerSummary, type Network, Sequential } from '../../nn/index.js';
import type { ReportContext } from '../input.js';
import { table } from '../page/components.js';
import { html } from '../page/html.js';
import type { Section } from '../page/section.js';
import { count, list } from '../page/words.js';

const SMALL_PATTERNS = 'looks for small patterns everywhere';
const STRONGEST = 'keeps the strongest of each neighbourhood';
const AVERAGE = 'averages each neighbourhood';
const COMPETE = 'lets neighbouring maps compete';
const EVERYTHING = 'weighs everything together';

/** By the kind of layer, ours and then ONNX's. */
const IN_WORDS: Record<string, string> = {
  Conv2d: SMALL_PATTERNS,
  MaxPool2d: STRONGEST,
  AvgPool2d: AVERAGE,
  LocalResponseNorm: COMPETE,
  Linear: EVERYTHING,
  Conv: SMALL_PATTERNS,
  MaxPool: STRONGEST,
  AveragePool: AVERAGE,
  GlobalAveragePool: 'averages each map to one number',
  GlobalMaxPool: 'keeps the strongest answer of each map',
  LRN: COMPETE,
  Gemm: EVERYTHING,
  MatMul: EVERYTHING,
  Add: 'adds what two branches found',
  Concat: 'puts the maps of branches side by side',
};

export function layersSection({ model, summaries, preprocess }: ReportContext): Section {
  const rows = summaries.filter(({ kind }) => kind in IN_WORDS);
  const { inputSize } = preprocess.options;
  const sees = ({ receptiveField }: (typeof rows)[number]) => {
    if (receptiveField === null) return 'everything';
    const [height, width] = receptiveField.map(({ size }) => size);
    return height >= inputSize && width >= inputSize ? 'everything' : `${height}×${width}`;
  };
  return {
    id: 'layers',
    title: 'How it is built',
    body: html`<p>An image goes in at the top; every layer works on the outputs of layers above it. A <em>map</em> is a picture of
where in the image a layer found one particular thing. The part of the image that a point of a map sees is its <em>receptive field</em>. ${downwards(rows)} ${rectification(model)}</p>
${table(
  'Layers of the network',
  ['Layer', 'What it does', 'Output', 'Sees (pixels)', 'Parameters'],
  rows.map((row) => [
    row.name,
    IN_WORDS[row.kind],
    row.outputShape.slice(1).join('×'),
    sees(row),
    row.parameters > 0 ? count(row.parameters) : '',
  ]),
  [2, 3, 4],
)}`,
  };
}

/** How the maps change from the first layer with maps to the last, in a sentence; none where they do not change in one direction. */
export function downwards(rows: readonly Pick<LayerSummary, 'outputShape' | 'receptiveField'>[]): string {
  const maps = rows.filter(({ outputShape }) => outputShape.length === 4);
  const places = maps.map(({ outputShape }) => outputShape[2] * outputShape[3]);
  const fields = maps.flatMap(({ receptiveField }) => (receptiveField ? [receptiveField[0].size * receptiveField[1].size] : []));
  const grows = (values: readonly number[]) => values.length > 1 && rises(values) && values[values.length - 1] > values[0];
  const sentences = [
    ...(grows([...places].reverse()) ? ['the maps get coarser'] : []),
    ...(grows(fields) ? ['each of their points sees more of the image'] : []),
  ];
  return sentences.length === 0 ? '' : `Going down, ${list(sentences)}.`;
}

const rises = (values: readonly number[]): boolean => values.every((value, i) => i === 0 || value >= values[i - 1]);

/** Layers that may stand between a layer with weights and its ReLU. */
const BETWEEN = ['BatchNorm2d', 'LocalResponseNorm', 'MaxPool2d', 'AvgPool2d', 'Dropout', 'Flatten'];
/** The most layers that are named. */
const MOST_NAMED = 6;

/** Behind which convolutions and fully connected layers negative values are set to zero, in a sentence. */
export function rectification(model: Network): string {
  const weighted = model.layerNames().filter((name) => isWeighted(model.layer(name)));
  if (weighted.length === 0) return '';
  const behind = weighted.map((name) => ({ name, kind: activationBehind(model, name) }));
  const others = behind.filter(({ kind }) => kind !== 'ReLU').map(({ name }) => name);
  const limited = behind.filter(({ kind }) => kind === 'Clip').length;
  const clipped = limited > 0 ? ` Behind ${limited} of them values are limited to a range (Clip).` : '';
  if (others.length === weighted.length) return `No convolution or fully connected layer is followed by a ReLU.${clipped}`;
  const done = 'negative values are set to zero (ReLU)';
  if (others.length === 0) return `Behind every convolution and fully connected layer ${done}.`;
  if (others.length === 1 && others[0] === weighted[weighted.length - 1])
    return `Behind every convolution and fully connected layer but the last ${done}.`;
  const named = others.length > MOST_NAMED ? `the other ${others.length}` : list(others);
  return `Behind ${weighted.length - others.length} of the ${weighted.length} convolutions and fully connected layers ${done}, but not behind ${named}.${clipped}`;
}

/** `featureLayer` gives the activation behind a layer where there is one; in a row of layers others may stand between. */
function activationBehind(model: Network, name: string): 'ReLU' | 'Clip' | null {
  const names = model.layerNames();
  let at = names.indexOf(model.featureLayer(name));
  const kindAt = () => model.layer(names[at]).kind;
  if (names[at] === name && model instanceof Sequential) {
    at++;
    while (at < names.length && BETWEEN.includes(kindAt())) at++;
  }
  if (at < 0 || at >= names.length || names[at] === name) return null;
  if (kindAt() === 'Clip') return 'Clip';
  return kindAt() === 'ReLU' || kindAt() === 'Relu' ? 'ReLU' : null;
}
