/** Small models that would need much time or memory, and weights that are not finite. */
import { beforeAll, describe, expect, it } from 'vitest';
import { loadOnnx, OnnxError } from '../../../src/formats/onnx/index.js';
import { setDefaultBackend, tensor } from '../../../src/tensor/index.js';
import { reference } from '../../support/backends.js';
import { branch, floats, ints, node, onnx } from './build.js';

beforeAll(() => setDefaultBackend(reference));

const MANY = 20_000;
const many = <T>(make: (i: number) => T): T[] => Array.from({ length: MANY }, (_, i) => make(i));

/** Seconds that loading takes, or was refused after. */
async function seconds(bytes: Uint8Array): Promise<number> {
  const started = performance.now();
  await loadOnnx(bytes).catch((error) => expect(error).toBeInstanceOf(OnnxError));
  return (performance.now() - started) / 1000;
}

describe('loading', () => {
  it.each<[string, () => Uint8Array]>([
    ['consumers of one value', () => onnx({ nodes: [...many((i) => node('Relu', 'x', `r${i}`)), node('Neg', 'x', 'y')] })],
    ['outputs of one name', () => onnx({ nodes: many(() => node('Relu', 'x', 'y')) })],
    [
      'a chain against the order of computation',
      () => onnx({ nodes: many((i) => node('Relu', i === 0 ? 'x' : `r${i - 1}`, i === MANY - 1 ? 'y' : `r${i}`)).reverse() }),
    ],
    [
      'identities of constants',
      () => onnx({ nodes: [...many((i) => node('Identity', 'k', `c${i}`)), node('Neg', 'x', 'y')], initializers: [floats('k', [1], [1])] }),
    ],
  ])(
    'takes time proportional to the number of %s',
    async (_, make) => {
      // Loading them one by one took 8 to 30 s when its time grew with the square of their number.
      expect(await seconds(make())).toBeLessThan(6);
    },
    30_000,
  );

  it('refuses graphs that are nested too deeply', async () => {
    let inner = branch([node('Identity', 'x', 'z')], 'z');
    for (let i = 0; i < 40; i++)
      inner = branch(
        [node('If', 'c', 'z', { then_branch: inner, else_branch: inner.graph ? branch([node('Identity', 'x', 'z')], 'z') : inner })],
        'z',
      );
    const bytes = onnx({ nodes: [node('If', 'c', 'y', { then_branch: inner, else_branch: inner })], initializers: [ints('c', [1])] });
    await expect(loadOnnx(bytes)).rejects.toThrow(/nested more than 64 deep/);
  });
});

describe('values on the host', () => {
  it('have a budget, which a chain of doublings exceeds before memory is exhausted', async () => {
    const nodes = [node('Shape', 'x', 'c0')];
    for (let i = 0; i < 40; i++) nodes.push(node('Concat', `c${i} c${i}`, `c${i + 1}`, { axis: 0 }));
    const net = await loadOnnx(onnx({ nodes: [...nodes, node('Reshape', 'x c40', 'y')] }));
    await expect(net.run({ x: tensor([1, 2], [1, 2]) })).rejects.toThrow(/on the host .*limit/);
  }, 30_000);

  it('are bounded for Expand, Pad and the number of axes', async () => {
    const x = () => tensor([1, 2], [1, 2]);
    const expand = await loadOnnx(onnx({ nodes: [node('Expand', 'x s', 'y')], initializers: [ints('s', [2 ** 30, 2])] }));
    await expect(expand.run({ x: x() })).rejects.toThrow(/\(Expand\): it would create shape \[1073741824,2\]/);
    const pad = await loadOnnx(onnx({ nodes: [node('Pad', 'x s', 'y')], initializers: [ints('s', [2 ** 30, 0, 0, 0])] }));
    await expect(pad.run({ x: x() })).rejects.toThrow(/\(Pad\): it would create shape/);
    const axes = await loadOnnx(onnx({ nodes: [node('Reshape', 'x s', 'y')], initializers: [ints('s', [2, ...new Array(100).fill(1)])] }));
    await expect(axes.run({ x: x() })).rejects.toThrow(/101 axes/);
  });
});

describe('weights', () => {
  const conv = (value: number) => onnx({ nodes: [node('Conv', 'x w', 'y')], initializers: [floats('w', [1, 1, 1, 2], [1, value])] });

  it.each([Number.NaN, Number.POSITIVE_INFINITY])('that are %s are refused by name', async (value) => {
    await expect(loadOnnx(conv(value))).rejects.toThrow(/tensor "w" of node "y" \(Conv\) has the value (NaN|Infinity) at index 1/);
  });

  it('may be infinite where this is meaningful: the bounds of a Clip, an added mask', async () => {
    const initializers = [floats('low', [], [Number.NEGATIVE_INFINITY]), floats('mask', [2], [0, Number.NEGATIVE_INFINITY])];
    const net = await loadOnnx(onnx({ nodes: [node('Clip', 'x low', 'a'), node('Add', 'a mask', 'y')], initializers }));
    expect([...(await (await net.run({ x: tensor([1, 2], [1, 2]) })).y.data())]).toEqual([1, Number.NEGATIVE_INFINITY]);
    await expect(
      loadOnnx(onnx({ nodes: [node('Add', 'x mask', 'y')], initializers: [floats('mask', [2], [0, Number.NaN])] })),
    ).rejects.toThrow(/tensor "mask"/);
  });
});
