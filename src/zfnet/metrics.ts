/** `metrics.jsonl`: one line an epoch. */
import { checkArgument } from '../backend/validate.js';
import { runStore } from './rules.js';
import { PATHS, type RunStore, readText, writeText } from './run_store.js';

export interface EpochMetrics {
  /** From 1. */
  epoch: number;
  /** Steps since the start of training. */
  step: number;
  /** The learning rate of this epoch. */
  lr: number;
  /** Mean cross-entropy over the epoch, as the steps saw it, with dropout. */
  trainLoss: number;
  /** Fraction missed over the epoch, as the steps saw it, with dropout. */
  trainTop1Error: number;
  /** Fraction missed, centre crop; null where there is no validation set. */
  valTop1Error: number | null;
  valTop5Error: number | null;
  /** Of training, without validation. */
  imagesPerSecond: number;
  /** The most bytes that the engine's tensors held since it started. Absent in runs of earlier versions. */
  peakBytes?: number;
}

/** The epochs so far. A last line that was cut off while it was written is left out. */
export async function readMetrics(store: RunStore): Promise<EpochMetrics[]> {
  checkArgument('readMetrics', 'store', store, runStore);
  const text = (await readText(store, PATHS.metrics)) ?? '';
  return text.split('\n').flatMap((line) => {
    try {
      return line.trim() === '' ? [] : [JSON.parse(line) as EpochMetrics];
    } catch {
      return [];
    }
  });
}

/** Drops what was written beyond an epoch that training goes on from, so that no epoch stands there twice. */
export async function truncateMetrics(store: RunStore, epoch: number): Promise<EpochMetrics[]> {
  const text = await readText(store, PATHS.metrics);
  const kept = (await readMetrics(store)).filter((line) => line.epoch <= epoch);
  const wanted = kept.map((line) => `${JSON.stringify(line)}\n`).join('');
  if (text !== null && text !== wanted) await writeText(store, PATHS.metrics, wanted);
  return kept;
}
