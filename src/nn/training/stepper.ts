/** Takes optimisation steps: forward pass, loss, backward pass and update. The inner part of every training loop. */
import { type Backend, getRandomState, NonFiniteError, type Tensor, type TypedArray, withBackend } from '../../tensor/index.js';
import { auxiliaryLoss } from '../containers/auxiliary_head.js';
import type { Module } from '../module.js';
import { clipGradNorm, type Optimizer } from '../optim/index.js';
import { LateReads } from './late_reads.js';

/** Computes the loss of a batch, one element, from the model's output and the labels. */
export type LossFunction = (output: Tensor, labels: Tensor) => Tensor;

/** A part of the batch of one step. Parts run one after the other, and their gradients accumulate. */
export interface StepPart {
  /** Input of the model, [n, ...]. */
  images: Tensor;
  labels: Tensor;
  /** Weight of the part in the mean loss of the step. Default: n. */
  weight?: number;
  /** Receives the model's output when it has been read. Default: the output is not read. */
  onOutput?: (values: TypedArray) => void;
}

/** A loss that is NaN or infinite, or an operation with such a value under `init({ check: 'nan' })`. */
export interface NonFiniteEvent {
  /** The value of the loss; NaN if an operation failed. */
  loss: number;
  /** The part of the batch, and the state of the random generators before it. Absent if the update has been made already. */
  part?: StepPart;
  random?: ReturnType<typeof getRandomState>;
  cause?: NonFiniteError;
}

export interface StepSettings {
  model: Module;
  optimizer: Optimizer;
  loss: LossFunction;
  /** Backend of the model. */
  backend: Backend;
  /** Number of steps that are queued before a loss is awaited; 0 checks each loss before the update. */
  lag: number;
  /** Largest norm of the gradient of all parameters. Default: no limit. */
  clipGradNorm?: number;
}

/** One step: its batch, and what becomes of its loss. */
export interface Step {
  /** Parts of the batch. Each may be freed as soon as the next one is asked for. */
  parts: Iterable<StepPart> | AsyncIterable<StepPart>;
  /** Sum of the weights of all parts: the number of examples, unless the parts have weights of their own. */
  weight: number;
  /** Receives the sum of the mean losses of the parts times their weights, or null if the step was skipped. */
  done: (lossSum: number | null) => unknown;
  /**
   * Called for a loss that is not finite. It throws to end training, or returns `skip` to drop the gradients of the step, which only has
   * an effect with a lag of 0; otherwise the update has been made.
   */
  onNonFinite: (event: NonFiniteEvent) => 'skip' | Promise<'skip'>;
}

/** Returns how many steps a loop should queue ahead: none on a backend that computes at once, one on a backend that queues work. */
export const defaultLag = (backend: Backend): number => (backend.capabilities.syncRead ? 0 : 1);

/** Takes steps. The losses of all steps are delivered in order, `lag` steps late; call `flush` before reading anything that sums them. */
export class Stepper {
  private readonly reads: LateReads;
  private readonly parameters: readonly Tensor[];

  constructor(private readonly settings: StepSettings) {
    this.reads = new LateReads(settings.lag);
    this.parameters = settings.optimizer.groups.flatMap(({ params }) => params);
  }

  /** One update by the gradient of the mean loss over a batch. */
  async take({ parts, weight: total, done, onNonFinite }: Step): Promise<void> {
    const { optimizer, lag } = this.settings;
    const losses: { value: Promise<number>; weight: number }[] = [];
    for await (const part of parts) {
      const { weight = part.images.shape[0] } = part;
      const value = await this.learn(part, weight / total, onNonFinite);
      if (value === null) {
        optimizer.zeroGrad();
        await done(null);
        return;
      }
      losses.push({ value: value.read, weight });
    }
    this.update();
    const all = Promise.all(losses.map(({ value }) => value));
    await this.reads.push(all, async (values) => {
      const bad = values.find((value) => !Number.isFinite(value));
      if (bad !== undefined && lag > 0) await onNonFinite({ loss: bad });
      await done(values.reduce((sum, value, i) => sum + value * losses[i].weight, 0));
    });
  }

  /** Waits until all losses have been delivered. */
  flush(): Promise<void> {
    return this.reads.flush();
  }

  /** Waits for the outstanding reads without delivering them; for the way out of a failure. */
  abandon(): Promise<void> {
    return this.reads.abandon();
  }

  /**
   * Forward and backward pass of a part. Its loss is weighted by `share`, its fraction of the step's weight.
   *
   * @returns the loss that is being read, or null if the step is to be skipped
   */
  private async learn(part: StepPart, share: number, onNonFinite: Step['onNonFinite']): Promise<{ read: Promise<number> } | null> {
    const { backend, lag } = this.settings;
    const random = getRandomState();
    const refuse = async (loss: number, cause?: NonFiniteError): Promise<null> => {
      await onNonFinite({ loss, part, random, cause });
      return null;
    };
    const forward = nonFiniteOf(() => withBackend(backend, () => this.forward(part)));
    if ('error' in forward) return await refuse(Number.NaN, forward.error);
    const { output, loss } = forward.result;
    // Both reads return the values at the time of the call, whatever is queued and freed afterwards.
    const read = readAll(loss, output, part.onOutput);
    read.catch(() => undefined);
    const value = lag === 0 ? await read : 0;
    // Also if the step will be skipped: the backward pass frees the graph, and the gradients are dropped.
    const backward = nonFiniteOf(() => {
      const weighted = share === 1 ? loss : loss.mul(share);
      weighted.backward();
      for (const each of [output, loss, weighted]) each.dispose();
    });
    if (!Number.isFinite(value)) return await refuse(value);
    return 'error' in backward ? await refuse(Number.NaN, backward.error) : { read };
  }

  private forward({ images, labels }: StepPart): { output: Tensor; loss: Tensor } {
    const { model, loss } = this.settings;
    const output = model.forward(images);
    return { output, loss: auxiliaryLoss(model, labels, loss, loss(output, labels)) };
  }

  private update(): void {
    const { optimizer, clipGradNorm: limit } = this.settings;
    if (limit !== undefined) clipGradNorm(this.parameters, limit).dispose();
    optimizer.step();
    optimizer.zeroGrad();
  }
}

async function readAll(loss: Tensor, output: Tensor, onOutput: StepPart['onOutput']): Promise<number> {
  const [value, values] = await Promise.all([loss.item(), onOutput ? output.data() : null]);
  if (values) onOutput?.(values);
  return value;
}

/** Runs `fn`; returns its result, or the `NonFiniteError` that it threw. */
function nonFiniteOf<T>(fn: () => T): { result: T } | { error: NonFiniteError } {
  try {
    return { result: fn() };
  } catch (error) {
    if (error instanceof NonFiniteError) return { error };
    throw error;
  }
}
