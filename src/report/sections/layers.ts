/** The network as a table: a row a layer. */

import type { ReportContext, Section } from '../input.js';
import { table } from '../page/components.js';
import { html } from '../page/html.js';
import { count } from '../page/words.js';

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

export function layersSection({ summaries, preprocess }: ReportContext): Section {
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
    body: html`<p>An image goes in at the top; every layer works on the maps that the one above hands down. A <em>map</em> is a picture of
where in the image a layer found one particular thing. Going down, the maps get coarser, and each of their points sees more of the image:
its <em>receptive field</em>. Behind every convolution and fully connected layer but the last, what is negative is cut off at zero.</p>
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
