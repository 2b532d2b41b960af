/** What was trained on what, and how well it does, beside simpler methods: the top of the page. */
import { countParameters, isConvolution } from '../../nn/index.js';
import { ZfNet } from '../../zfnet/index.js';
import type { ReportContext } from '../input.js';
import { type Html, html } from '../page/html.js';
import { count, duration, list, percent, plural, splitInWords, splitTitle } from '../page/words.js';

/** The paragraph and the table under the title. */
export function summary(context: ReportContext): Html {
  const { model, dataset, predictions, training, metrics, ownData } = context;
  const { inputSize } = context.preprocess.options;
  const width = model instanceof ZfNet ? model.architecture.width : 1;
  const splits = Object.keys(predictions);
  const results = splits.map((split) => `${percent(predictions[split].top1Error)} of the time on ${splitInWords(dataset, split, ownData)}`);
  const convolutions = context.summaries.filter(isConvolution).length;
  const scaled = width === 1 ? '' : `, at ${percent(width)} of the paper’s width`;
  const name = model instanceof ZfNet ? 'A ZFNet, a network' : 'A network';
  if (metrics.length === 0)
    return html`<p class="lead">${name} of ${plural(convolutions, 'convolution layer')} and ${count(countParameters(model))} parameters${training.origin === undefined || training.origin === 'imported' ? ', trained elsewhere' : ', not trained for an epoch yet'}. It takes
images of ${inputSize}×${inputSize} pixels${splits.length > 0 && ` and tells ${dataset.classes.length} things apart. It errs ${list(results)}`}. Below you can see what it looks for,
layer by layer${splits.length > 0 && ', and where it goes wrong'}.</p>
${results.length > 0 && comparison(context, splits)}`;
  return html`<p class="lead">${name} of ${plural(convolutions, 'convolution layer')} and ${count(countParameters(model))} parameters${scaled},
learned from ${count(training.examples)} images of ${inputSize}×${inputSize} pixels to tell ${dataset.classes.length} things apart,
in ${plural(metrics.length, 'epoch')}${training.seconds ? html` and ${duration(training.seconds)}` : ''}${training.engine ? html`, with ${training.engine}` : ''}.
${results.length > 0 && `It errs ${list(results)}. `}Below you can see ${list([...(metrics.length > 1 ? ['how it learned'] : []), 'what it looks for, layer by layer', ...(splits.length > 0 ? ['where it goes wrong'] : [])])}.</p>
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
<caption>Share of wrong answers: shorter is better</caption>
<thead><tr><th scope="col"><span class="hidden">Method</span></th>${splits.map((split) => html`<th scope="col">${splitTitle(dataset, split, ownData)}</th>`)}</tr></thead>
<tbody>${rows.map(
    (row) =>
      html`<tr${row.own ? html` class="own"` : ''}><th scope="row">${row.name}${row.description ? html`<small>${row.description}</small>` : ''}</th>${row.errors.map(cell)}</tr>`,
  )}</tbody>
</table>`;
}
