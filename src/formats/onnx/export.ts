/** Exports a sequential network as an ONNX model. */
import { arrayOf, checkArgument, checkOptions, instanceOf, integer, type RulesFor, recordOf, text } from '../../backend/validate.js';
import { type Module, namingLayer, Sequential, type Structure } from '../../nn/index.js';
import { type Shape, ShapeError, type TypedArray } from '../../tensor/index.js';
import { TYPE_NUMBERS } from './decoding/element_types.js';
import { encodeModel, type ValueInfoProto, type Written } from './decoding/schema.js';
import { OnnxError } from './errors.js';
import { GraphWriter } from './exporting/graph_writer.js';
import { writeLayer } from './exporting/layers.js';

/** Options of `toOnnx`. */
export interface ToOnnxOptions {
  /** Shape of the input, [N, C, H, W]; the batch size of the model is free, whatever N is. Alternative to `inputSize` and `channels`. */
  inputShape?: Shape;
  /** Height and width of the input in pixels. */
  inputSize?: number;
  /** Channels of the input. Default 3. */
  channels?: number;
  /** Name of the graph. Default `zfnet`. */
  name?: string;
  /** Name of the input. Default `input`. */
  inputName?: string;
  /** Name of the output. Default `output`. */
  outputName?: string;
  /** Strings by key, stored in the metadata of the file. Default: none. */
  metadata?: Readonly<Record<string, string>>;
  /** Operator set, 13 to 22. Default 13. */
  opset?: number;
}

/** The IR version (version of the file format) for each supported operator set. */
const OPSETS: Readonly<Record<number, number>> = { 13: 7, 14: 7, 15: 8, 16: 8, 17: 8, 18: 8, 19: 9, 20: 9, 21: 10, 22: 10 };

const OPTIONS: RulesFor<ToOnnxOptions> = {
  inputShape: arrayOf(integer(), 1),
  inputSize: integer(1),
  channels: integer(1),
  name: text,
  inputName: text,
  outputName: text,
  metadata: recordOf(text),
  opset: integer(),
};

/**
 * Exports a network as the bytes of an ONNX model (PyTorch: `torch.onnx.export`). The model is in evaluation mode and has float32 type,
 * one input, one output and a free batch size. Initialisers are named after the parameters, nodes after the layers.
 *
 * @example await writeFile('model.onnx', await toOnnx(model, { inputSize: 64 }));
 * @param model layers in sequence; may be nested
 * @returns the bytes; a promise of them if the parameters live on a backend that cannot read synchronously. `await` accepts both
 * @throws OnnxError for a layer that cannot be exported
 * @throws ShapeError if the input shape does not fit the network, or is missing
 */
export function toOnnx(model: Sequential, options: ToOnnxOptions = {}): Uint8Array | Promise<Uint8Array> {
  checkArgument('toOnnx', 'the model', model, instanceOf(Sequential));
  checkOptions('toOnnx', options, OPTIONS);
  const { inputName = 'input', outputName = 'output', opset = 13 } = options;
  if (!Object.hasOwn(OPSETS, opset))
    throw new OnnxError(`toOnnx: operator set ${opset} is not supported, expected one of ${Object.keys(OPSETS).join(', ')}`);
  const input = inputShapeOf(options);
  const writer = new GraphWriter(inputName, opset);
  const output = write(writer, model, '', input);
  writer.renameLast(outputName);
  const tensors = writer.tensors();
  const encode = (elements: readonly TypedArray[]) =>
    encoded(writer, options, { name: inputName, shape: input }, { name: outputName, shape: output }, elements);
  if (tensors.every(({ backend }) => backend.capabilities.syncRead)) return encode(tensors.map((tensor) => tensor.dataSync()));
  return Promise.all(tensors.map((tensor) => tensor.data())).then(encode);
}

interface NamedShape {
  name: string;
  shape: Shape;
}

function encoded(
  writer: GraphWriter,
  { name = 'zfnet', metadata = {} }: ToOnnxOptions,
  input: NamedShape,
  output: NamedShape,
  elements: readonly TypedArray[],
): Uint8Array {
  return encodeModel({
    irVersion: OPSETS[writer.opset],
    producerName: 'zfnet',
    opsetImport: [{ domain: '', version: writer.opset }],
    metadata: Object.entries(metadata).map(([key, value]) => ({ key, value })),
    graph: {
      name,
      node: writer.nodes,
      initializer: writer.initializers(elements),
      input: [valueInfo(input)],
      output: [valueInfo(output)],
    },
  });
}

function inputShapeOf({ inputShape, inputSize, channels = 3 }: ToOnnxOptions): Shape {
  if (inputShape) return inputShape;
  if (inputSize === undefined) throw new ShapeError('toOnnx: expected inputShape [N, C, H, W] or inputSize');
  return [1, channels, inputSize, inputSize];
}

/** Describes an input or output. The first dimension is the batch, which is free. */
function valueInfo({ name, shape }: NamedShape): Written<ValueInfoProto> {
  const dim = shape.map((extent, i) => (i === 0 ? { dimParam: 'batch' } : { dimValue: extent }));
  return { name, type: { tensorType: { elemType: TYPE_NUMBERS.float32, shape: { dim } } } };
}

type Branches = Extract<Structure, { kind: 'branches' }>;

const joined = (outer: string, inner: string): string => (outer === '' || inner === '' ? outer + inner : `${outer}.${inner}`);

/** Adds the nodes of a module and returns its output shape. @param isAnonymous whether `name` is that of the container around it */
function write(writer: GraphWriter, module: Module, name: string, input: Shape, isAnonymous = false): Shape {
  const structure = module.structure();
  if (structure?.kind === 'sequence')
    return structure.layers.reduce(
      (shape, [key, layer]) => namingLayer(key, () => write(writer, layer, joined(name, key), shape, key === '')),
      input,
    );
  if (structure) return writeBranches(writer, structure, name, input, isAnonymous);
  const output = module.outputShape(input);
  if (!output)
    throw new OnnxError(`toOnnx: layer '${name}' (${module.kind}) does not report its output shape; override outputShape(input)`);
  if (!writeLayer(writer, module, name, input)) throw new OnnxError(`toOnnx: layer '${name}' (${module.kind}) cannot be exported to ONNX`);
  return output;
}

/** Adds branches that compute from the same value, and the node that joins their outputs. */
function writeBranches(
  writer: GraphWriter,
  { branches, join, activation }: Branches,
  name: string,
  input: Shape,
  isAnonymous: boolean,
): Shape {
  const x = writer.value;
  const outputs = branches.map(([key, branch]) => {
    writer.value = x;
    const shape = branch ? write(writer, branch, joined(name, key), input) : input;
    return { shape, value: writer.value };
  });
  const values = outputs.map(({ value }) => value);
  const [{ shape }] = outputs;
  // The last node of the container has its name; one without a name of its own gets a number.
  const own = isAnonymous ? `${name}.${join}${writer.nodes.length}` : activation?.[0] === '' ? joined(name, join) : name;
  if (join === 'concat') writer.node('Concat', own, { axis: 1 }, values);
  else writer.node('Add', own, {}, values);
  const channels = outputs.reduce((sum, output) => sum + output.shape[1], 0);
  const result = join === 'concat' ? shape.map((extent, axis) => (axis === 1 ? channels : extent)) : shape;
  return activation ? write(writer, activation[1], joined(name, activation[0]), result) : result;
}
