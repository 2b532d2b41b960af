/** From a file of another tool, or of `zfnet export`, to one of our networks with everything that a run records of it. */
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
  sideFor,
  type ZfNet,
  zfnet,
} from 'zfnet';
import { classOutputs, listOutputs, loadOnnx, OnnxClassifier, type OnnxModel, type Scores } from 'zfnet/onnx';
import { safeFileName } from 'zfnet/report';
import type { HostTensor } from 'zfnet/safetensors';
import { readConfined } from '../files/confined_path.js';
import { codeOf } from '../files/write_file.js';
import { type PixelOptions, pixelsOf } from './conventions.js';
import { probeScores } from './probe_scores.js';

/** What an import knows: enough for a run. */
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

/** Reads the model of an imported run in a folder, with the data that lie beside it. */
export const loadImportedFrom =
  (run: string): ModelLoader =>
  async (bytes, { channelOrder, layout, output, scores, batch }) => {
    const net = await loadOnnx(bytes, { freeBatch: true, externalData: (location) => readExternal(run, location) });
    return new OnnxClassifier(net, { channelOrder, layout, output, scores, batch });
  };

/** Files and folders of a run's own, which external data must not replace. */
const OWN = /^(config\.json|metrics\.jsonl|lock\.json|model\.onnx|(last|best)\.safetensors|transfer-folds\.jsonl|.*\.part)$/;
const OWN_FOLDER = /^(checkpoints|report|experiments|external|runs)$/;

/**
 * Where a run keeps the external data that its model calls `location`: there, unless the name that the model's author chose belongs to
 * the run (such as `config.json`), or is not a file's name everywhere.
 */
export function externalPath(location: string): string {
  const parts = location.split('/');
  const taken = parts.length === 1 ? OWN.test(location) : OWN_FOLDER.test(parts[0]);
  return !taken && parts.every((part) => safeFileName(part) === part) ? location : `external/${safeFileName(location)}`;
}

/** Earlier versions kept external data under the name in the model. */
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
    throw new FormatError(`${run}: this run has no ${location}, which its model needs`, { cause: error });
  }
}

/** A checkpoint or an exported safetensors file. */
export function fromSafetensors(bytes: Uint8Array, name: string): Imported {
  const checkpoint: Checkpoint = decodeCheckpoint(bytes, name);
  return { ...checkpointInfo(checkpoint, name), weights: checkpoint.weights, mean: checkpoint.mean };
}

/**
 * An ONNX model that is one of our networks: one that `zfnet export` wrote, or any whose weights and outputs are those of a
 * preset; null for others.
 */
export async function fromOnnx(net: OnnxModel, name: string): Promise<Imported | null> {
  const { metadata } = net;
  if (metadata['zfnet.architecture'] !== undefined) {
    const info = Object.fromEntries(INFO.map((key) => [key, parse(metadata[`zfnet.${key}`], name)])) as Record<string, unknown>;
    const weights = weightsOf(net);
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
    weights: inOrderOf(zfnet(architecture.preset, architecture), net),
  };
}

function parse(text: string | undefined, name: string): unknown {
  try {
    return JSON.parse(text ?? '');
  } catch (error) {
    throw new FormatError(`${name}: its metadata is damaged`, { cause: error });
  }
}

const weightsOf = (net: OnnxModel): Record<string, HostTensor> =>
  Object.fromEntries(net.namedParameters().map(([key, tensor]) => [key, { shape: tensor.shape, data: tensor.dataSync() }]));

/** The model's weights under our names, in the order of computation; throws where they do not fit. Disposes of `model`. */
function inOrderOf(model: ZfNet, net: OnnxModel): Record<string, HostTensor> {
  const theirs = orderedWeights(net);
  const named = model.namedParameters().map(([key]) => key);
  model.dispose();
  return Object.fromEntries(named.map((key, i) => [key, theirs[i]]));
}

function orderedWeights(net: OnnxModel): HostTensor[] {
  return net.layerNames().flatMap((layer) =>
    net
      .layer(layer)
      .namedParameters()
      .map(([, tensor]) => ({ shape: tensor.shape, data: tensor.dataSync() })),
  );
}

/** How far outputs may be apart, relative to the largest. */
const CLOSE = 1e-3;

/** The preset that has this model's weights in this order and computes the same with them; softmax at its end does not matter. */
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
    let model: ZfNet;
    try {
      model = zfnet(preset, { classes, channels, inputSize: height, dropout: 0, width: shapes[0][0] / PRESETS[preset].conv[0].maps });
    } catch {
      continue; // the input is too small for this preset
    }
    try {
      const own = model.namedParameters().map(([, tensor]) => tensor.shape);
      if (own.map(String).join(' ') !== shapes.map(String).join(' ')) continue;
      const weights = orderedWeights(net);
      model.loadStateDict(Object.fromEntries(model.namedParameters().map(([key], i) => [key, weights[i]])));
      if (await sameOutputs(model.eval(), net, [1, channels, height, height])) return model.architecture;
    } finally {
      model.dispose();
    }
  }
  return null;
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

/** What the file does not say. */
export interface ForeignOptions extends PixelOptions {
  /** Where the model leaves the size of its input open. */
  inputSize?: number;
  /** Where the shape of the input does not tell. */
  layout?: 'nchw' | 'nhwc';
  /** The output with the class scores. */
  output?: string;
  /** How they become probabilities. */
  scores?: Scores;
}

export interface Foreign {
  config: ImportedConfig;
  /** What was decided for the user, in sentences. */
  notes: string[];
}

/**
 * What a run records of a network that is none of ours. Runs it on a few images, so that what cannot be evaluated here is refused
 * now, and what its graph says of its output is confirmed.
 *
 * @param names of the classes, where a list was given: of several outputs the one with as many numbers is taken
 * @throws FormatError for a model that does not take square images and answer with a number a class
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
      `output ${JSON.stringify(network.output)} is taken for the class scores, of ${listOutputs(network.candidates)}; choose another with --output NAME`,
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

/** The only output with a number for each name of the class list. */
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
  // A model that leaves its channels open takes colours.
  const count = typeof channels === 'number' ? channels : 3;
  if ((typeof width === 'number' && width !== inputSize) || (count !== 1 && count !== 3))
    throw new FormatError(
      `${file}: its input ${JSON.stringify(input.name)} is [${shape.map((extent) => extent ?? '?')}], expected square images of 1 or 3 channels: [N, 3, 224, 224], or [N, 224, 224, 3] with --layout nhwc`,
    );
  return { inputSize, channels: count };
}

/** Reads files from the model's folder. A path or a link that leads out of it is refused. */
export const besideFile =
  (file: string): ((path: string) => Promise<Uint8Array>) =>
  (path) =>
    readConfined(dirname(file), path);
