/** ONNX models: their bytes changed, or one field of the decoded message; then loaded and run. */

import { decodeModel, encodeModel, type ModelProto, type Written } from '../../../src/formats/onnx/decoding/schema.js';
import { toOnnx } from '../../../src/formats/onnx/export.js';
import { loadOnnx, OnnxClassifier } from '../../../src/formats/onnx/index.js';
import { init, noGrad, type Tensor, tensor } from '../../../src/index.js';
import { zfnet } from '../../../src/zfnet/index.js';
import { floats, ints, node, onnx } from '../../formats/onnx/build.js';
import { expectThat, type Files, type Format } from '../format.js';
import { EDGES, mutateBytes } from '../mutate_bytes.js';
import { mutateValue } from '../mutate_json.js';
import type { Random } from '../random.js';

const MODEL = 'model.onnx';
const DATA = 'weights.bin';

/** Values that replace a field of a message: numbers that are not valid sizes, names of other values, and unknown names. */
const JUNK: readonly unknown[] = [
  ...EDGES,
  -7,
  13,
  'x',
  'y',
  'w',
  '',
  'Conv',
  'Reshape',
  'Concat',
  'ai.onnx.ml',
  '__proto__',
  '../up',
  'a/b',
];

const steps = (length: number, scale = 0.1) => Array.from({ length }, (_, i) => Math.sin(i) * scale);

/** Every family of operators in a few small graphs. */
function built(): Uint8Array[] {
  const image = { x: { shape: [1, 3, 8, 8] } };
  return [
    onnx({
      nodes: [
        node('Conv', 'x w b', 'c', { kernel_shape: [3, 3], pads: [1, 1, 1, 1], strides: [1, 1] }, 'conv'),
        node('Relu', 'c', 'r'),
        node('MaxPool', 'r', 'p', { kernel_shape: [2, 2], strides: [2, 2], ceil_mode: 1 }),
        node('LRN', 'p', 'n', { size: 3, alpha: { float: 0.0001 } }),
        node('Flatten', 'n', 'f'),
        node('Gemm', 'f m k', 'g', { transB: 1 }),
        node('Softmax', 'g', 'y', { axis: 1 }),
      ],
      inputs: image,
      initializers: [
        floats('w', [4, 3, 3, 3], steps(108)),
        floats('b', [4], steps(4)),
        floats('m', [3, 64], steps(192)),
        floats('k', [3], steps(3)),
      ],
    }),
    onnx({
      nodes: [
        node('Shape', 'x', 's'),
        node('Gather', 's zero', 'batch', { axis: 0 }),
        node('Unsqueeze', 'batch axes', 'one'),
        node('Concat', 'one rest', 'shape', { axis: 0 }),
        node('Reshape', 'x shape', 'flat'),
        node('Slice', 'flat from to', 'part'),
        node('Transpose', 'part', 'turned', { perm: [1, 0] }),
        node('ReduceMean', 'turned', 'y', { axes: [0], keepdims: 1 }),
      ],
      inputs: image,
      initializers: [ints('zero', [0]), ints('axes', [0]), ints('rest', [-1]), ints('from', [0, 0]), ints('to', [1, 100])].slice(0),
    }),
    onnx({
      nodes: [
        node('BatchNormalization', 'x scale shift mean variance', 'b'),
        node('Add', 'b x', 'sum'),
        node('Clip', 'sum low high', 'c'),
        node('GlobalAveragePool', 'c', 'g'),
        node('Split', 'g', 'p q r', { axis: 1 }),
        node('Mul', 'p q', 'pq'),
        node('Div', 'pq two', 'd'),
        node('Pad', 'd pads', 'y', { mode: 'constant' }),
      ],
      inputs: image,
      initializers: [
        floats('scale', [3], [1, 2, 3]),
        floats('shift', [3], [0, 1, 0]),
        floats('mean', [3], [0.1, 0.2, 0.3]),
        floats('variance', [3], [1, 1, 2]),
        floats('low', [], [0]),
        floats('high', [], [6]),
        floats('two', [], [2]),
        ints('pads', [0, 0, 1, 1, 0, 0, 1, 1]),
      ],
    }),
    onnx({
      nodes: [
        node('Constant', '', 'count', { value: { tensor: ints('count', [2]) } }),
        node('Cast', 'count', 'number', { to: 1 }),
        node('ConvTranspose', 'x w', 't', { strides: [2, 2] }),
        node('AveragePool', 't', 'a', { kernel_shape: [3, 3], pads: [1, 1, 1, 1] }),
        node('Sub', 'a number', 's'),
        node('Sigmoid', 's', 'y'),
      ],
      inputs: image,
      initializers: [floats('w', [3, 2, 2, 2], steps(24))],
    }),
  ];
}

async function seeds(): Promise<Uint8Array[]> {
  await init({ threads: 1 });
  const model = zfnet('small', { classes: 3, width: 0.01, inputSize: 28, channels: 1 }).eval();
  const own = await toOnnx(model, { inputSize: 28, channels: 1 });
  model.dispose();
  return [...built(), own];
}

/** One field of the message changed, and the message written again. Values that the writer cannot write leave it as it was. */
function mutateModel(bytes: Uint8Array, random: Random): Uint8Array {
  const model = decodeModel(bytes);
  try {
    return encodeModel(mutateValue(model, random, JUNK) as unknown as Written<ModelProto>);
  } catch {
    return mutateBytes(bytes, random, []);
  }
}

/** A tensor for an input as the model describes it, of at most a few thousand numbers. */
function feed(shape: readonly (number | string | null)[] | undefined, type: string): Tensor {
  const extents = (shape ?? [1, 3, 8, 8]).map((extent) => (typeof extent === 'number' && extent >= 0 && extent <= 64 ? extent : 1));
  const size = extents.reduce((product, extent) => product * extent, 1);
  if (size > 65_536) return feed([1], type);
  if (type === 'bool' || type === 'uint8') return tensor(new Uint8Array(size), extents);
  return type.startsWith('float') || type === 'double'
    ? tensor(Float32Array.from(steps(size)), extents)
    : tensor(new Int32Array(size), extents);
}

async function attempt(bytes: Uint8Array, external?: Uint8Array): Promise<void> {
  const read = external && ((path: string) => (path === DATA ? external : new Uint8Array(0)));
  const net = await loadOnnx(bytes, { externalData: read, freeBatch: bytes.length % 2 === 0 });
  try {
    for (const [name, value] of net.namedParameters())
      expectThat(value.dataSync().every(Number.isFinite), () => `the weight ${name} of an accepted model is NaN or infinite`);
    if (net.inputs.length === 1) {
      const { shape } = net.inputs[0];
      if (shape?.length === 4 && shape.every((extent) => typeof extent === 'number' && extent <= 64))
        await classify(net, shape as number[]);
    }
    const feeds = Object.fromEntries(net.inputs.map(({ name, shape, type }) => [name, feed(shape as never, type)]));
    const outputs = await net.run(feeds);
    for (const [name, output] of Object.entries(outputs)) {
      const size = output.shape.reduce((product, extent) => product * extent, 1);
      expectThat((await output.data()).length === size, () => `the output ${name} has not as many numbers as its shape says`);
    }
    for (const value of [...Object.values(outputs), ...Object.values(feeds)]) value.dispose();
  } finally {
    net.dispose();
  }
}

async function classify(net: Awaited<ReturnType<typeof loadOnnx>>, shape: readonly number[]): Promise<void> {
  const input = feed(shape, 'float32');
  const classifier = new OnnxClassifier(net);
  const logits = noGrad(() => classifier.forward(input));
  expectThat(logits.rank === 2, () => `a classifier answers with shape [${logits.shape}]`);
  logits.dispose();
  input.dispose();
}

export const models: Format = {
  async open() {
    const valid = await seeds();
    return {
      make: (random): Files => {
        const bytes = random.pick(valid);
        return { [MODEL]: random.chance(0.5) ? mutateModel(bytes, random) : mutateBytes(bytes, random, valid) };
      },
      attempt: (files) => attempt(files[MODEL]),
    };
  },
};

/** A model with external data: the references, the model or the file are changed. */
export const externalData: Format = {
  async open() {
    await init({ threads: 1 });
    const weights = Float32Array.from(steps(12));
    const reference = (name: string, offset: number, length: number, dims: number[]) => ({
      name,
      dims,
      dataType: 1,
      dataLocation: 1,
      externalData: [
        { key: 'location', value: DATA },
        { key: 'offset', value: String(offset) },
        { key: 'length', value: String(length) },
      ],
    });
    const model = decodeModel(onnx({ nodes: [node('MatMul', 'x w', 'm'), node('Add', 'm b', 'y')], inputs: { x: { shape: [2, 3] } } }));
    model.graph!.initializer = [reference('w', 0, 36, [3, 3]), reference('b', 36, 12, [3])] as never;
    const bytes = encodeModel(model as unknown as Written<ModelProto>);
    const data = new Uint8Array(weights.buffer);
    return {
      make(random): Files {
        if (random.chance(0.3)) return { [MODEL]: bytes, [DATA]: mutateBytes(data, random, [bytes]) };
        return { [MODEL]: random.chance(0.6) ? mutateModel(bytes, random) : mutateBytes(bytes, random, [data]), [DATA]: data };
      },
      attempt: (files) => attempt(files[MODEL], files[DATA]),
    };
  },
};
