/** From a file of another tool, or of `zfnet export`, to one of our networks with everything that a run records of it. */
import { dirname } from 'node:path';
import {
  type Architecture,
  type Checkpoint,
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
  zeros,
  zfnet,
} from 'zfnet';
import { loadOnnx, OnnxClassifier, type OnnxModel } from 'zfnet/onnx';
import { safeFileName } from 'zfnet/report';
import type { HostTensor } from 'zfnet/safetensors';
import { readConfined } from './confined_path.js';
import { codeOf } from './write_file.js';

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
  async (bytes, options) =>
    new OnnxClassifier(await loadOnnx(bytes, { freeBatch: true, externalData: (location) => readExternal(run, location) }), options);

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
  for (const key of INFO) if (checkpoint.info[key] === undefined) throw new FormatError(`${name}: its metadata lacks '${key}'`);
  return { ...(checkpoint.info as unknown as Omit<Imported, 'weights' | 'mean'>), weights: checkpoint.weights, mean: checkpoint.mean };
}

/**
 * An ONNX model that is one of our networks: one that `zfnet export` wrote, or any whose weights and outputs are those of a
 * preset; null for others.
 */
export async function fromOnnx(net: OnnxModel, name: string): Promise<Imported | null> {
  const { metadata } = net;
  if (metadata['zfnet.architecture'] !== undefined) {
    const info = Object.fromEntries(INFO.map((key) => [key, parse(metadata[`zfnet.${key}`], name)])) as unknown as Omit<
      Imported,
      'weights' | 'mean'
    >;
    const { channels, side } = info.preprocess;
    const bytes = Uint8Array.from(Buffer.from(metadata['zfnet.mean'] ?? '', 'base64'));
    const mean = { shape: [channels, side, side], data: new Float32Array(bytes.buffer, 0, Math.floor(bytes.length / 4)) };
    if (mean.data.length !== channels * side * side) throw new FormatError(`${name}: its mean image is damaged`);
    return { ...info, weights: weightsOf(net), mean };
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
  const x = randn(shape);
  const [own, theirs] = noGrad(() => {
    const logits = model.forward(x);
    const last = net.layerNames().at(-1)!;
    return [net.layer(last).kind === 'Softmax' ? logits.softmax() : logits, net.forward(x)];
  });
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

/** How pixels become a network's input, by the name of who trained it so: from 0 to 255, red first. */
const CONVENTIONS = {
  /** torchvision and what follows it: unit variance by the statistics of ImageNet. */
  torchvision: { mean: [123.675, 116.28, 103.53], deviation: [58.395, 57.12, 57.375], channelOrder: 'rgb' },
  /** Caffe's: blue first, the mean of ImageNet subtracted. */
  caffe: { mean: [123.68, 116.779, 103.939], deviation: [1, 1, 1], channelOrder: 'bgr' },
  /** From 0 to 1. */
  unit: { mean: [0, 0, 0], deviation: [255, 255, 255], channelOrder: 'rgb' },
  /** As they are. */
  raw: { mean: [0, 0, 0], deviation: [1, 1, 1], channelOrder: 'rgb' },
} as const;

export type Convention = keyof typeof CONVENTIONS;
export const CONVENTION_NAMES = Object.keys(CONVENTIONS) as Convention[];

/** What the file does not say. */
export interface ForeignOptions {
  /** Default: torchvision's for colour, 0 to 1 for grey. */
  preprocess?: Convention;
  /** Where the model leaves the size of its input open. */
  inputSize?: number;
}

/**
 * What a run records of a network that is none of ours. Runs it once on two images, so that what cannot be evaluated here is
 * refused now.
 *
 * @throws FormatError for a model that does not take square images and answer with a number a class
 */
export function describeForeign(network: OnnxClassifier, file: string, options: ForeignOptions): ImportedConfig {
  const [input] = network.model.inputs;
  const [, channels, height, width] = input.shape ?? [];
  const inputSize = typeof height === 'number' ? height : (options.inputSize ?? 224);
  if (typeof height === 'number' && options.inputSize !== undefined && options.inputSize !== height)
    throw new FormatError(`${file}: the network takes images of ${height} pixels, not of ${options.inputSize}: leave out --input-size`);
  if ((typeof width === 'number' && width !== inputSize) || (channels !== 1 && channels !== 3))
    throw new FormatError(
      `${file}: its input ${input.name} is [${(input.shape ?? []).map((extent) => extent ?? '?')}], expected square images of 1 or 3 channels: [N, 3, 224, 224]`,
    );
  const { mean, deviation, channelOrder } = CONVENTIONS[options.preprocess ?? (channels === 3 ? 'torchvision' : 'unit')];
  const answer = noGrad(() => network.forward(zeros([2, channels, inputSize, inputSize])));
  const [n, count] = answer.shape;
  answer.dispose();
  if (n !== 2 || !(count > 0))
    throw new FormatError(`${file}: two images give an answer of shape [${answer.shape}], expected [2, classes]`);
  return {
    network: { file: PATHS.imported, channelOrder, mean: mean.slice(0, channels) },
    data: {
      source: file,
      fingerprint: 'imported',
      classes: Array.from({ length: count }, (_, i) => `class ${i}`),
      trainExamples: 0,
      valExamples: 0,
    },
    preprocess: { inputSize, side: sideFor(inputSize), channels, scale: 1, deviation: deviation.slice(0, channels) },
  };
}

/** Reads files from the model's folder. A path or a link that leads out of it is refused. */
export const besideFile =
  (file: string): ((path: string) => Promise<Uint8Array>) =>
  (path) =>
    readConfined(dirname(file), path);
