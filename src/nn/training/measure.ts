/** Measures a network on validation data. */
import { type Backend, noGrad, type Tensor, withBackend } from '../../tensor/index.js';
import { countErrors } from '../loss.js';
import type { Module } from '../module.js';
import { type FitBatch, place } from './batches.js';
import { LateReads } from './late_reads.js';
import type { LossFunction } from './stepper.js';

/** Result of `measure`. */
export interface Measured {
  /** Mean loss over the examples. */
  loss: number;
  /** Fraction of the examples whose label is not the largest output; only for outputs [N, classes] and int32 labels [N]. */
  top1Error?: number;
}

/**
 * Mean loss and top-1 error of a network in evaluation mode. The caller restores the mode.
 *
 * @param lag number of batches that are queued before a result is awaited
 * @returns null if the signal stopped it
 */
export async function measure(
  model: Module,
  batches: AsyncIterable<FitBatch>,
  { loss, backend, lag, signal }: { loss: LossFunction; backend: Backend; lag: number; signal?: AbortSignal },
): Promise<Measured | null> {
  const sums = { loss: 0, errors: 0, examples: 0, classified: 0 };
  const reads = new LateReads(lag);
  model.eval();
  try {
    for await (const batch of batches) {
      if (signal?.aborted) return null;
      const placed = await place(batch, backend);
      const { images, labels } = placed;
      const [output, value] = withBackend(backend, () =>
        noGrad(() => {
          const output = model.forward(images);
          return [output, loss(output, labels)];
        }),
      );
      const read = Promise.all([value.item(), classesOf(output, labels)]);
      for (const each of [value, output]) each.dispose();
      placed.release();
      const rows = images.shape[0];
      await reads.push(read, ([mean, errors]) => {
        sums.loss += mean * rows;
        sums.examples += rows;
        if (errors === null) return;
        sums.errors += errors;
        sums.classified += rows;
      });
    }
    await reads.flush();
  } finally {
    await reads.abandon();
  }
  const top1Error = sums.classified === sums.examples ? sums.errors / sums.examples : undefined;
  return { loss: sums.loss / sums.examples, ...(top1Error !== undefined && { top1Error }) };
}

/** Number of rows whose label is not the largest output; null unless the output is [N, classes] and the labels are classes [N]. */
async function classesOf(output: Tensor, labels: Tensor): Promise<number | null> {
  if (output.rank !== 2 || labels.rank !== 1 || labels.dtype !== 'int32') return null;
  const classes = output.shape[1];
  const [values, truth] = await Promise.all([output.data(), labels.data()]);
  return countErrors(values, truth, classes, 1);
}
