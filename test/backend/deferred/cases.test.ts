/**
 * Every operation on the deferred backend, forwards and back: the bits of the reference backend, in float64. Large cases are
 * there for the tiles of other backends; they call the same kernels as small ones and are left out.
 */
import { afterAll, expect, it } from 'vitest';
import { createReferenceBackend } from '../../../src/backend/reference/index.js';
import { sizeOf } from '../../../src/tensor/index.js';
import { cases as all } from '../../../src/testing/cases/index.js';
import { runCase, runCaseLater } from '../../support/run.js';
import { createDeferredBackend } from './deferred.js';

const MOST_ELEMENTS = 6000;
const cases = all.filter(({ inputs }) => inputs.reduce((sum, { shape }) => sum + sizeOf(shape), 0) <= MOST_ELEMENTS);

const reference = createReferenceBackend();
const deferred = createDeferredBackend();
afterAll(() => {
  reference.dispose();
  deferred.dispose();
});

it('covers every operation', () => {
  expect(new Set(cases.map(({ op }) => op))).toEqual(new Set(all.map(({ op }) => op)));
});

it.each([...new Set(cases.map(({ op }) => op))])('%s', async (op) => {
  for (const c of cases.filter((each) => each.op === op)) {
    const expected = runCase(c, reference, 'float64');
    expect(await runCaseLater(c, deferred, 'float64'), c.name).toEqual(expected);
    await deferred.synchronize();
    expect(deferred.memory(), c.name).toMatchObject({ bytes: 0, buffers: 0, reservedBytes: 0 });
  }
});
