/** Checks of saved optimiser states. */
import {
  arrayOf,
  checkArgument,
  finite,
  integer,
  isPlainObject,
  isTypedArray,
  objectWith,
  recordOf,
  rule,
  show,
} from '../../backend/validate.js';
import { type Tensor, ValueError } from '../../tensor/index.js';
import type { OptimizerState, ParameterGroup } from './optimizer.js';

const slotRule = arrayOf(rule('null or a typed array', (value) => value == null || isTypedArray(value)));
const groupRule = objectWith('{ lr, weightDecay, size }', { lr: finite(0), weightDecay: finite(0), size: integer() });

/**
 * @param slotNames names of the state that the optimiser keeps
 * @throws ValueError unless the state is one of this kind of optimiser with the same groups of parameters
 */
export function checkOptimizerState(
  kind: string,
  state: OptimizerState,
  groups: readonly ParameterGroup[],
  slotNames: readonly string[],
): void {
  const op = `${kind}.loadStateDict`;
  if (!isPlainObject(state)) throw new ValueError(`${op}: the state is ${show(state)}, expected one that stateDict() returned`);
  if (state.kind !== kind) throw new ValueError(`${op}: got the state of ${show(state.kind)}, expected one of ${kind}`);
  checkArgument(op, 'lr', state.lr, finite(0));
  checkArgument(op, 'groups', state.groups, arrayOf(groupRule));
  checkArgument(op, 'steps', state.steps, arrayOf(integer()));
  checkArgument(op, 'slots', state.slots, recordOf(slotRule));
  const sizes = groups.map(({ params }) => params.length);
  if (state.groups.map(({ size }) => size).join() !== sizes.join())
    throw new ValueError(`${op}: the state has groups of ${state.groups.map(({ size }) => size)} parameters, expected ${sizes}`);
  const parameters = groups.flatMap(({ params }) => params);
  checkLength(op, 'steps', state.steps, parameters);
  for (const [name, arrays] of Object.entries(state.slots)) {
    if (!slotNames.includes(name))
      throw new ValueError(`${op}: unknown state ${show(name)}, expected ${slotNames.join(', ')}; use the options that it was saved with`);
    checkLength(op, name, arrays, parameters);
    arrays.forEach((saved, i) => {
      const { size } = parameters[i];
      if (saved && saved.length !== size)
        throw new ValueError(`${op}: ${name} of parameter ${i} has ${saved.length} values, expected ${size}`);
    });
  }
}

function checkLength(op: string, name: string, array: ArrayLike<unknown>, parameters: readonly Tensor[]): void {
  if (array.length !== parameters.length)
    throw new ValueError(`${op}: the state has ${name} for ${array.length} parameters, expected ${parameters.length}`);
}
