/** Reads and truncates `metrics.jsonl`, which has one line per epoch. */
import { checkArgument } from '../../backend/validate.js';
import { FormatError } from '../../formats/errors.js';
import { parseJson } from '../../formats/json.js';
import { runStore } from '../rules.js';
import { checkFields, METRICS_RULES } from './run_rules.js';
import { PATHS, type RunStore, readText, writeText } from './run_store.js';

/** Metrics of one epoch. */
export interface EpochMetrics {
  /** Number of the epoch, from 1. */
  epoch: number;
  /** Steps since the start of training. */
  step: number;
  /** The learning rate of this epoch. */
  lr: number;
  /** Mean cross-entropy over the steps of the epoch, in training mode. */
  trainLoss: number;
  /** Top-1 error over the steps of the epoch, in training mode, as a fraction. */
  trainTop1Error: number;
  /** Top-1 error on the validation set (centre crop) as a fraction; null without a validation set. */
  valTop1Error: number | null;
  /** Top-5 error on the validation set as a fraction; null without a validation set. */
  valTop5Error: number | null;
  /** Training throughput, without validation. */
  imagesPerSecond: number;
  /** Peak memory of tensors since the start of the engine, in bytes. Absent in runs of earlier versions. */
  peakBytes?: number;
}

/**
 * Metrics of the epochs that are done. An incomplete last line, from an interrupted write, is ignored.
 *
 * @example const [{ epoch, valTop1Error }] = await readMetrics(store);
 * @throws FormatError naming any other line that is not valid
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

/** Removes the lines after the epoch that training resumes from, and returns the remaining metrics. */
export async function truncateMetrics(store: RunStore, epoch: number): Promise<EpochMetrics[]> {
  const text = await readText(store, PATHS.metrics);
  const byEpoch = new Map((await readMetrics(store)).map((line) => [line.epoch, line]));
  const kept = [...byEpoch.values()].filter((line) => line.epoch <= epoch).sort((a, b) => a.epoch - b.epoch);
  const wanted = kept.map((line) => `${JSON.stringify(line)}\n`).join('');
  if (text !== null && text !== wanted) await writeText(store, PATHS.metrics, wanted);
  return kept;
}
