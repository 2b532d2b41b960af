/** Reading graphs: names, order, constants, external data, and the reasons for refusing a graph. */
import { beforeAll, describe, expect, it } from 'vitest';
import { encodeModel } from '../../../src/formats/onnx/decoding/schema.js';
import { loadOnnx, OnnxError, UnsupportedError } from '../../../src/formats/onnx/index.js';
import { setDefaultBackend, tensor } from '../../../src/tensor/index.js';
import { reference } from '../../support/backends.js';
import { floats, ints, node, onnx } from './build.js';

beforeAll(() => setDefaultBackend(reference));

const x = () => tensor([1, -2, 3, -4], [1, 4]);

describe('loadOnnx', () => {
  it('computes branches, whatever their order in the file', async () => {
    const nodes = [node('Add', 'a b', 'y'), node('Relu', 'x', 'a'), node('Neg', 'x', 'b')];
    const net = await loadOnnx(onnx({ nodes }));
    expect([...(await (await net.run({ x: x() })).y.data())]).toEqual([0, 2, 0, 4]);
  });

  it('reads half precision, packed and raw', async () => {
    // 1.5, −2 and the smallest subnormal as IEEE half precision; 1 and −3 as bfloat16.
    const half = { name: 'h', dims: [3], dataType: 10, int32Data: [0x3e00, 0xc000, 0x0001] };
    const brain = { name: 'f', dims: [2], dataType: 16, rawData: Uint8Array.of(0x80, 0x3f, 0x40, 0xc0) };
    const net = await loadOnnx(onnx({ nodes: [node('Concat', 'x h f', 'y', { axis: 0 })], initializers: [half, brain] }));
    const { y } = await net.run({ x: tensor([0], [1]) });
    expect([...(await y.data())]).toEqual([0, 1.5, -2, 2 ** -24, 1, -3]);
  });

  it('takes weights from initialisers, Constant and ConstantOfShape, and trains them', async () => {
    const nodes = [
      node('Constant', '', 'w', { value: { tensor: floats('', [2, 4], [1, 0, 0, 0, 0, 1, 0, 0]) } }),
      node('ConstantOfShape', 'two', 'c', { value: { tensor: floats('', [1], [0.5]) } }),
      node('Gemm', 'x w c', 'g', { transB: 1 }),
      node('Add', 'g bias', 's'),
      node('Mul', 's half', 'y'),
    ];
    const initializers = [ints('two', [2]), floats('bias', [2], [10, 20]), floats('half', [], [0.5])];
    const net = await loadOnnx(onnx({ nodes, initializers }));
    expect(
      net
        .namedParameters()
        .map(([name]) => name)
        .sort(),
    ).toEqual(['bias', 'c', 'w']);
    expect([...(await net.forward(x()).data())]).toEqual([(1 + 0.5 + 10) / 2, (-2 + 0.5 + 20) / 2]);
  });

  it('reads external data from inside the folder', async () => {
    const entry = (key: string, value: string) => ({ key, value });
    const external = (location: string, offset = '4') => ({
      name: 'w',
      dims: [4],
      dataType: 1,
      dataLocation: 1,
      externalData: [entry('location', location), entry('offset', offset), entry('length', '16')],
    });
    const bytes = (location: string, offset?: string) =>
      onnx({ nodes: [node('Mul', 'x w', 'y')], initializers: [external(location, offset)] });
    const file = new Uint8Array(20);
    new Float32Array(file.buffer, 4).set([1, 2, 3, 4]);
    const asked: string[] = [];
    const externalData = async (path: string) => {
      asked.push(path);
      return file;
    };
    const net = await loadOnnx(bytes('./weights/w.bin'), { externalData });
    expect([...(await net.forward(x()).data())]).toEqual([1, -4, 9, -16]);
    expect(asked).toEqual(['weights/w.bin']);
    for (const path of ['../w.bin', '/etc/passwd', 'a/../../w', 'C:\\w.bin', 'a\\..\\b', 'http://host/w', ''])
      await expect(loadOnnx(bytes(path), { externalData }), path).rejects.toThrow(OnnxError);
    await expect(loadOnnx(bytes('w.bin', '8'), { externalData })).rejects.toThrow(/bytes 8 to 24 of "w.bin", which has 20/);
    await expect(loadOnnx(bytes('w.bin', '99999999999999999999'), { externalData })).rejects.toThrow(/offset/);
    await expect(loadOnnx(bytes('w.bin'))).rejects.toThrow(/externalData/);
    expect(asked).toEqual(['weights/w.bin', 'w.bin']);
  });

  const refused: [string, () => Uint8Array, RegExp, typeof OnnxError][] = [
    [
      'an unknown operator',
      () => onnx({ nodes: [node('Wobble', 'x', 'y', {}, 'first')] }),
      /node "first" \(Wobble\).*supported are Abs, Add/s,
      UnsupportedError,
    ],
    ['a foreign domain', () => onnx({ nodes: [{ ...node('Relu', 'x', 'y'), domain: 'com.acme' }] }), /domain "com.acme"/, UnsupportedError],
    ['an old operator set', () => onnx({ nodes: [node('Relu', 'x', 'y')], opset: 5 }), /operator set 5 is too old/, UnsupportedError],
    [
      'a cycle',
      () => onnx({ nodes: [node('Add', 'x b', 'a', {}, 'up'), node('Relu', 'a', 'b'), node('Neg', 'b', 'y')] }),
      /cycle/,
      OnnxError,
    ],
    ['a node that needs itself', () => onnx({ nodes: [node('Add', 'x y', 'y')] }), /cycle/, OnnxError],
    [
      'a missing initialiser',
      () => onnx({ nodes: [node('Conv', 'x w', 'y', {}, 'conv1')] }),
      /node "conv1" \(Conv\): its input "w"/,
      OnnxError,
    ],
    ['a missing output', () => onnx({ nodes: [node('Relu', 'x', 'z')] }), /output "y" is computed by no node/, OnnxError],
    ['a name defined twice', () => onnx({ nodes: [node('Relu', 'x', 'y'), node('Neg', 'x', 'y')] }), /"y" is defined twice/, OnnxError],
    [
      'strings',
      () => onnx({ nodes: [node('Add', 'x w', 'y')], initializers: [{ name: 'w', dims: [1], dataType: 8 }] }),
      /type string/,
      UnsupportedError,
    ],
    [
      'too few numbers',
      () => onnx({ nodes: [node('Add', 'x w', 'y')], initializers: [{ ...floats('w', [2], [1, 2]), dims: [3] }] }),
      /needs 3 float32 elements, the file has 8 bytes/,
      OnnxError,
    ],
    [
      'a size that overflows',
      () => onnx({ nodes: [node('Add', 'x w', 'y')], initializers: [{ ...floats('w', [2], [1, 2]), dims: [2 ** 40, 2 ** 40] }] }),
      /needs/,
      OnnxError,
    ],
    [
      'a negative size',
      () => onnx({ nodes: [node('Add', 'x w', 'y')], initializers: [{ ...floats('w', [2], [1, 2]), dims: [-2, -1] }] }),
      /shape \[-2,-1\]/,
      OnnxError,
    ],
    ['an empty file', () => new Uint8Array(0), /no graph/, OnnxError],
    ['another kind of file', () => new TextEncoder().encode('<html>hello</html>'), /not a ModelProto/, OnnxError],
    ['a model without a graph', () => encodeModel({ irVersion: 8 }), /no graph/, OnnxError],
  ];

  it.each(refused)('refuses %s', async (_, bytes, message, Kind) => {
    const attempt = loadOnnx(bytes());
    await expect(attempt).rejects.toThrow(message);
    await expect(attempt).rejects.toBeInstanceOf(Kind);
  });

  it('names the node and the operator in errors while running', async () => {
    const net = await loadOnnx(onnx({ nodes: [node('Conv', 'x w', 'y', {}, 'conv1')], initializers: [floats('w', [1, 2, 1, 1], [1, 1])] }));
    await expect(net.run({ x: tensor([1, 2, 3], [1, 3, 1, 1]) })).rejects.toThrow(/node "conv1" \(Conv\): conv2d: input has 3 channels/);
    await expect(net.run({ x: tensor([1, 2, 3], [1, 3, 1]) })).rejects.toThrow(/node "conv1"/);
    await expect(net.run({})).rejects.toThrow(/input 'x' is missing/);
    await expect(net.run({ x: x(), z: x() })).rejects.toThrow(/there is no input 'z'/);
    await expect(net.run({ x: tensor(Int32Array.of(1), [1]) })).rejects.toThrow(/expected float32/);
  });

  it('refuses a declared shape of unrealistic size', async () => {
    const nodes = [node('ConstantOfShape', 'huge', 'c'), node('Shape', 'x', 's'), node('Reshape', 'c s', 'y')];
    const net = await loadOnnx(onnx({ nodes, initializers: [ints('huge', [2 ** 40, 2 ** 12])] }));
    await expect(net.run({ x: x() })).rejects.toThrow(/exceeds the limit of/);
  });
});
