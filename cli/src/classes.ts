/** Labels of one source in the terms of a run: its classes may stand in another order, or be fewer. */
import { type Run, StateError } from 'zfnet';
import type { Dataset, Split } from 'zfnet/data';

/** The split with labels as places in the run's classes. Throws `StateError` naming classes that the run does not know. */
export function matchClasses(split: Split, dataset: Dataset, run: Pick<Run, 'classes'>): Split {
  if (dataset.classes.join('\n') === run.classes.join('\n')) return split;
  const places = dataset.classes.map((name) => run.classes.indexOf(name));
  const unknown = dataset.classes.filter((_, i) => places[i] < 0);
  if (unknown.length > 0)
    throw new StateError(
      `${dataset.name} has ${unknown.length === 1 ? 'a class' : 'classes'} that the run does not know: ${unknown.slice(0, 8).join(', ')}${unknown.length > 8 ? ', …' : ''}; the run knows ${run.classes.slice(0, 8).join(', ')}${run.classes.length > 8 ? ', …' : ''}`,
    );
  return {
    length: split.length,
    labels: split.labels.map((label) => places[label]),
    get: async (index) => {
      const example = await split.get(index);
      return { ...example, label: places[example.label] };
    },
  };
}

/** The data set with the run's classes, or null where it has one that the run does not know. */
export function inClassesOf(run: Pick<Run, 'classes'>, dataset: Dataset): Dataset | null {
  if (dataset.classes.some((name) => !run.classes.includes(name))) return null;
  const splits = Object.entries(dataset.splits).map(([name, split]) => [name, matchClasses(split, dataset, run)]);
  return { ...dataset, classes: run.classes, splits: Object.fromEntries(splits) };
}
