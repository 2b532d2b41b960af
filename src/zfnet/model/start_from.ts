/** Transfer of weights: starts a network from the weights of another one. */
import { boolean, checkArgument, checkFields, objectWith } from '../../backend/validate.js';
import { StateError } from '../../nn/index.js';
import { network } from '../../nn/rules.js';
import type { LoadedModel } from '../run/run.js';
import type { ZfNet } from './model.js';

/**
 * Copies the weights of another network, for each layer whose shapes agree. The last layer keeps its initial weights unless
 * `sameClasses` is set, because its outputs represent other classes.
 *
 * @returns names of the layers that were copied, in the order of computation
 * @throws StateError if the shapes of the first layer differ
 */
export function startFrom(model: ZfNet, source: Pick<LoadedModel, 'model'>, options: { sameClasses: boolean }): string[] {
  checkArgument('startFrom', 'model', model, network);
  checkArgument('startFrom', 'source', source, objectWith('a run { model }, such as await openRun(store)', { model: network }));
  checkFields('startFrom', options, { sameClasses: boolean }, ['sameClasses']);
  const names = model.layerNames();
  const state = source.model.stateDict();
  const fits = (name: string) => {
    const own = Object.entries(model.layer(name).stateDict());
    return own.length > 0 && own.every(([key, value]) => state[`${name}.${key}`]?.shape.join() === value.shape.join());
  };
  const last = names.findLastIndex((name) => model.layer(name).parameters().length > 0);
  const taken = names.filter((name, i) => fits(name) && (options.sameClasses || i < last));
  if (taken[0] !== names[0])
    throw new StateError(`startFrom: ${names[0]} of the other network has another shape; use the same preset, width and channels`);
  const isTaken = (key: string) => taken.some((name) => key.startsWith(`${name}.`));
  model.loadStateDict(Object.fromEntries(Object.entries(state).filter(([key]) => isTaken(key))), { strict: false });
  return taken;
}
