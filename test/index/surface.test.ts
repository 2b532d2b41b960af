/** Junk at every export of every entry point: results or typed errors, nothing else. ZFNET_JUNK_RUNS and ZFNET_JUNK_SEED ask for more, or others. */
import { beforeAll, describe, expect, it } from 'vitest';
import { createReferenceBackend } from '../../src/backend/reference/index.js';
import { setDefaultBackend } from '../../src/tensor/index.js';
import { ENTRIES, EXCLUDED, throwJunk } from '../support/junk_targets.js';

const runs = Number(process.env.ZFNET_JUNK_RUNS ?? 12);
const seed = Number(process.env.ZFNET_JUNK_SEED ?? 20140906);
const only = process.env.ZFNET_JUNK_ONLY;

beforeAll(() => setDefaultBackend(createReferenceBackend()));

describe('junk', () => {
  it('never brings an error that is not typed', async () => {
    expect(await throwJunk({ runs, seed, ...(only && { only: new RegExp(only) }) })).toEqual([]);
  }, 600_000);

  it('leaves out no more exports than are named, all of which are there', () => {
    for (const full of Object.keys(EXCLUDED)) {
      const [entry, name] = full.split('.');
      expect(ENTRIES[entry], full).toHaveProperty(name);
    }
  });
});
