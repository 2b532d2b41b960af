/** Creates the optimiser for `TrainingOptions.optimizer`. */
import { Adam, AdamW, type Optimizer, type OptimizerState, type ParameterGroup, RMSprop, SGD } from '../../../nn/index.js';
import type { Tensor } from '../../../tensor/index.js';
import type { TrainingOptions } from './training_options.js';

type Options = Pick<TrainingOptions, 'optimizer' | 'lr' | 'momentum' | 'weightDecay' | 'maxFilterRms'>;

/** Returns the optimiser of a recipe, which also limits the root mean square of convolution filters if the recipe says so. */
export function makeOptimizer(parameters: readonly Tensor[], options: Options): Optimizer {
  const { optimizer = { kind: 'sgd' as const }, lr, momentum, weightDecay } = options;
  const maxFilterRms = options.maxFilterRms ?? undefined;
  if (optimizer.kind === 'sgd') return new SGD(parameters, { lr, momentum, weightDecay, maxFilterRms });
  const made = byKind(optimizer, parameters, { lr, weightDecay });
  return maxFilterRms === undefined ? made : new FilterLimited(made, maxFilterRms);
}

function byKind(
  { kind, ...own }: Exclude<NonNullable<Options['optimizer']>, { kind: 'sgd' }>,
  parameters: readonly Tensor[],
  common: { lr: number; weightDecay: number },
): Optimizer {
  switch (kind) {
    case 'adam':
      return new Adam(parameters, { ...common, ...own });
    case 'adamw':
      return new AdamW(parameters, { ...common, ...own });
    case 'rmsprop':
      return new RMSprop(parameters, { ...common, ...own });
  }
}

/** An optimiser after whose updates convolution filters above the limit are scaled down to it, as `SGD` does itself. */
class FilterLimited implements Optimizer {
  readonly groups: readonly ParameterGroup[];

  constructor(
    private readonly inner: Optimizer,
    private readonly maxFilterRms: number,
  ) {
    this.groups = inner.groups;
  }

  get lr(): number {
    return this.inner.lr;
  }

  set lr(value: number) {
    this.inner.lr = value;
  }

  step(): void {
    this.inner.step();
    for (const { params } of this.groups)
      for (const w of params) if (w.grad && w.rank === 4) w.backend.clipRms(w.writable, w.shape[0], w.size / w.shape[0], this.maxFilterRms);
  }

  zeroGrad(): void {
    this.inner.zeroGrad();
  }

  stateDict(): OptimizerState {
    return this.inner.stateDict();
  }

  stateDictData(): Promise<OptimizerState> {
    return this.inner.stateDictData();
  }

  loadStateDict(state: OptimizerState): void {
    this.inner.loadStateDict(state);
  }

  dispose(): void {
    this.inner.dispose();
  }
}
