/** Builds the parameter groups of an optimiser from the arguments of its constructor. */
import { arrayOf, checkArgument, checkFields, finite, isPlainObject, rule, show } from '../../backend/validate.js';
import { Tensor, ValueError } from '../../tensor/index.js';
import type { ParameterGroup } from './optimizer.js';

/** The numbers that a group inherits from the optimiser's options if it does not set them itself. */
export type GroupDefaults = Omit<ParameterGroup, 'params'>;

const GROUP_RULES = {
  params: arrayOf(rule('a tensor', (value) => value instanceof Tensor)),
  lr: finite(0),
  weightDecay: finite(0),
};

/**
 * @param kind name of the optimiser, for messages
 * @throws ValueError for anything but an array of tensors or of groups, and for a parameter that is in two groups
 */
export function parameterGroups(kind: string, given: unknown, defaults: GroupDefaults): ParameterGroup[] {
  const isArray = Array.isArray(given);
  if (isArray && given.every((each) => each instanceof Tensor)) return [{ ...defaults, params: given }];
  if (!isArray || !given.every(isPlainObject))
    throw new ValueError(
      `${kind}: parameters are ${show(given)}, expected an array of tensors or of groups { params, lr, weightDecay }; pass model.parameters()`,
    );
  const groups = given.map((group, i) => {
    checkFields(`${kind}: group ${i}`, group, GROUP_RULES, ['params']);
    const { params, lr = defaults.lr, weightDecay = defaults.weightDecay } = group as Partial<ParameterGroup>;
    return { ...defaults, params: params as readonly Tensor[], lr, weightDecay };
  });
  checkDisjoint(kind, groups);
  return groups;
}

function checkDisjoint(kind: string, groups: readonly ParameterGroup[]): void {
  const owner = new Map<Tensor, number>();
  groups.forEach(({ params }, i) => {
    for (const w of params) {
      const other = owner.get(w) ?? i;
      if (other !== i)
        throw new ValueError(
          `${kind}: a parameter of shape [${w.shape}] is in groups ${other} and ${i}, expected one group for each parameter`,
        );
      owner.set(w, i);
    }
  });
}

/** Checks the numbers of a group, which may have been changed since the last step. */
export function checkGroup(kind: string, { lr, weightDecay, momentum }: ParameterGroup): void {
  checkArgument(kind, 'lr', lr, GROUP_RULES.lr);
  checkArgument(kind, 'weightDecay', weightDecay, GROUP_RULES.weightDecay);
  if (momentum !== undefined) checkArgument(kind, 'momentum', momentum, finite(0));
}
