/** The engine's mutable state: one object, shared by all copies of the engine in a process. */
import { readFileSync } from 'node:fs';
import { describe, expect, it, vi } from 'vitest';
import * as own from '../../src/index.js';
import { membersOf } from '../../src/nn/state/members.js';
import { Context, context } from '../../src/tensor/context.js';
import { strict } from '../support/backends.js';
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

describe('two copies of the engine', async () => {
  vi.resetModules();
  const other = await import('../../src/index.js');
  const { backend } = strict;

  it('compute with the tensors of each other, and pass gradients through them', async () => {
    expect(other.Tensor).not.toBe(own.Tensor);
    const x = own.tensor([1, 2, 3], [3], { backend, requiresGrad: true });
    const y = other.tensor([2, 3, 4], [3], { backend });
    expect([x instanceof other.Tensor, y instanceof own.Tensor]).toEqual([true, true]);
    for (const value of [{}, null, undefined, 'tensor', x.shape]) expect(value instanceof own.Tensor).toBe(false);
    const product = other.mul(x, y);
    expect([...(await product.data())]).toEqual([2, 6, 12]);
    product.sum().backward();
    expect([...(await x.grad!.data())]).toEqual([2, 3, 4]);
    expect([...(await own.scope(() => other.add(x, y)).data())]).toEqual([3, 5, 7]);
  });

  it('use the modules of each other, and still tell layers apart', async () => {
    const layer = other.withBackend(backend, () => new other.Linear(3, 2));
    const model = new own.Sequential({ fc: layer });
    expect(Object.keys(model.stateDict())).toEqual(['fc.weight', 'fc.bias']);
    expect(model.forward(own.ones([1, 3], { backend })).shape).toEqual([1, 2]);
    expect(own.countParameters(layer)).toBe(8);
    expect([layer instanceof own.Module, layer instanceof own.Conv2d, layer instanceof own.Sequential]).toEqual([true, false, false]);
    const { parameters } = membersOf(layer, (value): value is never => value instanceof own.Module);
    expect(parameters.map(({ name }) => name)).toEqual(['weight', 'bias']);
    expect([...(await own.randn([1], { backend, generator: new other.Generator(1) }).data())]).toHaveLength(1);
  });

  it('recognise the errors of each other, by their classes', () => {
    const lost = new other.DeviceLostError('lost');
    for (const Class of [own.DeviceLostError, own.BackendError, own.ZfnetError]) expect(lost instanceof Class).toBe(true);
    expect([lost instanceof own.ShapeError, new other.BackendError('') instanceof own.DeviceLostError]).toEqual([false, false]);
    expect(new Error('lost') instanceof own.ZfnetError).toBe(false);
    expect(new own.StateError('') instanceof own.ZfnetError).toBe(true);
    expect(new own.ShapeError('') instanceof own.StateError).toBe(false);
  });
});
