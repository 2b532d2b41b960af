/** Shows the errors of the network: confusion matrices, and the wrong predictions with the highest probability. */
import { exampleAt } from '../../data/rules.js';
import { confusion } from '../charts/charts.js';
import type { ReportContext } from '../input.js';
import { picture, seen } from '../page/components.js';
import { type Html, html } from '../page/html.js';
import type { Section } from '../page/section.js';
import { className, count, list, percent, plural, splitTitle } from '../page/words.js';
import type { SplitPrediction, SplitPredictions } from '../predictions.js';

const MOST_CLASSES = 40;
const MOST_MISTAKES = 12;
/** Largest number of pairs of classes that are named if they were confused equally often. */
const MOST_TIES = 3;
/** Largest number of mistakes shown per pair of classes. */
const MOST_ALIKE = 2;
const SIDE = 112;

export async function mistakesSection(context: ReportContext): Promise<Section | null> {
  const { dataset, predictions, ownData } = context;
  const splits = Object.entries(predictions);
  if (splits.length === 0) return null;
  const names = dataset.classes.map(className);
  const matrices =
    names.length > MOST_CLASSES ? [] : splits.map(([name, found]) => matrix(splitTitle(dataset, name, ownData), found, names));
  const sheets = await Promise.all(splits.map(([name, found]) => surest(context, name, found)));
  return {
    id: 'mistakes',
    title: 'Wrong predictions',
    body: html`${
      matrices.length > 0 &&
      html`<p>The <em>confusion matrix</em> has one row per true class and one column per predicted class. Right predictions lie on the
diagonal; any other mark shows how many
images of one class were classified as another.</p><div class="charts">${matrices}</div>`
    }${sheets}`,
  };
}

function matrix(title: string, { predictions, top1Error }: SplitPredictions, classes: readonly string[]): Html {
  const counts = classes.map(() => classes.map(() => 0));
  for (const { label, top } of predictions) counts[label][top[0]]++;
  const label = `${title}: ${percent(top1Error)} of ${count(predictions.length)} predictions are wrong. ${worstPair(counts, classes)}`;
  return html`<figure class="confusion">${confusion(counts, classes, label)}<figcaption><strong>${title}.</strong>
${worstPair(counts, classes)}</figcaption></figure>`;
}

/** A sentence on the pairs of classes that are confused most often. */
export function worstPair(counts: readonly (readonly number[])[], classes: readonly string[]): string {
  const pairs = counts.flatMap((row, i) => row.flatMap((n, j) => (i !== j && n > 0 ? [{ n, i, j }] : [])));
  const most = Math.max(0, ...pairs.map(({ n }) => n));
  if (most === 0) return 'No image was classified wrongly.';
  const worst = pairs.filter(({ n }) => n === most);
  if (worst.length > MOST_TIES) return `No pair of classes stands out: ${worst.length} were confused ${plural(most, 'time')} each.`;
  const named = list(worst.map(({ i, j }) => `${classes[i]} was classified as ${classes[j]}`));
  return `The most frequent error: ${named}, ${plural(most, 'time')}${worst.length > 1 ? ' each' : ''}.`;
}

/** The wrong predictions with the highest probability, of one split. */
async function surest({ dataset, preprocess, ownData }: ReportContext, split: string, found: SplitPredictions): Promise<Html> {
  const wrong = found.predictions.filter(({ label, top }) => top[0] !== label);
  const worst = surestMistakes(wrong);
  const title = splitTitle(dataset, split, ownData);
  if (worst.length === 0)
    return html`<h3>${title}: no wrong predictions</h3><p>All ${count(found.predictions.length)} predictions were right.</p>`;
  const figures = await Promise.all(
    worst.map(async (prediction) => {
      const { image } = await exampleAt(dataset.splits[split], prediction.index);
      const [truth, predicted] = [prediction.label, prediction.top[0]].map((k) => className(dataset.classes[k]));
      return html`<figure>${picture(seen(preprocess, image), `${truth}, classified as ${predicted}`, SIDE)}
<figcaption>${truth}, classified as <em>${predicted}</em> (probability ${sureness(prediction)})</figcaption></figure>`;
    }),
  );
  return html`<h3>${title}: ${worst.length} of ${plural(wrong.length, 'wrong prediction')}, the most probable
first</h3>${
    wrong.length > worst.length &&
    html`<p class="note">At most ${MOST_ALIKE} per pair of true and predicted
class.</p>`
  }<div class="mistakes">${figures}</div>`;
}

const sureness = ({ probabilities }: SplitPrediction): string => `${(100 * Math.min(probabilities[0], 0.99)).toFixed(0)}\u00a0%`;

/** Sorts by the probability of the wrong class, and keeps at most two predictions per pair of true and predicted class. */
function surestMistakes(wrong: readonly SplitPrediction[]): SplitPrediction[] {
  const sorted = [...wrong].sort((a, b) => b.probabilities[0] - a.probabilities[0] || a.index - b.index);
  const times = new Map<string, number>();
  const isNew = ({ label, top }: SplitPrediction) => {
    const pair = `${label} ${top[0]}`;
    times.set(pair, (times.get(pair) ?? 0) + 1);
    return times.get(pair)! <= MOST_ALIKE;
  };
  return sorted.filter(isNew).slice(0, MOST_MISTAKES);
}
