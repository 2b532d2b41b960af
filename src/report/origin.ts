/** Where the weights of a network come from, which decides what a page may say of its filters and of its first epoch. */

/** `random`: trained here from random numbers; `pretrained`: trained here from the weights of another run; `imported`: trained elsewhere. */
export const ORIGINS = ['random', 'pretrained', 'imported'] as const;
export type Origin = (typeof ORIGINS)[number];

const FILTERS: Readonly<Record<Origin, string>> = {
  random: 'The filters started as random numbers and were changed by training alone.',
  pretrained: 'The network was trained from the weights of another run, so the filters come from both trainings.',
  imported: 'The network was imported: its filters were trained elsewhere.',
};

/** One sentence on how the filters of a network came about; none if that is not known. */
export const filtersOrigin = (origin: Origin | undefined): string => (origin === undefined ? '' : FILTERS[origin]);

const BEGINNING: Readonly<Record<Origin, string>> = {
  random: 'The network begins with random filters. ',
  pretrained: 'The network begins with the weights of another run. ',
  imported: '',
};

/** The beginning of the description of a training; empty if it is not known. */
export const beginning = (origin: Origin | undefined): string => (origin === undefined ? '' : BEGINNING[origin]);
