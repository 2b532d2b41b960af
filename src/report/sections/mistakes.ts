/** Where the network goes wrong: which classes it takes for which, and the wrong answers it was surest of. */
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
/** Pairs of classes that are named if they were mixed up equally often. */
const MOST_TIES = 3;
/** Of one class taken for one other. */
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
    title: 'Where it goes wrong',
    body: html`${
      matrices.length > 0 &&
      html`<p>Each row below is a class, each column an answer. Right answers lie on the diagonal; a mark beside it is a class taken for
another, with the number of images.</p><div class="charts">${matrices}</div>`
    }${sheets}`,
  };
}

function matrix(title: string, { predictions, top1Error }: SplitPredictions, classes: readonly string[]): Html {
  const counts = classes.map(() => classes.map(() => 0));
  for (const { label, top } of predictions) counts[label][top[0]]++;
  const label = `${title}: ${percent(top1Error)} of ${count(predictions.length)} answers are wrong. ${worstPair(counts, classes)}`;
  return html`<figure class="confusion">${confusion(counts, classes, label)}<figcaption><strong>${title}.</strong> ${worstPair(counts, classes)}</figcaption></figure>`;
}

export function worstPair(counts: readonly (readonly number[])[], classes: readonly string[]): string {
  const pairs = counts.flatMap((row, i) => row.flatMap((n, j) => (i !== j && n > 0 ? [{ n, i, j }] : [])));
  const most = Math.max(0, ...pairs.map(({ n }) => n));
  if (most === 0) return 'No class was taken for another.';
  const worst = pairs.filter(({ n }) => n === most);
  if (worst.length > MOST_TIES) return `No pair of classes stands out: ${worst.length} were mixed up ${plural(most, 'time')} each.`;
  const named = list(worst.map(({ i, j }) => `${classes[i]} was taken for ${classes[j]}`));
  return `Most often, ${named}: ${plural(most, 'time')}${worst.length > 1 ? ' each' : ''}.`;
}

async function surest({ dataset, preprocess, ownData }: ReportContext, split: string, found: SplitPredictions): Promise<Html> {
  const wrong = found.predictions.filter(({ label, top }) => top[0] !== label);
  const worst = surestMistakes(wrong);
  const title = splitTitle(dataset, split, ownData);
  if (worst.length === 0) return html`<h3>${title}: no mistakes</h3><p>All ${count(found.predictions.length)} answers were right.</p>`;
  const figures = await Promise.all(
    worst.map(async (prediction) => {
      const { image } = await exampleAt(dataset.splits[split], prediction.index);
      const [truth, answer] = [prediction.label, prediction.top[0]].map((k) => className(dataset.classes[k]));
      return html`<figure>${picture(seen(preprocess, image), `${truth}, taken for ${answer}`, SIDE)}
<figcaption>${truth}, taken for <em>${answer}</em> (${sureness(prediction)} sure)</figcaption></figure>`;
    }),
  );
  return html`<h3>${title}: ${worst.length} of ${plural(wrong.length, 'mistake')}, the surest first</h3>${wrong.length > worst.length && html`<p class="note">At most ${MOST_ALIKE} of one class taken for one other.</p>`}<div class="mistakes">${figures}</div>`;
}

const sureness = ({ probabilities }: SplitPrediction): string => `${(100 * Math.min(probabilities[0], 0.99)).toFixed(0)}\u00a0%`;

/** The surest first; of one class taken for one other, no more than two. */
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
