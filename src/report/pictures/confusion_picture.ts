/** The confusion matrix as a picture of its own, for a file. */
import { arrayOf, checkArgument, finite, text } from '../../backend/validate.js';
import { confusion } from '../charts/charts.js';
import type { ExperimentPicture } from '../experiment.js';
import type { Html } from '../page/html.js';
import { STYLE } from '../page/style.js';
import { className, plural } from '../page/words.js';

/** Largest number of classes that are legible; of more, those with the most errors are shown. */
const MOST_CLASSES = 60;

/**
 * Returns the confusion matrix as a picture, for `zfnet evaluate --confusion` and for programs.
 *
 * @param counts number of images by true class and predicted class: [class][class]
 */
export function confusionPicture(counts: readonly (readonly number[])[], classes: readonly string[]): ExperimentPicture {
  checkArgument('confusionPicture', 'classes', classes, arrayOf(text, 1));
  const { length } = classes;
  checkArgument('confusionPicture', 'counts', counts, arrayOf(arrayOf(finite(0), length, length), length, length));
  const mistakes = counts.map((row, i) => row.reduce((sum, n, j) => sum + (i === j ? 0 : n), 0));
  const shown = classes
    .map((_, i) => i)
    .sort((a, b) => mistakes[b] - mistakes[a] || a - b)
    .slice(0, MOST_CLASSES)
    .sort((a, b) => a - b);
  const chart = confusion(
    shown.map((i) => shown.map((j) => counts[i][j])),
    shown.map((i) => className(classes[i])),
    `Confusion matrix of ${plural(classes.length, 'class', 'classes')}: one row per true class, one column per predicted class`,
  );
  return { svg: standalone(chart) };
}

/** Replaces the colour variables of the page by the colours of the light scheme, so that the chart needs no page. */
function standalone({ parts }: Html): string {
  const colours = new Map<string, string>();
  // The light scheme comes first in the style sheet.
  for (const [, name, colour] of STYLE.matchAll(/(--[\w-]+): (#\w+);/g)) if (!colours.has(name)) colours.set(name, colour);
  return parts
    .join('')
    .replace('<svg ', `<svg xmlns="http://www.w3.org/2000/svg" color="${colours.get('--text')}" `)
    .replace(/var\((--[\w-]+)\)/g, (variable, name) => colours.get(name) ?? variable);
}
