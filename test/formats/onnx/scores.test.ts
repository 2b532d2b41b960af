/** The meaning of a classifier's outputs and inputs, recognised from the graph, for models written by several tools. */
import { describe, expect, it } from 'vitest';
import type { NodeProto, Written } from '../../../src/formats/onnx/decoding/schema.js';
import { loadOnnx, OnnxClassifier, type OnnxClassifierOptions } from '../../../src/formats/onnx/index.js';
import { noGrad, tensor, withBackend } from '../../../src/tensor/index.js';
import { mismatch } from '../../support/allclose.js';
import { reference } from '../../support/backends.js';
import { branch, type Description, floats, ints, node, onnx } from './build.js';

const CLOSE = { relative: 1e-5, absolute: 1e-6 };
const wave = (length: number) => Array.from({ length }, (_, i) => Math.sin(1.7 * i + 0.3));
const one = (name: string, value: number) => floats(name, [], [value]);

/** Two maps averaged, `units` scores `z`, and then the nodes that are given. */
const ending = (nodes: Written<NodeProto>[], { units = 5, ...more }: Partial<Description> & { units?: number } = {}) =>
  onnx({
    inputs: { x: { shape: ['n', 3, 4, 4] } },
    ...more,
    nodes: [
      node('Conv', 'x w', 'c'),
      node('GlobalAveragePool', 'c', 'p'),
      node('Flatten', 'p', 'f'),
      node('Gemm', 'f v', 'z', {}, 'fc'),
      ...nodes,
    ],
    initializers: [floats('w', [2, 3, 3, 3], wave(54)), floats('v', [2, units], wave(2 * units)), ...(more.initializers ?? [])],
  });

const open = async (bytes: Uint8Array, options: OnnxClassifierOptions = {}) =>
  new OnnxClassifier(await loadOnnx(bytes, { backend: reference, freeBatch: true }), options);
const images = (count: number) => tensor(wave(count * 48), [count, 3, 4, 4]);
const probabilities = (network: OnnxClassifier, count = 2) =>
  withBackend(reference, () => noGrad(() => network.probabilities(network.forward(images(count))))).data();
const raw = (network: OnnxClassifier, count = 2) => withBackend(reference, () => noGrad(() => network.rawOutput(images(count)))).data();

const softmaxSpeltOut = [
  node('ReduceMax', 'z', 'm', { axes: [1] }),
  node('Sub', 'z m', 's'),
  node('Exp', 's', 'e'),
  node('ReduceSum', 'e axis', 't'),
  node('Div', 'e t', 'y'),
];
const axis = { initializers: [ints('axis', [1])] };

describe('the scores of an imported classifier', () => {
  it.each<[string, Uint8Array, string]>([
    ['a softmax', ending([node('Softmax', 'z', 'y')]), 'softmax'],
    ['a softmax behind a cast', ending([node('Softmax', 'z', 'a'), node('Cast', 'a', 'y', { to: 1 })]), 'softmax'],
    [
      'a softmax behind an identity and a dropout',
      ending([node('Softmax', 'z', 'a'), node('Identity', 'a', 'b'), node('Dropout', 'b', 'y')]),
      'softmax',
    ],
    [
      'a softmax with bounds',
      ending([node('Softmax', 'z', 'a'), node('Clip', 'a low high', 'y')], { initializers: [one('low', 1e-7), one('high', 1)] }),
      'softmax',
    ],
    ['a softmax spelt out', ending(softmaxSpeltOut, axis), 'softmax'],
    ['the exponential of a log-softmax', ending([node('LogSoftmax', 'z', 'a'), node('Exp', 'a', 'y')]), 'softmax'],
    ['five sigmoids', ending([node('Sigmoid', 'z', 'y')]), 'sigmoid'],
    [
      'a sigmoid spelt out',
      ending([node('Neg', 'z', 'a'), node('Exp', 'a', 'b'), node('Add', 'b one', 'c1'), node('Div', 'one c1', 'y')], {
        initializers: [one('one', 1)],
      }),
      'sigmoid',
    ],
    ['a hard sigmoid', ending([node('HardSigmoid', 'z', 'y')]), 'sigmoid'],
  ])('are found behind %s', async (_, bytes, scores) => {
    const network = await open(bytes);
    expect([network.scores, network.independent]).toEqual([scores, scores === 'sigmoid']);
    expect(mismatch(await probabilities(network), await raw(network), { relative: 1e-4, absolute: 1e-5 })).toBeNull();
  });

  it('are the same before and after a log-softmax, also one made of several operators', async () => {
    const expected = await probabilities(await open(ending([node('Identity', 'z', 'y')])));
    const speltOut = [...softmaxSpeltOut.slice(0, 4), node('Log', 't', 'l'), node('Sub', 's l', 'y')];
    for (const bytes of [ending([node('LogSoftmax', 'z', 'y')]), ending(speltOut, axis)]) {
      const network = await open(bytes);
      expect(network.scores).toBe('log-softmax');
      expect(mismatch(await probabilities(network), expected, CLOSE)).toBeNull();
    }
  });

  it('of a single sigmoid give two classes; a single output without a sigmoid is refused', async () => {
    const network = await open(ending([node('Sigmoid', 'z', 'y')], { units: 1 }));
    const [p] = await raw(network, 1);
    expect(mismatch(await probabilities(network, 1), Float32Array.of(1 - p, p), CLOSE)).toBeNull();
    const bare = await open(ending([node('Identity', 'z', 'y')], { units: 1 }));
    expect(() => withBackend(reference, () => bare.probabilities(bare.forward(images(1))))).toThrow(/a single value per image/);
  });

  it('are interpreted by the options', async () => {
    const bytes = ending([node('Identity', 'z', 'y')]);
    const sigmoid = await open(bytes, { scores: 'sigmoid-logits' });
    expect(
      mismatch(
        await probabilities(sigmoid),
        (await raw(sigmoid)).map((z) => 1 / (1 + Math.exp(-z))),
        CLOSE,
      ),
    ).toBeNull();
    await expect(open(bytes, { scores: 'sigmod' as 'sigmoid' })).rejects.toThrow(/scores is 'sigmod', expected/);
    await expect(open(bytes, { output: 'yy' })).rejects.toThrow(/unknown output 'yy'.*'y'/);
  });
});

describe('several outputs', () => {
  const embedding = node('MatMul', 'f q', 'emb');
  const more = { initializers: [floats('q', [2, 7], wave(14))] };

  it('the one with a softmax is chosen, whichever comes last', async () => {
    for (const outputs of [
      ['y', 'emb'],
      ['emb', 'y'],
    ]) {
      const network = await open(ending([node('Softmax', 'z', 'y'), embedding], { ...more, outputs }));
      expect([network.output, network.layerNames().at(-1)]).toEqual(['y', 'fc']);
      expect((await open(ending([node('Softmax', 'z', 'y'), embedding], { ...more, outputs }), { output: 'emb' })).output).toBe('emb');
    }
  });

  it('are listed if an auxiliary head comes first', async () => {
    const bytes = ending(
      [node('Softmax', 'a', 'aux'), node('Relu', 'z', 'r'), node('Gemm', 'r u', 'g'), node('Softmax', 'g', 'y'), node('Relu', 'z', 'a')],
      {
        initializers: [floats('u', [5, 5], wave(25))],
        outputs: ['aux', 'y'],
      },
    );
    await expect(open(bytes)).rejects.toThrow(/several outputs could be class scores: 'aux' \(5 values\), 'y' \(5 values\)/);
    expect((await open(bytes, { output: 'y' })).output).toBe('y');
  });
});

describe('inputs', () => {
  const answer = async (network: OnnxClassifier, count = 3) => [...(await probabilities(network, count))];
  const plain = () => open(ending([node('Identity', 'z', 'y')]));

  it('in the layout [N, H, W, C] are recognised by their shape', async () => {
    const bytes = onnx({
      inputs: { raw: { shape: ['n', 4, 4, 3] } },
      nodes: [
        node('Transpose', 'raw', 'x', { perm: [0, 3, 1, 2] }),
        node('Conv', 'x w', 'c'),
        node('GlobalAveragePool', 'c', 'p'),
        node('Flatten', 'p', 'f'),
        node('Gemm', 'f v', 'y'),
      ],
      initializers: [floats('w', [2, 3, 3, 3], wave(54)), floats('v', [2, 5], wave(10))],
    });
    const network = await open(bytes);
    expect(network.layout).toBe('nhwc');
    expect(await answer(network)).toEqual(await answer(await plain()));
    expect(network.receptiveField('c')?.[0]).toMatchObject({ size: 3 });
  });

  it('of type uint8 receive pixels, which the model casts', async () => {
    const cast = onnx({
      inputs: { raw: { type: 'uint8', shape: ['n', 3, 4, 4] } },
      nodes: [node('Cast', 'raw', 'x', { to: 1 }), node('GlobalAveragePool', 'x', 'p'), node('Flatten', 'p', 'y')],
    });
    expect(await answer(await open(cast), 1)).toHaveLength(3);
    const whole = onnx({ inputs: { x: { type: 'uint8', shape: ['n', 3, 4, 4] } }, nodes: [node('Add', 'x x', 'y')] });
    await expect(open(whole)).rejects.toThrow(/used as integers/);
  });

  it('with a batch size of one are run one by one if the batch axis is squeezed away', async () => {
    const bytes = onnx({
      inputs: { x: { shape: [1, 3, 4, 4] } },
      nodes: [
        node('Conv', 'x w', 'c'),
        node('GlobalAveragePool', 'c', 'p'),
        node('Squeeze', 'p all', 's'),
        node('Unsqueeze', 's first', 'f'),
        node('Gemm', 'f v', 'y'),
      ],
      initializers: [floats('w', [2, 3, 3, 3], wave(54)), floats('v', [2, 5], wave(10)), ints('all', [0, 2, 3]), ints('first', [0])],
    });
    const network = await open(bytes);
    expect(network.batch).toBe(1);
    expect(await answer(network)).toEqual(await answer(await plain()));
  });
});

/** Local response normalisation as PyTorch exports it, for three channels and a window of three. */
const speltOutLrn = (condition: Written<NodeProto>[]) =>
  onnx({
    inputs: { x: { shape: ['n', 3, 4, 4] } },
    opset: 13,
    nodes: [
      node('Mul', 'x x', 'q'),
      node('Unsqueeze', 'q one', 'u'),
      node('Pad', 'u pads', 'pad'),
      node('AveragePool', 'pad', 'm', { kernel_shape: [3, 1, 1], strides: [1, 1, 1] }),
      ...condition,
      node('If', 'single', 'i', {
        then_branch: branch([node('Squeeze', 'm one', 'sq')], 'sq'),
        else_branch: branch([node('Identity', 'm', 'same')], 'same'),
      }),
      node('Mul', 'i alpha', 'a'),
      node('Add', 'a k', 'b'),
      node('Pow', 'b beta', 'd'),
      node('Div', 'x d', 'y', {}, 'norm'),
    ],
    initializers: [ints('one', [1]), ints('pads', [0, 0, 1, 0, 0, 0, 0, 1, 0, 0]), one('alpha', 0.3), one('k', 2), one('beta', 0.75)],
  });

describe('If', () => {
  const byShape = [node('Shape', 'm', 's'), node('Gather', 's one', 'd1'), node('Equal', 'd1 one', 'single')];

  it('on a shape selects its branch, and local response normalisation made of several operators becomes LRN', async () => {
    const net = await loadOnnx(speltOutLrn(byShape), { backend: reference });
    expect(net.layerNames().map((name) => [name, net.layer(name).kind])).toEqual([['norm', 'LRN']]);
    const x = withBackend(reference, () => images(2));
    const { y } = await net.run({ x });
    const direct = await loadOnnx(
      onnx({ nodes: [node('LRN', 'x', 'y', { size: 3, alpha: { float: 0.3 }, beta: { float: 0.75 }, bias: { float: 2 } })] }),
      { backend: reference },
    );
    expect(mismatch(await y.data(), await (await direct.run({ x })).y.data(), CLOSE)).toBeNull();
    // By hand, at the first pixel of the first image.
    const v = [0, 1, 2].map((c) => wave(96)[c * 16]);
    const expected = v[1] / (2 + 0.3 * ((v[0] ** 2 + v[1] ** 2 + v[2] ** 2) / 3)) ** 0.75;
    expect((await y.data())[16]).toBeCloseTo(expected, 5);
  });

  it('on values of the image is refused, and the error says what to do', async () => {
    const byNumbers = [node('ReduceMax', 'm', 'top', { keepdims: 0 }), node('Greater', 'top alpha', 'single')];
    await expect(loadOnnx(speltOutLrn(byNumbers), { backend: reference })).rejects.toThrow(
      /\(If\): its condition "single".*fixed input size/,
    );
  });
});
