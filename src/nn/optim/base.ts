/** The common part of the optimisers: parameter groups, the loop over the parameters, and saving and loading their state. */
import { BackendError, span, type Tensor, type TypedArray, zeros } from '../../tensor/index.js';
import { checkGroup, type GroupDefaults, parameterGroups } from './groups.js';
import type { Optimizer, OptimizerState, ParameterGroup, Parameters } from './optimizer.js';
import { checkOptimizerState } from './state.js';

/**
 * Base class of the optimisers. A subclass says in `update` how one parameter changes, and keeps what it needs between steps in named
 * slots: tensors of the parameter's shape that are part of the saved state.
 */
export abstract class BaseOptimizer implements Optimizer {
  readonly groups: readonly ParameterGroup[];
  /** All parameters, in the order of the groups. */
  readonly parameters: readonly Tensor[];
  private readonly slots = new Map<string, Map<Tensor, Tensor>>();
  private readonly counts = new Map<Tensor, number>();

  /**
   * @param kind name of the optimiser, for messages and saved states
   * @param slotNames names of the slots that `update` uses
   */
  protected constructor(
    private readonly kind: string,
    params: Parameters,
    defaults: GroupDefaults,
    slotNames: readonly string[],
  ) {
    this.groups = parameterGroups(kind, params, defaults);
    this.parameters = this.groups.flatMap((group) => group.params);
    for (const name of slotNames) this.slots.set(name, new Map());
  }

  /** Learning rate of the first group. Setting it sets the learning rate of every group. */
  get lr(): number {
    return this.groups[0].lr;
  }

  set lr(value: number) {
    for (const group of this.groups) group.lr = value;
  }

  /** Updates every parameter that has a gradient. A parameter that is listed twice is updated once. */
  step(): void {
    for (const group of this.groups) checkGroup(this.kind, group);
    span(this.kind, () => {
      for (const group of this.groups) {
        for (const w of new Set(group.params)) {
          if (!w.grad) continue;
          const count = (this.counts.get(w) ?? 0) + 1;
          this.counts.set(w, count);
          this.update(w, w.grad, group, count);
        }
      }
    });
  }

  /** Disposes of all gradients. */
  zeroGrad(): void {
    for (const w of this.parameters) {
      w.grad?.dispose();
      w.grad = null;
    }
  }

  /** Returns a copy of the state. @throws BackendError on backends that only read asynchronously; use `stateDictData()` there */
  stateDict(): OptimizerState {
    const read = (slot: Tensor | undefined): TypedArray | null => {
      if (slot && !slot.backend.capabilities.syncRead)
        throw new BackendError(
          `${this.kind}.stateDict: the ${slot.backend.name} backend cannot read synchronously; use \`await optimizer.stateDictData()\``,
        );
      return slot?.dataSync() ?? null;
    };
    const slots = [...this.slots].map(([name, slot]) => [name, this.parameters.map((w) => read(slot.get(w)))]);
    return { ...this.describe(), slots: Object.fromEntries(slots) };
  }

  /** Returns a copy of the state. Works on every backend. Later steps do not change it. */
  async stateDictData(): Promise<OptimizerState> {
    const description = this.describe();
    const slots = [...this.slots].map(async ([name, slot]) => [
      name,
      await Promise.all(this.parameters.map(async (w) => (await slot.get(w)?.data()) ?? null)),
    ]);
    return { ...description, slots: Object.fromEntries(await Promise.all(slots)) };
  }

  /** Restores a saved state. If it does not fit, nothing is changed. @throws ValueError for the state of another optimiser or model */
  loadStateDict(state: OptimizerState): void {
    checkOptimizerState(this.kind, state, this.groups, [...this.slots.keys()]);
    this.dispose();
    state.groups.forEach(({ lr, weightDecay, momentum }, i) => {
      Object.assign(this.groups[i], { lr, weightDecay }, momentum !== undefined && { momentum });
    });
    this.parameters.forEach((w, i) => {
      if (state.steps[i] > 0) this.counts.set(w, state.steps[i]);
      for (const name of this.slots.keys()) {
        const saved = state.slots[name]?.[i];
        if (saved) this.slot(name, w).set(saved);
      }
    });
  }

  /** Frees the memory of the state. A later step starts with a new state. */
  dispose(): void {
    for (const slot of this.slots.values()) {
      for (const tensor of slot.values()) tensor.dispose();
      slot.clear();
    }
    this.counts.clear();
  }

  /** Updates one parameter. @param count number of updates of this parameter, from 1 on */
  protected abstract update(w: Tensor, gradient: Tensor, group: ParameterGroup, count: number): void;

  /** Returns whether a parameter has a slot. */
  protected hasSlot(name: string, w: Tensor): boolean {
    return this.slots.get(name)?.has(w) ?? false;
  }

  /** Returns the slot of a parameter; creates one of zeros if there is none. */
  protected slot(name: string, w: Tensor): Tensor {
    const existing = this.slots.get(name)?.get(w);
    if (existing) return existing;
    const made = zeros(w.shape, { dtype: w.dtype, backend: w.backend }).keep();
    this.slots.get(name)?.set(w, made);
    return made;
  }

  private describe(): Omit<OptimizerState, 'slots'> {
    return {
      kind: this.kind,
      lr: this.lr,
      groups: this.groups.map(({ params, ...numbers }) => ({ ...numbers, size: params.length })),
      steps: this.parameters.map((w) => this.counts.get(w) ?? 0),
    };
  }
}
