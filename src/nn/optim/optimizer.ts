/** The interface of optimisers, their parameter groups and the form in which their state is saved. */
import type { Tensor, TypedArray } from '../../tensor/index.js';

/** Parameters that share a learning rate and a weight decay, as given to an optimiser. */
export interface ParameterGroupOptions {
  /** The parameters. Those without a gradient, such as frozen ones, are skipped by `step()`. */
  params: readonly Tensor[];
  /** Learning rate of the group. Default: the optimiser's. */
  lr?: number;
  /** Weight decay of the group. Default: the optimiser's. */
  weightDecay?: number;
}

/** What an optimiser accepts as its parameters: one list, such as `model.parameters()`, or groups. */
export type Parameters = readonly Tensor[] | readonly ParameterGroupOptions[];

/** A parameter group of an optimiser. The numbers may be changed between steps; schedules do so. */
export interface ParameterGroup {
  /** The tensors that the group updates. A tensor belongs to one group only. */
  readonly params: readonly Tensor[];
  /** Learning rate. */
  lr: number;
  /** Weight decay. */
  weightDecay: number;
  /** Momentum of `SGD` and `RMSprop`, first of the `betas` of `Adam` and `AdamW`. Undefined for an optimiser without momentum. */
  momentum?: number;
}

/**
 * The state of an optimiser. Everything but `slots` is plain JSON; `slots` holds the typed arrays, so that a checkpoint can store the
 * first as text and the second as tensors.
 */
export interface OptimizerState {
  /** Name of the optimiser, such as `Adam`. */
  kind: string;
  /** Learning rate of the first group. */
  lr: number;
  /** The numbers of every group, and how many parameters it has. */
  groups: { lr: number; weightDecay: number; momentum?: number; size: number }[];
  /** Number of updates of each parameter, in the order of the parameters over all groups. */
  steps: number[];
  /** State by name, such as `velocity`: one array per parameter, in the same order; null for a parameter without this state. */
  slots: Record<string, (TypedArray | null)[]>;
}

/** An optimiser: updates parameters from their gradients. Training loops accept any object of this form. */
export interface Optimizer {
  /** The parameter groups; a single one if the optimiser was given a list of tensors. */
  readonly groups: readonly ParameterGroup[];
  /** Learning rate of the first group. Setting it sets the learning rate of every group. */
  lr: number;
  /** Updates every parameter that has a gradient. */
  step(): void;
  /** Disposes of the gradients of all parameters. */
  zeroGrad(): void;
  /** Returns a copy of the state. @throws BackendError on backends that only read asynchronously; use `stateDictData()` there */
  stateDict(): OptimizerState;
  /** Returns a copy of the state. Works on every backend. */
  stateDictData(): Promise<OptimizerState>;
  /** Restores a saved state. If it does not fit, nothing is changed. @throws ValueError for the state of another optimiser or model */
  loadStateDict(state: OptimizerState): void;
  /** Frees the memory of the state. */
  dispose(): void;
}
