/** Early warnings: an exploding loss, and dominating filters. */
import { beforeEach, describe, expect, it } from 'vitest';
import { dominatingFilters, type TrainJob, train } from '../../src/zfnet/index.js';
import { LossWatch } from '../../src/zfnet/training/watching/diagnosis.js';
import { tinyJob, tinyNet, useReferenceBackend } from './support.js';

beforeEach(useReferenceBackend);

async function warningsOf(job: Partial<TrainJob>): Promise<string[]> {
  const warnings: string[] = [];
  await train(tinyJob({ ...job, onWarning: (message) => warnings.push(message) })).catch(() => undefined);
  return warnings;
}

describe('LossWatch', () => {
  const GUESSING = Math.log(10);
  const firstWarning = (losses: readonly number[]): number => {
    const watch = new LossWatch(10);
    return losses.findIndex((loss) => watch.see(loss) !== null);
  };

  it('detects an exploding loss long before it is infinite', () => {
    const losses = Array.from({ length: 200 }, (_, i) => (i < 100 ? GUESSING - i / 60 : 2 ** (i - 100)));
    const at = firstWarning(losses);
    expect(at).toBeGreaterThan(100);
    expect(at).toBeLessThan(110);
    expect(losses[at]).toBeLessThan(1000);
  });

  it('does not warn about one bad batch, a bad start, or a loss near that of guessing', () => {
    const falling = Array.from({ length: 300 }, (_, i) => 0.1 + GUESSING * 0.99 ** i);
    expect(firstWarning(falling)).toBe(-1);
    expect(firstWarning(falling.map((loss, i) => (i === 150 ? 3 * GUESSING : loss)))).toBe(-1);
    expect(firstWarning(falling.map((loss) => 10 * loss))).toBe(-1);
    expect(firstWarning(falling.map((_, i) => GUESSING * (1 + 0.8 * Math.sin(i))))).toBe(-1);
  });
});

describe('training', () => {
  it('warns once about an exploding loss, with the learning rate', async () => {
    const warnings = await warningsOf({ options: { epochs: 4, lr: 0.9, maxFilterRms: null } });
    const found = warnings.filter((message) => message.includes('explodes'));
    expect(found).toHaveLength(1);
    expect(found[0]).toMatch(/^epoch \d, step \d+: the loss explodes: it is .*guessing gives 1\.10.*\(the rate is 0\.9\)$/);
  });

  it('warns once about filters that dominate their layer, with the paper’s remedy', async () => {
    const model = tinyNet({ width: 0.1 });
    expect(await dominatingFilters(model)).toEqual([]);
    const [weight] = model.layer('conv1').parameters();
    const values = Array.from(weight.dataSync() as Float32Array);
    const size = weight.size / weight.shape[0];
    weight.set(Float32Array.from(values, (value, i) => (Math.floor(i / size) === 7 ? 20 * value : value)));
    const [found, ...others] = await dominatingFilters(model);
    expect(others).toEqual([]);
    expect(found).toMatchObject({ layer: 'conv1', maps: [7], of: 10 });
    expect(found.largest / found.median).toBeGreaterThan(10);
    const rms = (map: number) => Math.sqrt(values.slice(map * size, (map + 1) * size).reduce((sum, value) => sum + value ** 2, 0) / size);
    expect(found.largest).toBeCloseTo(20 * rms(7), 5);

    const warnings = await warningsOf({ model, options: { epochs: 2, lr: 1e-6, maxFilterRms: null } });
    const told = warnings.filter((message) => message.includes('dominate'));
    expect(told).toHaveLength(1);
    expect(told[0]).toMatch(/^conv1: 1 of 10 filters \(7\) dominate: .*--max-filter-rms/);
  });
});
