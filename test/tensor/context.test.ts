/** The engine's mutable state: one object, shared by all copies of the engine in a process. */
import { readFileSync } from 'node:fs';
import { describe, expect, it, vi } from 'vitest';
import { Context, context } from '../../src/tensor/context.js';
import { sourceFiles } from '../support/imports.js';

/** Declarations at the top level of a file that hold state: `let`, and constants that are collections. */
const STATE = /^(?:export )?(?:let |const \w+(?:: [^=]+)? = (?:new (?:Map|Set|WeakMap|WeakSet)\b|\[\];|\{\};))/gm;

describe('the state of src/tensor', () => {
  it('is one object', () => {
    const found = sourceFiles('src/tensor').flatMap((path) => readFileSync(path, 'utf8').match(STATE) ?? []);
    expect(found).toEqual([]);
    const objects = sourceFiles('src/tensor').flatMap((path) => readFileSync(path, 'utf8').match(/^(?:export )?const context\b/gm) ?? []);
    expect(objects).toHaveLength(1);
  });

  it.each([
    'let recording = true;',
    'export let layer: string;',
    'const seen = new Map();',
    'const names: string[] = [];',
    'export const kept = new WeakMap<Tensor, number>();',
  ])('would be more than one object with: %s', (line) => {
    expect(`/** */\n${line}\n`.match(STATE)).toHaveLength(1);
  });

  it('is shared by a second copy of the engine, so that both have one backend and one stream of random numbers', async () => {
    vi.resetModules();
    const copy = await import('../../src/tensor/context.js');
    expect(copy.Context).not.toBe(Context);
    expect(copy.context).toBe(context);
  });
});
