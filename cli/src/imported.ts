/** From a file of another tool, or of `zfnet export`, to one of our networks with everything that a run records of it. */
import {
  type Architecture,
  type Checkpoint,
  decodeCheckpoint,
  FormatError,
  type InitScheme,
  noGrad,
  PRESETS,
  type PreprocessOptions,
  type PresetName,
  randn,
  scaleFor,
  sideFor,
  type ZfNet,
  zfnet,
} from 'zfnet';
import type { OnnxModel } from 'zfnet/onnx';
import type { HostTensor } from 'zfnet/safetensors';

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

/** A checkpoint or an exported safetensors file. */
export function fromSafetensors(bytes: Uint8Array, name: string): Imported {
  const checkpoint: Checkpoint = decodeCheckpoint(bytes, name);
  for (const key of INFO) if (checkpoint.info[key] === undefined) throw new FormatError(`${name}: its metadata lacks '${key}'`);
  return { ...(checkpoint.info as unknown as Omit<Imported, 'weights' | 'mean'>), weights: checkpoint.weights, mean: checkpoint.mean };
}

/**
 * An ONNX model: one that `zfnet export` wrote, or any whose weights and outputs are those of a preset.
 *
 * @throws FormatError for a model that is none of our networks
 */
export async function fromOnnx(net: OnnxModel, name: string): Promise<Imported> {
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
  if (!architecture)
    throw new FormatError(
      `${name}: no preset of this library computes what this model computes; load it with loadOnnx() of 'zfnet/onnx' instead, which runs, trains and looks into any model`,
    );
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
