/**
 * Runs that earlier versions wrote and stopped in the middle of the second epoch resume to the bits that those versions computed. The
 * folders `version-1` (release 0.1.0, checkpoints of version 1) and `version-2` (checkpoints of version 2, SGD only) are in
 * `test/fixtures/saved_runs`; `expected.json` has the losses and the hashes of the final weights.
 */
import { readFileSync } from 'node:fs';
import { beforeEach, describe, expect, it } from 'vitest';
import { MemoryStore, openTrainedRun, PATHS, readConfig, train } from '../../../src/zfnet/index.js';
import { tinyJob, tinyNet, useReferenceBackend, weightsOf } from '../support.js';

beforeEach(useReferenceBackend);

interface Expected {
  losses: number[];
  weights: Record<string, string>;
}

function stored(version: string): { store: MemoryStore; expected: Expected } {
  const folder = `test/fixtures/saved_runs/${version}`;
  const store = new MemoryStore();
  for (const path of [PATHS.config, PATHS.metrics, PATHS.last]) store.files.set(path, new Uint8Array(readFileSync(`${folder}/${path}`)));
  return { store, expected: JSON.parse(readFileSync(`${folder}/expected.json`, 'utf8')) };
}

describe.each(['version-1', 'version-2'])('a run of %s', (version) => {
  it('resumes bit for bit, without a warning', async () => {
    const { store, expected } = stored(version);
    const warnings: string[] = [];
    let first = 0;
    const model = tinyNet({ seed: 99 });
    const { metrics } = await train({
      ...tinyJob({ store, model, resume: true, onWarning: (message) => warnings.push(message), onStep: ({ step }) => (first ||= step) }),
      options: {},
    });
    expect(warnings).toEqual([]);
    expect(first).toBe(9);
    expect(metrics.map(({ trainLoss }) => trainLoss)).toEqual(expected.losses);
    expect(weightsOf(model)).toEqual(expected.weights);
  });

  it('opens for evaluation', async () => {
    const { store } = stored(version);
    const run = await openTrainedRun(store);
    expect(run.training).toMatchObject({ epoch: 1, step: 8 });
    expect(run.config.training).toMatchObject({ momentum: 0.9, weightDecay: 0.001 });
    run.model.dispose();
  });
});

it('the same recipe from the start gives the same losses, weights and configuration as before', async () => {
  const { store: old, expected } = stored('version-2');
  const store = new MemoryStore();
  const job = tinyJob({ store, options: { epochs: 3, weightDecay: 0.001 } });
  const { metrics } = await train(job);
  expect(metrics.map(({ trainLoss }) => trainLoss)).toEqual(expected.losses);
  expect(weightsOf(job.model)).toEqual(expected.weights);
  expect(await readConfig(store)).toEqual(await readConfig(old));
});
