/** Reads networks from ONNX and safetensors files, of `zfnet export` or of other tools, with all data that a run records about them. */
import { dirname } from 'node:path';
import {
  type Architecture,
  type Checkpoint,
  checkpointInfo,
  decodeCheckpoint,
  FormatError,
  type ImportedConfig,
  type InitScheme,
  type ModelLoader,
  noGrad,
  PATHS,
  PRESETS,
  type PreprocessOptions,
  type PresetName,
  randn,
  scaleFor,
  shapesOnly,
  sideFor,
  withBackend,
  type ZfNet,
  type ZfnetOptions,
  zfnet,
} from 'zfnet';
import { classOutputs, listOutputs, loadOnnx, OnnxClassifier, type OnnxModel, type Scores } from 'zfnet/onnx';
import { safeFileName } from 'zfnet/report';
import type { HostTensor } from 'zfnet/safetensors';
import { readConfined } from '../files/confined_path.js';
import { parseJson } from '../files/json.js';
import { codeOf } from '../files/write_file.js';
import { type PixelOptions, pixelsOf } from './conventions.js';
import { probeScores } from './probe_scores.js';

/** A network of zfnet read from a file, with everything that a run needs. */
export interface Imported {
  architecture: Architecture;
  init: InitScheme;
  classes: string[];
  fingerprint: string;
  preprocess: PreprocessOptions;
  weights: Record<string, HostTensor>;
  mean?: HostTensor;
}

const INFO = ['architecture', 'init', 'classes', 'fingerprint', 'preprocess'] as const;

/** Returns the loader of an imported run's model, which reads external data from the folder of the run. */
export const loadImportedFrom =
  (run: string): ModelLoader =>
  async (bytes, { channelOrder, layout, output, scores, batch }) => {
    const net = await loadOnnx(bytes, { freeBatch: true, externalData: (location) => readExternal(run, location) });
    return new OnnxClassifier(net, { channelOrder, layout, output, scores, batch });
  };

/** Files and folders that belong to every run; external data must not replace them. */
const OWN = /^(config\.json|metrics\.jsonl|lock\.json|model\.onnx|(last|best)\.safetensors|transfer-folds\.jsonl|.*\.part)$/;
const OWN_FOLDER = /^(checkpoints|report|experiments|external|runs)$/;

/**
 * Returns the path below a run for the external data at `location` in its model: the same path, unless it belongs to the run itself (such
 * as `config.json`) or is not a valid file name on every system; then a path below `external/`.
 */
export function externalPath(location: string): string {
  const parts = location.split('/');
  const taken = parts.length === 1 ? OWN.test(location) : OWN_FOLDER.test(parts[0]);
  return !taken && parts.every((part) => safeFileName(part) === part) ? location : `external/${safeFileName(location)}`;
}

/** Reads external data of a run. Earlier versions stored them at the path in the model, which is tried second. */
async function readExternal(run: string, location: string): Promise<Uint8Array> {
  try {
    return await readConfined(run, externalPath(location));
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
  }
  try {
    return await readConfined(run, location);
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
    throw new FormatError(`${run}: the file ${location}, which the model needs, is missing`, { cause: error });
  }
}

/** Reads a checkpoint or an exported safetensors file. */
export function fromSafetensors(bytes: Uint8Array, name: string): Imported {
  const checkpoint: Checkpoint = decodeCheckpoint(bytes, name);
  return { ...checkpointInfo(checkpoint, name), weights: checkpoint.weights, mean: checkpoint.mean };
}

/**
 * Recognises an ONNX model as a network of zfnet: `zfnet export` wrote it, or its weights and outputs are those of a preset. Returns null
 * for other models.
 */
export async function fromOnnx(net: OnnxModel, name: string): Promise<Imported | null> {
  const { metadata } = net;
  if (metadata['zfnet.architecture'] !== undefined) {
    const info = Object.fromEntries(INFO.map((key) => [key, parse(metadata[`zfnet.${key}`], name)])) as Record<string, unknown>;
    const weights = await weightsOf(net, info.architecture);
    const { preprocess } = checkpointInfo({ weights, velocities: {}, info }, name);
    const { channels, side } = preprocess;
    const bytes = Uint8Array.from(Buffer.from(metadata['zfnet.mean'] ?? '', 'base64'));
    const mean = { shape: [channels, side, side], data: new Float32Array(bytes.buffer, 0, Math.floor(bytes.length / 4)) };
    if (mean.data.length !== channels * side * side) throw new FormatError(`${name}: its mean image is damaged`);
    return { ...checkpointInfo({ weights, velocities: {}, mean, info }, name), weights, mean };
  }
  const architecture = await recognise(net);
  if (!architecture) return null;
  const { inputSize, channels } = architecture;
  return {
    architecture,
    init: 'paper',
    classes: Array.from({ length: architecture.classes }, (_, i) => `class ${i}`),
    fingerprint: 'imported',
    preprocess: { inputSize, side: sideFor(inputSize), channels: channels as 1 | 3, scale: scaleFor('paper') },
    weights: await inOrderOf(zfnet(architecture.preset, architecture), net),
  };
}

function parse(text: string | undefined, name: string): unknown {
  const { value, error } = parseJson(text ?? '');
  if (error) throw new FormatError(`${name}: its metadata is damaged`, { cause: error });
  return value;
}

/**
 * Returns the tensors of a file with the names and shapes of a network of zfnet, without the constants that the file has besides; all
 * parameters for an architecture that is not valid, which `checkpointInfo` reports.
 */
async function weightsOf(net: OnnxModel, architecture: unknown): Promise<Record<string, HostTensor>> {
  const found = net.stateDict();
  const weights: Record<string, HostTensor> = {};
  for (const [key, shape] of shapesOf(architecture) ?? Object.entries(found).map(([key, { shape }]) => [key, shape] as const)) {
    const tensor = Object.hasOwn(found, key) ? found[key] : undefined;
    // Running statistics are constants of the graph.
    const constant = net.weights.fixed.get(key);
    // Some layers store their parameters with additional axes of length 1.
    const shapeOf = (own: readonly number[]) => (sizeOf(own) === sizeOf(shape) ? [...shape] : [...own]);
    if (tensor) weights[key] = { shape: shapeOf(tensor.shape), data: await tensor.data() };
    else if (constant) weights[key] = { shape: shapeOf(constant.shape), data: Float32Array.from(constant.data as Float32Array) };
  }
  return weights;
}

const sizeOf = (shape: readonly number[]): number => shape.reduce((product, extent) => product * extent, 1);

/** Shapes of the tensors of a network by name, or null if the architecture is not valid. */
function shapesOf(architecture: unknown): (readonly [key: string, shape: readonly number[]])[] | null {
  try {
    const { preset } = architecture as Architecture;
    const model = withBackend(shapesOnly(), () => zfnet(preset, architecture as Architecture));
    return Object.entries(model.stateDict()).map(([key, { shape }]) => [key, shape] as const);
  } catch {
    return null;
  }
}

/** Returns the weights of `net`, in the order of computation, under the parameter names of `model`. Disposes of `model`. */
async function inOrderOf(model: ZfNet, net: OnnxModel): Promise<Record<string, HostTensor>> {
  const theirs = await orderedWeights(net);
  const named = model.namedParameters().map(([key]) => key);
  model.dispose();
  return Object.fromEntries(named.map((key, i) => [key, theirs[i]]));
}

async function orderedWeights(net: OnnxModel): Promise<HostTensor[]> {
  const tensors = net.layerNames().flatMap((layer) => net.layer(layer).namedParameters());
  return Promise.all(tensors.map(async ([, tensor]) => ({ shape: tensor.shape, data: await tensor.data() })));
}

/** Largest difference of equal outputs, relative to the largest output. */
const CLOSE = 1e-3;

/** Finds the preset whose weight shapes and outputs are those of the model; a final softmax is ignored. Returns null if there is none. */
async function recognise(net: OnnxModel): Promise<Architecture | null> {
  const [input] = net.inputs;
  const [, channels, height, width] = input?.shape ?? [];
  const shapes = net.layerNames().flatMap((layer) =>
    net
      .layer(layer)
      .namedParameters()
      .map(([, tensor]) => tensor.shape),
  );
  const classes = shapes.at(-1)?.[0];
  if (net.inputs.length !== 1 || typeof channels !== 'number' || typeof height !== 'number' || height !== width || classes === undefined)
    return null;
  for (const preset of Object.keys(PRESETS) as PresetName[]) {
    const options = fitting(preset, shapes, { classes, channels, inputSize: height });
    if (!options) continue;
    const model = zfnet(preset, options);
    try {
      const weights = await orderedWeights(net);
      model.loadStateDict(Object.fromEntries(model.namedParameters().map(([key], i) => [key, weights[i]])));
      if (await sameOutputs(model.eval(), net, [1, channels, height, height])) return model.architecture;
    } finally {
      model.dispose();
    }
  }
  return null;
}

/**
 * Returns the options with which a preset has parameters of these shapes, or null. Presets with buffers, such as those with batch
 * normalisation, are not recognised: their order in a file is not that of the parameters.
 */
function fitting(
  preset: PresetName,
  shapes: readonly (readonly number[])[],
  sizes: { classes: number; channels: number; inputSize: number },
): ZfnetOptions | null {
  const given = { ...sizes, dropout: 0, auxiliary: false };
  return withBackend(shapesOnly(), () => {
    try {
      const width = shapes[0][0] / zfnet(preset, given).parameters()[0].shape[0];
      const model = zfnet(preset, { ...given, width });
      const own = model.namedParameters().map(([, { shape }]) => String(shape));
      return model.namedBuffers().length === 0 && own.join(' ') === shapes.map(String).join(' ') ? { ...given, width } : null;
    } catch {
      return null; // the input is too small for this preset
    }
  });
}

async function sameOutputs(model: ZfNet, net: OnnxModel, shape: readonly number[]): Promise<boolean> {
  const classifier = new OnnxClassifier(net);
  if (classifier.independent || classifier.layout === 'nhwc' || !isFloatInput(net)) return false;
  const x = randn(shape);
  const [own, theirs] = noGrad(() => [model.forward(x), classifier.forward(x)]);
  const [a, b] = [await own.data(), await theirs.data()];
  for (const tensor of [x, own, theirs]) tensor.dispose();
  let scale = 0;
  let worst = 0;
  for (let i = 0; i < a.length; i++) {
    scale = Math.max(scale, Math.abs(a[i]));
    worst = Math.max(worst, Math.abs(a[i] - b[i]));
  }
  return a.length === b.length && worst <= CLOSE * scale;
}

const isFloatInput = ({ inputs: [input] }: OnnxModel): boolean => input?.type.startsWith('float') ?? false;

/** Options for properties of a model that its file does not state. */
export interface ForeignOptions extends PixelOptions {
  /** Height and width of the input, if the model leaves them open. */
  inputSize?: number;
  /** Order of the input's axes, if its shape is ambiguous. */
  layout?: 'nchw' | 'nhwc';
  /** Name of the output with the class scores. */
  output?: string;
  /** Kind of the scores: how they become probabilities. */
  scores?: Scores;
}

export interface Foreign {
  config: ImportedConfig;
  /** Messages about the choices that were made for the user. */
  notes: string[];
}

/**
 * Returns the configuration of a run for a network that is not of zfnet. Evaluates the network on a few images, in order to refuse models
 * that cannot be evaluated and to confirm the kind of scores that the graph suggests.
 *
 * @param names class names, if a list was given; of several outputs, the one with this number of scores is used
 * @throws FormatError if the model does not take square images and return one score per class
 */
export async function describeForeign(
  net: OnnxModel,
  file: string,
  options: ForeignOptions,
  names: readonly string[] | null,
): Promise<Foreign> {
  const { output = outputFor(net, names), layout, scores } = options;
  const network = new OnnxClassifier(net, { output, layout, scores });
  const { inputSize, channels } = imageOf(network, file, options);
  const pixels = pixelsOf(options, channels, !isFloatInput(net));
  const preprocess = { inputSize, side: sideFor(inputSize), channels, scale: 1, deviation: pixels.deviation };
  const probe = await probeScores(network, { channels, inputSize, pixels, asked: scores }, file);
  const notes = [...probe.notes];
  if (network.candidates.length > 1 && options.output === undefined)
    notes.unshift(
      `output ${JSON.stringify(network.output)} is used as class scores, among ${listOutputs(network.candidates)}; choose another with --output NAME`,
    );
  return {
    notes,
    config: {
      network: {
        file: PATHS.imported,
        channelOrder: pixels.channelOrder,
        mean: pixels.mean,
        ...(network.layout === 'nhwc' && { layout: network.layout }),
        output: network.output,
        scores: probe.scores,
        ...(probe.batch !== null && { batch: probe.batch }),
      },
      data: {
        source: file,
        fingerprint: 'imported',
        classes: Array.from({ length: probe.classes }, (_, i) => `class ${i}`),
        trainExamples: 0,
        valExamples: 0,
      },
      preprocess,
    },
  };
}

/** Returns the output with one score per name of the class list, if exactly one output has this size. */
function outputFor(net: OnnxModel, names: readonly string[] | null): string | undefined {
  if (!names || net.outputs.length < 2) return undefined;
  const fitting = classOutputs(net).filter(({ count }) => count === names.length || (count === 1 && names.length === 2));
  return fitting.length === 1 ? fitting[0].name : undefined;
}

function imageOf({ model, layout }: OnnxClassifier, file: string, options: ForeignOptions): { inputSize: number; channels: 1 | 3 } {
  const [input] = model.inputs;
  const shape = input.shape ?? [];
  const [channels, height, width] = layout === 'nhwc' ? [shape[3], shape[1], shape[2]] : [shape[1], shape[2], shape[3]];
  const inputSize = typeof height === 'number' ? height : typeof width === 'number' ? width : (options.inputSize ?? 224);
  if (options.inputSize !== undefined && options.inputSize !== inputSize)
    throw new FormatError(`${file}: the network takes images of ${inputSize} pixels, not of ${options.inputSize}: leave out --input-size`);
  // A model with an open number of channels gets colour images.
  const count = typeof channels === 'number' ? channels : 3;
  if ((typeof width === 'number' && width !== inputSize) || (count !== 1 && count !== 3))
    throw new FormatError(
      `${file}: its input ${JSON.stringify(input.name)} is [${shape.map((extent) => extent ?? '?')}], expected square images of 1 or 3 channels: [N, 3, 224, 224], or [N, 224, 224, 3] with --layout nhwc`,
    );
  return { inputSize, channels: count };
}

/** Returns a reader of files in the folder of a model. It refuses paths and links that lead out of this folder. */
export const besideFile =
  (file: string): ((path: string) => Promise<Uint8Array>) =>
  (path) =>
    readConfined(dirname(file), path);
