/** Where the weights of a network come from, and the sentences of the report that depend on it. */

/** `random`: trained here from random weights; `pretrained`: trained here from the weights of another run; `imported`: trained elsewhere. */
export const ORIGINS = ['random', 'pretrained', 'imported'] as const;
/** How the filters of a network came about. */
export type Origin = (typeof ORIGINS)[number];

const FILTERS: Readonly<Record<Origin, string>> = {
  random: 'The filters were initialised with random numbers; what they show was learned in training.',
  pretrained: 'The training started from the weights of another run, so the filters result from both trainings.',
  imported: 'The network was imported: its filters were trained elsewhere.',
};

/** A sentence on the origin of the filters; empty if it is unknown. */
export const filtersOrigin = (origin: Origin | undefined): string => (origin === undefined ? '' : FILTERS[origin]);

const BEGINNING: Readonly<Record<Origin, string>> = {
  random: 'The weights are initialised with random numbers. ',
  pretrained: 'The training starts from the weights of another run. ',
  imported: '',
};

/** The first sentence of the description of a training; empty if the origin is unknown. */
export const beginning = (origin: Origin | undefined): string => (origin === undefined ? '' : BEGINNING[origin]);
