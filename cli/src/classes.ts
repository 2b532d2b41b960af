/** Labels of one source in the terms of a run: its classes may stand in another order, or be fewer. */
import { type Run, StateError } from 'zfnet';
import type { Dataset, Split } from 'zfnet/data';

/** The split with labels as places in the run's classes. Throws `StateError` naming classes that the run does not know. */
export function matchClasses(split: Split, dataset: Dataset, run: Pick<Run, 'classes'>): Split {
  if (new Set(run.classes).size === run.classes.length && dataset.classes.join('\n') === run.classes.join('\n')) return split;
  const known = run.classes.map((name) => name.normalize('NFC'));
  const places = dataset.classes.map((name) => known.indexOf(name.normalize('NFC')));
  const twice = places.find((place) => place >= 0 && known.lastIndexOf(known[place]) !== place);
  if (twice !== undefined)
    throw new StateError(
      `the run has two classes of the name ${run.classes[twice]}, and ${dataset.name} has one: which of them is meant cannot be told; give the classes of the run names that differ`,
    );
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
  const known = new Set(run.classes.map((name) => name.normalize('NFC')));
  if (dataset.classes.some((name) => !known.has(name.normalize('NFC')))) return null;
  const splits = Object.entries(dataset.splits).map(([name, split]) => [name, matchClasses(split, dataset, run)]);
  return { ...dataset, classes: run.classes, splits: Object.fromEntries(splits) };
}
