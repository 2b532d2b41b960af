/**
 * A checkpoint: one safetensors file with the weights by their PyTorch names, the optimizer's velocities behind the prefix
 * `optimizer.velocity.`, the mean image as `mean`, and everything else as JSON in the metadata.
 *
 * Any safetensors reader can load it; what it needs of it are the names without a prefix.
 */
import { FormatError } from './errors.js';
import { type HostTensor, readSafetensors, saveSafetensors } from './safetensors.js';

const VERSION = 1;
const VELOCITY = 'optimizer.velocity.';
const MEAN = 'mean';

export interface Checkpoint {
  /** Parameters by name. */
  weights: Record<string, HostTensor>;
  /** By parameter name, for those that have one. Empty in a file that holds a model alone. */
  velocities: Record<string, HostTensor>;
  /** [C, side, side] in pixel units, or undefined where nothing is subtracted. */
  mean?: HostTensor;
  /** JSON values by key: `architecture`, `classes`, `preprocess`, `data`, `training`, … */
  info: Record<string, unknown>;
}

/** The bytes of a checkpoint. */
export function encodeCheckpoint(checkpoint: Checkpoint): Uint8Array {
  const { weights, velocities, mean, info } = checkpoint;
  const tensors: Record<string, HostTensor> = { ...weights };
  for (const [name, velocity] of Object.entries(velocities)) tensors[VELOCITY + name] = velocity;
  if (mean) tensors[MEAN] = mean;
  const metadata: Record<string, string> = { 'zfnet.checkpoint': String(VERSION) };
  for (const [key, value] of Object.entries(info)) if (value !== undefined) metadata[key] = JSON.stringify(value);
  return saveSafetensors(tensors, metadata);
}

/**
 * Reads a checkpoint back.
 *
 * @param name what to call the file in errors
 * @throws FormatError for a damaged file, one of a later version, or a safetensors file that is no checkpoint
 */
export function decodeCheckpoint(bytes: Uint8Array, name: string): Checkpoint {
  const { tensors, metadata } = naming(name, () => readSafetensors(bytes));
  const version = metadata['zfnet.checkpoint'];
  if (version === undefined)
    throw new FormatError(`${name}: a safetensors file, but no checkpoint of zfnet: its metadata has no 'zfnet.checkpoint'`);
  if (version !== String(VERSION))
    throw new FormatError(`${name}: a checkpoint of version ${version}, this zfnet reads version ${VERSION}; update zfnet`);
  const checkpoint: Checkpoint = { weights: {}, velocities: {}, info: {} };
  for (const [key, tensor] of Object.entries(tensors)) {
    if (key === MEAN) checkpoint.mean = tensor;
    else if (key.startsWith(VELOCITY)) checkpoint.velocities[key.slice(VELOCITY.length)] = tensor;
    else checkpoint.weights[key] = tensor;
  }
  for (const [key, text] of Object.entries(metadata)) if (key !== 'zfnet.checkpoint') checkpoint.info[key] = parse(name, key, text);
  return checkpoint;
}

function parse(name: string, key: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new FormatError(`${name}: its metadata '${key}' is not JSON`, { cause: error });
  }
}

/** Puts the file's name in front of what is wrong with it. */
function naming<T>(name: string, fn: () => T): T {
  try {
    return fn();
  } catch (error) {
    if (error instanceof FormatError) throw new FormatError(`${name}: ${error.message.replace(/^safetensors: /, '')}`, { cause: error });
    throw error;
  }
}
