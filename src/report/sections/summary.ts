/** The top of the report: the network, its training data, and its errors next to those of simpler methods. */
import { countParameters, isConvolution } from '../../nn/index.js';
import { ZfNet } from '../../zfnet/index.js';
import type { ReportContext } from '../input.js';
import { type Html, html } from '../page/html.js';
import { count, duration, list, percent, plural, splitInWords, splitTitle } from '../page/words.js';

/** Returns the paragraph and the table below the title. */
export function summary(context: ReportContext): Html {
  const { model, dataset, predictions, training, metrics, ownData } = context;
  const { inputSize } = context.preprocess.options;
  const width = model instanceof ZfNet ? model.architecture.width : 1;
  const splits = Object.keys(predictions);
  const results = splits.map((split) => `${percent(predictions[split].top1Error)} on ${splitInWords(dataset, split, ownData)}`);
  const convolutions = context.summaries.filter(isConvolution).length;
  const scaled = width === 1 ? '' : `, at ${percent(width)} of the paper’s width`;
  const name = model instanceof ZfNet ? 'A ZFNet, a network' : 'A network';
  if (metrics.length === 0)
    return html`<p class="lead">${name} of ${plural(convolutions, 'convolution layer')} and ${count(countParameters(model))}
parameters${training.origin === undefined || training.origin === 'imported' ? ', trained elsewhere' : ', not yet trained for an epoch'}. Its
input is an
image of ${inputSize}×${inputSize}
pixels${splits.length > 0 && `, its output the probabilities of ${dataset.classes.length} classes. Its top-1 error, the share of wrong predictions, is ${list(results)}`}.
This page shows what each layer
responds to${splits.length > 0 && ', and which predictions are wrong'}.</p>
${results.length > 0 && comparison(context, splits)}`;
  return html`<p class="lead">${name} of ${plural(convolutions, 'convolution layer')} and ${count(countParameters(model))}
parameters${scaled},
was trained on ${count(training.examples)} images of ${inputSize}×${inputSize} pixels to distinguish ${dataset.classes.length} classes,
for ${plural(metrics.length, 'epoch')}${training.seconds ? html` in ${duration(training.seconds)}` : ''}${
    training.engine
      ? html`, on
${training.engine}`
      : ''
  }.
${results.length > 0 && `Its top-1 error, the share of wrong predictions, is ${list(results)}. `}This page shows
${list([...(metrics.length > 1 ? ['its learning curves'] : []), 'what each layer responds to', ...(splits.length > 0 ? ['which predictions are wrong'] : [])])}.</p>
${results.length > 0 && comparison(context, splits)}`;
}

function comparison({ dataset, predictions, baselines, ownData }: ReportContext, splits: readonly string[]): Html {
  const rows = [
    { name: 'This network', description: '', errors: splits.map((split) => predictions[split].top1Error), own: true },
    ...baselines.map(({ name, description, top1Error }) => ({
      name,
      description,
      errors: splits.map((split) => top1Error[split]),
      own: false,
    })),
  ];
  const cell = (error: number | undefined) =>
    error === undefined
      ? html`<td>—</td>`
      : html`<td><span class="bar" style="--share:${Math.max(error, 0.004).toFixed(3)}"></span><span class="value">${percent(error)}</span></td>`;
  return html`<table class="comparison">
<caption>Top-1 error (share of wrong predictions): shorter bars are better</caption>
<thead><tr><th scope="col"><span class="hidden">Method</span></th>${splits.map((split) => html`<th scope="col">${splitTitle(dataset, split, ownData)}</th>`)}</tr></thead>
<tbody>${rows.map(
    (row) =>
      html`<tr${row.own ? html` class="own"` : ''}><th scope="row">${row.name}${row.description ? html`<small>${row.description}</small>` : ''}</th>${row.errors.map(cell)}</tr>`,
  )}</tbody>
</table>`;
}
