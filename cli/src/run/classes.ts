/** Maps the labels of a data set to the classes of a run, whose order may differ and which may be more. */
import { type Run, StateError } from 'zfnet';
import type { Dataset, Split } from 'zfnet/data';
import { firstNames } from 'zfnet/report';
import { tellApart } from '../files/class_list.js';

/** Returns names for comparison: in one Unicode normal form, with repeated names made unique by their index. */
const comparable = (names: readonly string[]): string[] => tellApart(names.map((name) => name.normalize('NFC')));

/** Returns the name without the suffix of `tellApart`. */
const withoutPlace = (name: string): string => name.replace(/ \(class \d+\)\**$/, '');

/** Returns, for each class of the data set, its index among the run's classes, or -1 if the run does not have it. */
function placesOf(run: Pick<Run, 'classes'>, dataset: Dataset): number[] {
  const places = new Map(comparable(run.classes).map((name, i) => [name, i]));
  return comparable(dataset.classes).map((name) => places.get(name) ?? -1);
}

const same = (a: readonly string[], b: readonly string[]): boolean => a.join('\n') === b.join('\n');

/**
 * Returns the split with labels that are indices of the run's classes.
 *
 * @throws StateError that names classes that the run does not have, or that match several of its classes
 */
export function matchClasses(split: Split, dataset: Dataset, run: Pick<Run, 'classes'>): Split {
  if (same(dataset.classes, run.classes)) return split;
  const places = placesOf(run, dataset);
  const unknown = dataset.classes.filter((_, i) => places[i] < 0);
  if (unknown.length > 0) throw unknownClasses(unknown, dataset, run);
  return {
    length: split.length,
    labels: split.labels.map((label) => places[label]),
    get: async (index) => {
      const example = await split.get(index);
      return { ...example, label: places[example.label] };
    },
  };
}

function unknownClasses(unknown: readonly string[], dataset: Dataset, run: Pick<Run, 'classes'>): StateError {
  const known = comparable(run.classes);
  for (const name of unknown) {
    const several = known.filter((each) => each !== withoutPlace(each) && withoutPlace(each) === name.normalize('NFC'));
    if (several.length > 1)
      return new StateError(
        `${dataset.name}: class ${name} could be any of ${several.length} classes of the run: ${several.join(', ')}; rename it to one of these`,
      );
  }
  const listed = (names: readonly string[]) => firstNames(names, 8);
  return new StateError(
    `${dataset.name} has ${unknown.length === 1 ? 'a class' : 'classes'} that the run does not know: ${listed(unknown)}; the run knows ${listed(run.classes)}`,
  );
}

/** Returns the data set with the run's classes, or null if it has a class that the run does not have. */
export function inClassesOf(run: Pick<Run, 'classes'>, dataset: Dataset): Dataset | null {
  if (!same(dataset.classes, run.classes) && placesOf(run, dataset).some((place) => place < 0)) return null;
  const splits = Object.entries(dataset.splits).map(([name, split]) => [name, matchClasses(split, dataset, run)]);
  return { ...dataset, classes: run.classes, splits: Object.fromEntries(splits) };
}
