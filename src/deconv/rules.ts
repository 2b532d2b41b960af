/** Checks for layers, places, patches and the options that several files of this folder share. */
import {
  abortSignal,
  arrayOf,
  checkArgument,
  func,
  integer,
  objectWith,
  oneOf,
  type Rule,
  type RulesFor,
  show,
  text,
} from '../backend/validate.js';
import type { LayeredModel } from '../nn/index.js';
import { RULES, ValueError } from '../tensor/index.js';
import type { ActivationPlace, MapMaximaOptions, ProjectionRules } from './options.js';

export const projectionRules: RulesFor<ProjectionRules> = { mode: oneOf(...Object.keys(RULES)), overlap: oneOf('sum', 'last') };

export const placeRules: RulesFor<ActivationPlace> = { map: integer(), position: arrayOf(integer(), 2, 2) };

/** Rule for a patch [y0, x0, y1, x1] in whole pixels. */
export const patch: Rule = arrayOf(integer(), 4, 4);

export const mapMaximaRules: RulesFor<MapMaximaOptions> = {
  layers: arrayOf(text),
  batchSize: integer(1),
  preprocess: func,
  indices: arrayOf(integer()),
  onBroken: func,
  signal: abortSignal,
};

export const strongActivation: Rule = objectWith('a strong activation { index, position }', {
  index: integer(),
  position: arrayOf(integer(), 2, 2),
});

export const mapActivations: Rule = objectWith('a result of topActivations() for a map { map, strongest }', {
  map: integer(),
  strongest: arrayOf(strongActivation),
});

/** @throws ValueError if the layer is not a string or not a layer of the model */
export function checkLayer(op: string, model: LayeredModel, layer: unknown): void {
  checkArgument(op, 'layer', layer, text);
  model.layer(layer as string);
}

/** @throws ValueError unless `map` is an index below `count` */
export function checkMap(op: string, map: unknown, layer: string, count: number): void {
  if (!integer(0, count - 1).test(map)) throw new ValueError(`${op}: map is ${show(map)}, layer ${layer} has maps 0 to ${count - 1}`);
}
