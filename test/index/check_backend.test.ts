/** `checkBackend`: correct backends pass, and a backend with one wrong kernel fails in the rows that use the kernel. */
import { afterAll, describe, expect, it } from 'vitest';
import type { Storage } from '../../src/backend/backend.js';
import { createReferenceBackend } from '../../src/backend/reference/index.js';
import { type Backend, noGrad, setNanCheck, ValueError } from '../../src/tensor/index.js';
import { compareValues } from '../../src/testing/tolerances.js';
import { type BackendCheckRow, checkBackend, OPERATION_TOLERANCES, operationCases } from '../../src/testing.js';
import { createDeferredBackend } from '../backend/deferred/deferred.js';
import { reference, strict } from '../support/backends.js';

const deferred = createDeferredBackend();
afterAll(() => deferred.dispose());

const names = [...new Set(operationCases.map(({ op }) => op))];
/** Operations whose cases take the reference backend longest; other test files run them on every backend. */
const SLOW = ['conv2d', 'matmul', 'linear', 'convTranspose2d'];
const quick = names.filter((name) => !SLOW.includes(name));
const failures = (rows: readonly BackendCheckRow[]) => rows.filter(({ passed }) => !passed);
const operationsOf = (rows: readonly BackendCheckRow[]) => [...new Set(rows.map(({ operation }) => operation))];

describe('a correct backend passes', () => {
  it.each<[string, Backend, string[] | undefined]>([
    ['wasm, all operations', strict.backend, undefined],
    ['reference', reference, [...quick, 'convTranspose2d']],
    ['deferred', deferred, [...quick, 'convTranspose2d']],
  ])('%s', async (_, backend, operations) => {
    const { buffers } = backend.memory();
    const check = await checkBackend(backend, { operations });
    expect(failures(check.rows)).toEqual([]);
    expect(operationsOf(check.rows).sort()).toEqual([...(operations ?? names)].sort());
    expect(check).toMatchObject({ passed: check.rows.length, failed: 0 });
    expect(check.rows.some(({ pass, largestError }) => pass === 'gradient' && largestError > 0)).toBe(true);
    expect(backend.memory().buffers).toBe(buffers);
  });
});

describe('a wrong kernel is found', () => {
  it('in the gradient', async () => {
    const wrong = createReferenceBackend();
    const { reluGrad } = wrong;
    wrong.reluGrad = (dx, dy, y) => reluGrad(dx, dy, y, 'rectify');
    const { rows, failed, text } = await checkBackend(wrong, { operations: ['relu', 'sigmoid'] });
    expect(failed).toBeGreaterThan(0);
    expect(failures(rows).every(({ operation, pass }) => operation === 'relu' && pass === 'gradient')).toBe(true);
    expect(failures(rows)[0].error).toMatch(/^gradient of input 0: \d+ of \d+ elements differ, most at element \d+: got .*, expected /);
    expect(text()).toContain(`${failures(rows)[0].operation}: ${failures(rows)[0].case}, gradient: gradient of input 0`);
    expect(text()).toMatch(new RegExp(`${rows.length - failed} passed, ${failed} failed$`));
  });

  it('in the output, by a relative error of 1e-5', async () => {
    const wrong = createReferenceBackend();
    const { affine, relu } = wrong;
    wrong.relu = (y, x) => {
      relu(y, x);
      affine(y, y, 1 + 1e-5, 0);
    };
    const seen: BackendCheckRow[] = [];
    const { rows } = await checkBackend(wrong, { operations: ['relu', 'tanh'], gradients: false, onResult: (row) => seen.push(row) });
    expect(seen).toEqual(rows);
    expect(rows.every(({ pass }) => pass === 'forward')).toBe(true);
    expect(operationsOf(failures(rows))).toEqual(['relu']);
    expect((await checkBackend(wrong, { operations: ['relu'], slack: 100 })).failed).toBe(0);
  });

  it('where it loses a NaN', async () => {
    const wrong = createReferenceBackend();
    const { relu } = wrong;
    wrong.relu = (y, input) => {
      const x = input as Storage;
      const data = wrong.readSync(x).map((value) => (Number.isNaN(value) ? 0 : value));
      const clean = wrong.allocate(x.dtype, x.size);
      wrong.write(clean, data);
      relu(y, clean);
      wrong.release(clean);
    };
    const { rows } = await checkBackend(wrong, { operations: ['relu'] });
    const lost = failures(rows).filter(({ pass }) => pass === 'forward');
    expect(lost.map((row) => row.case)).toEqual(['extremes']);
    expect(lost[0]).toMatchObject({ largestError: Number.POSITIVE_INFINITY, error: expect.stringContaining('expected NaN') });
  });

  it.each([
    ['at once', createReferenceBackend()],
    ['in its queue', createDeferredBackend()],
  ])('that throws %s, without ending the check', async (_, wrong: Backend) => {
    wrong.relu = () => {
      throw new Error('no such shader');
    };
    const { rows } = await checkBackend(wrong, { operations: ['relu', 'tanh'] });
    expect(operationsOf(rows)).toEqual(names.filter((name) => name === 'relu' || name === 'tanh'));
    const failed = failures(rows);
    expect(operationsOf(failed)).toEqual(['relu']);
    expect(failed[0]).toMatchObject({ pass: 'forward', error: 'no such shader', largestError: Number.POSITIVE_INFINITY });
  });
});

describe('checkBackend', () => {
  it('refuses invalid arguments', async () => {
    await expect(checkBackend(null as never)).rejects.toThrow(/checkBackend: backend is null, expected a backend/);
    await expect(checkBackend(reference, { operation: ['relu'] } as never)).rejects.toThrow(/did you mean 'operations'/);
    await expect(checkBackend(reference, { operations: ['rellu'] })).rejects.toThrow(ValueError);
    await expect(checkBackend(reference, { operations: ['rellu'] })).rejects.toThrow(/unknown operation 'rellu'.*did you mean 'relu'/);
    await expect(checkBackend(reference, { slack: 0 })).rejects.toThrow(/slack is 0/);
  });

  it('does not depend on noGrad or the check for NaN around it', async () => {
    setNanCheck(true);
    try {
      const { rows, failed } = await noGrad(() => ({ check: checkBackend(reference, { operations: ['relu'] }) })).check;
      expect(failed).toBe(0);
      expect(rows.filter(({ pass }) => pass === 'gradient')).toHaveLength(rows.length / 2);
    } finally {
      setNanCheck(false);
    }
  });

  it('has a reason for every larger tolerance, each of an operation that exists', () => {
    for (const [name, { factor, reason }] of Object.entries(OPERATION_TOLERANCES)) {
      expect(names).toContain(name);
      expect(factor).toBeGreaterThan(1);
      expect(reason).not.toBe('');
    }
  });
});

describe('values are compared', () => {
  const { NaN: nan, POSITIVE_INFINITY: infinity } = Number;

  it('by place where they are not finite', () => {
    expect(compareValues([nan, infinity, -infinity], [nan, infinity, -infinity], 1e-6)).toEqual({ error: 0, fault: null });
    for (const [a, b] of [
      [nan, 1],
      [1, nan],
      [infinity, -infinity],
      [infinity, 1],
      [1, infinity],
      [nan, infinity],
    ])
      expect(compareValues([a], [b], 1e9)).toMatchObject({ error: infinity, fault: expect.stringContaining('1 of 1 elements differ') });
  });

  it('relative to the value and to the scale', () => {
    expect(compareValues([1000.1], [1000], 2e-4)).toMatchObject({ fault: null });
    expect(compareValues([0.1], [0], 2e-4).fault).not.toBeNull();
    expect(compareValues([0.1], [0], 2e-4, [1000])).toMatchObject({ error: 2e-4, fault: null });
    expect(compareValues([1, 2], [1], 1).fault).toBe('2 elements, expected 1');
  });
});
