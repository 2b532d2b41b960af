/** `metrics.jsonl`: one line an epoch. */
import { checkArgument } from '../../backend/validate.js';
import { FormatError } from '../../formats/errors.js';
import { parseJson } from '../../formats/json.js';
import { runStore } from '../rules.js';
import { checkFields, METRICS_RULES } from './run_rules.js';
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

/**
 * The epochs so far. A last line that was cut off while it was written is left out.
 *
 * @throws FormatError naming another line that is not what an epoch leaves
 */
export async function readMetrics(store: RunStore): Promise<EpochMetrics[]> {
  checkArgument('readMetrics', 'store', store, runStore);
  const lines = ((await readText(store, PATHS.metrics)) ?? '').split('\n');
  return lines.flatMap((line, i) => {
    if (line.trim() === '') return [];
    const where = `${PATHS.metrics}: line ${i + 1}`;
    let value: unknown;
    try {
      value = parseJson(line);
    } catch (cause) {
      if (i === lines.length - 1) return [];
      throw new FormatError(`${where} is not JSON; remove the line, or restore the file from a copy`, { cause });
    }
    checkFields(where, value, METRICS_RULES);
    return [value as unknown as EpochMetrics];
  });
}

/** Drops what was written beyond an epoch that training resumes from, so that no epoch stands there twice. */
export async function truncateMetrics(store: RunStore, epoch: number): Promise<EpochMetrics[]> {
  const text = await readText(store, PATHS.metrics);
  const byEpoch = new Map((await readMetrics(store)).map((line) => [line.epoch, line]));
  const kept = [...byEpoch.values()].filter((line) => line.epoch <= epoch).sort((a, b) => a.epoch - b.epoch);
  const wanted = kept.map((line) => `${JSON.stringify(line)}\n`).join('');
  if (text !== null && text !== wanted) await writeText(store, PATHS.metrics, wanted);
  return kept;
}
