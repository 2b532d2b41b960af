/** Formats numbers, names and lists for the sentences of the report. */
import type { Dataset } from '../../data/dataset.js';

/** 0.0123 → `1.2 %`; 0.954 → `95 %`. */
export function percent(fraction: number): string {
  const value = 100 * fraction;
  if (value === 0) return '0\u00a0%';
  return `${value < 9.95 ? value.toFixed(1) : value.toFixed(0)}\u00a0%`;
}

/** 12345 → `12,345`. */
export const count = (n: number): string => n.toLocaleString('en-US');

/** `alarm-clock` → `alarm clock`. */
export const className = (name: string): string => name.replace(/[-_]+/g, ' ').trim();

/** `1 map`, `2 maps`. */
export const plural = (n: number, one: string, many = `${one}s`): string => `${count(n)} ${n === 1 ? one : many}`;

/** 75 → `1 min 15 s`. */
export function duration(seconds: number): string {
  const s = Math.round(seconds);
  if (s < 60) return `${s} s`;
  return s < 3600 ? `${Math.floor(s / 60)} min ${s % 60} s` : `${Math.floor(s / 3600)} h ${Math.round((s % 3600) / 60)} min`;
}

/** `a, b and c`. */
export const list = (words: readonly string[]): string =>
  words.length < 2 ? words.join() : `${words.slice(0, -1).join(', ')} and ${words[words.length - 1]}`;

/** Returns the most frequent value, the first of several, and its count. */
export function mostFrequent<T>(values: readonly T[]): [value: T, times: number] {
  const counts = new Map<T, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].reduce((best, entry) => (entry[1] > best[1] ? entry : best));
}

/** Summarises the classes of a few images: `9 of 9 frog`; `5 of 9 frog, also panda and pizza`; `from 7 classes`. */
export function composition(labels: readonly number[], classes: readonly string[]): string {
  const [label, times] = mostFrequent(labels);
  const others = [...new Set(labels)].filter((other) => other !== label);
  if (2 * times <= labels.length) return `from ${others.length + 1} classes`;
  const head = `${times} of ${labels.length} ${className(classes[label])}`;
  return others.length === 0 ? head : `${head}, also ${list(others.map((other) => className(classes[other])))}`;
}

/**
 * Describes the images of a split, for sentences such as "its top-1 error is 10 % on …".
 *
 * @param own whether the network was trained on the data set; then images outside the training split are new to it
 */
export function splitInWords(dataset: Dataset, split: string, own: boolean): string {
  if (!own) return `the images of “${split}”`;
  if (dataset.name === 'scenes' && split === 'val') return 'photographs that were not used for training';
  if (dataset.name === 'scenes' && split === 'unseen-style') return 'a drawing style that was not used for training, over such photographs';
  return split === 'val' ? 'images that were not used for training' : `the images of “${split}”`;
}

/** Returns the heading of a split in a table: see `splitInWords`. */
export function splitTitle(dataset: Dataset, split: string, own: boolean): string {
  if (!own) return split;
  if (dataset.name === 'scenes' && split === 'val') return 'Unseen photographs';
  if (dataset.name === 'scenes' && split === 'unseen-style') return 'Unseen drawing style';
  return split === 'val' ? 'Unseen images' : split;
}

/** Formats two shares like `percent`, with enough decimals to show that they differ if they do. */
export function percentsApart(a: number, b: number): [string, string] {
  const short: [string, string] = [percent(a), percent(b)];
  if (a === b || short[0] !== short[1]) return short;
  const digits = [1, 2, 3].find((n) => (100 * a).toFixed(n) !== (100 * b).toFixed(n)) ?? 4;
  return [a, b].map((value) => `${(100 * value).toFixed(digits)}\u00a0%`) as [string, string];
}
