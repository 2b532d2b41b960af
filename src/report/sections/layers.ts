/** Shows the network as a table with one row per layer. */

import { isWeighted } from '../../analysis/hidden_layers.js';
import { type LayerSummary, type Network, Sequential } from '../../nn/index.js';
import type { ReportContext } from '../input.js';
import { table } from '../page/components.js';
import { html } from '../page/html.js';
import type { Section } from '../page/section.js';
import { count, list } from '../page/words.js';

const SMALL_PATTERNS = 'finds small patterns at every position (convolution)';
const STRONGEST = 'keeps the largest value of each neighbourhood (max pooling)';
const AVERAGE = 'averages each neighbourhood (average pooling)';
const COMPETE = 'divides by the activity of neighbouring maps (normalisation)';
const EVERYTHING = 'computes weighted sums of all inputs (fully connected)';

/** Descriptions by the kind of layer, first those of this library, then those of ONNX. */
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
  GlobalMaxPool: 'keeps the largest activation of each map',
  LRN: COMPETE,
  Gemm: EVERYTHING,
  MatMul: EVERYTHING,
  Add: 'adds the maps of two branches',
  Concat: 'joins the maps of several branches',
};

export function layersSection({ model, summaries, preprocess }: ReportContext): Section {
  const rows = summaries.filter(({ kind }) => kind in IN_WORDS);
  const { inputSize } = preprocess.options;
  const fieldText = ({ receptiveField }: (typeof rows)[number]) => {
    if (receptiveField === null) return 'whole image';
    if (receptiveField === 'unknown') return 'unknown';
    const [height, width] = receptiveField.map(({ size }) => size);
    return height >= inputSize && width >= inputSize ? 'whole image' : `${height}×${width}`;
  };
  return {
    id: 'layers',
    title: 'The layers of the network',
    body: html`<p>The image is the input of the first layer; every other layer takes the outputs of layers above it in the table. A
<em>map</em> (feature map) is an
output of a convolution: one value per position of the image, large where the layer found one particular pattern. The part of the image that
one value of a map depends on
is its <em>receptive field</em>. ${downwards(rows)} ${rectification(model)}</p>
${table(
  'Layers of the network',
  ['Layer', 'What it does', 'Output shape', 'Receptive field (pixels)', 'Parameters'],
  rows.map((row) => [
    row.name,
    IN_WORDS[row.kind],
    row.outputShape?.slice(1).join('×') ?? 'unknown',
    fieldText(row),
    row.parameters > 0 ? count(row.parameters) : '',
  ]),
  [2, 3, 4],
)}`,
  };
}

/** A sentence on how the maps change from the first layer to the last; empty if they do not change in one direction. */
export function downwards(rows: readonly Pick<LayerSummary, 'outputShape' | 'receptiveField'>[]): string {
  const maps = rows.filter(({ outputShape }) => outputShape?.length === 4);
  const places = maps.map(({ outputShape }) => outputShape![2] * outputShape![3]);
  const fields = maps.flatMap(({ receptiveField }) =>
    receptiveField && receptiveField !== 'unknown' ? [receptiveField[0].size * receptiveField[1].size] : [],
  );
  const grows = (values: readonly number[]) => values.length > 1 && rises(values) && values[values.length - 1] > values[0];
  const sentences = [
    ...(grows([...places].reverse()) ? ['the maps get smaller'] : []),
    ...(grows(fields) ? ['their receptive fields get larger'] : []),
  ];
  return sentences.length === 0 ? '' : `From layer to layer, ${list(sentences)}.`;
}

const rises = (values: readonly number[]): boolean => values.every((value, i) => i === 0 || value >= values[i - 1]);

/** Kinds of layers that may lie between a layer with weights and its ReLU. */
const BETWEEN = ['BatchNorm2d', 'LocalResponseNorm', 'MaxPool2d', 'AvgPool2d', 'Dropout', 'Flatten'];
/** Largest number of layers that are named. */
const MOST_NAMED = 6;

/** A sentence on the layers after which negative values are set to zero. */
export function rectification(model: Network): string {
  const weighted = model.layerNames().filter((name) => isWeighted(model.layer(name)));
  if (weighted.length === 0) return '';
  const behind = weighted.map((name) => ({ name, kind: activationBehind(model, name) }));
  const others = behind.filter(({ kind }) => kind !== 'ReLU').map(({ name }) => name);
  const limited = behind.filter(({ kind }) => kind === 'Clip').length;
  const clipped = limited > 0 ? ` After ${limited} of them, values are limited to a range (Clip).` : '';
  if (others.length === weighted.length) return `No convolution or fully connected layer is followed by a ReLU.${clipped}`;
  const done = 'negative values are set to zero (ReLU)';
  if (others.length === 0) return `After every convolution and fully connected layer, ${done}.`;
  if (others.length === 1 && others[0] === weighted[weighted.length - 1])
    return `After every convolution and fully connected layer except the last, ${done}.`;
  const named = others.length > MOST_NAMED ? `the other ${others.length}` : list(others);
  return `After ${weighted.length - others.length} of the ${weighted.length} convolutions and fully connected layers, ${done}, but not after ${named}.${clipped}`;
}

/** Returns the kind of activation after a layer: directly after it, or in a `Sequential` after other layers. */
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
