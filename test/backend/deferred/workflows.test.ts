/**
 * Everything that users do with a network, on the deferred backend: training, saving and loading, ONNX, projections and experiments. It
 * shows that nothing above the backends needs a synchronous read, an alias or an error at once. Results are those of the reference.
 */
import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createReferenceBackend } from '../../../src/backend/reference/index.js';
import { saveSafetensors } from '../../../src/formats/safetensors.js';
import { setDefaultBackend, withBackend } from '../../../src/tensor/index.js';
import { runWorkflow, workflows } from '../../support/workflows.js';
import { tinyNet } from '../../zfnet/support.js';
import { createDeferredBackend } from './deferred.js';

const reference = createReferenceBackend();
const deferred = createDeferredBackend();
beforeAll(() => setDefaultBackend(deferred));
afterAll(() => {
  reference.dispose();
  deferred.dispose();
});

it.each(workflows.map((workflow) => [workflow.name, workflow] as const))('%s', async (_, workflow) => {
  const expected = await runWorkflow(workflow, reference);
  expect(isDeepStrictEqual(await runWorkflow(workflow, deferred), expected)).toBe(true);
});

it('refuses what only a synchronous read could do, and names the way', () => {
  const [model, elsewhere] = [tinyNet(), withBackend(reference, () => tinyNet())];
  // A kernel has written the weights, so that only the backend has them.
  for (const parameter of model.parameters()) void parameter.writable;
  expect(() => saveSafetensors(model.stateDict())).toThrow(/^saveSafetensors: .* pass await module\.stateDictData\(\)$/);
  expect(() => elsewhere.loadStateDict(model.stateDict())).toThrow(/^loadStateDict: .* pass await module\.stateDictData\(\)$/);
});

it('moves between backends', async () => {
  const model = withBackend(reference, () => tinyNet({ seed: 3 }));
  const before = await model.stateDictData();
  await model.to({ backend: deferred });
  expect(model.parameters().every(({ backend }) => backend === deferred)).toBe(true);
  await model.to({ backend: reference });
  expect(await model.stateDictData()).toEqual(before);
});
