/**
 * Encodes and decodes checkpoints. A checkpoint is a safetensors file with the weights under their PyTorch names, the state of the
 * optimiser under the prefix `optimizer.SLOT.` (`optimizer.velocity.` for the velocities of SGD), the mean image as `mean`, and all other
 * data as JSON in the metadata. Any safetensors reader can load it; the names without a prefix are the network's weights.
 *
 * Metadata entries (all values are strings; all but the first two contain JSON):
 *
 * - `zfnet.checkpoint`: the version of the format. `2` for files with no slot but `velocity`; `3` for files with other slots, such as
 *   `mean` and `square` of Adam. Version `1` is version 2 without `zfnet.sha256` and `recipe`.
 * - `zfnet.sha256`: the checksum of the file, 64 lower-case hexadecimal digits. It is the SHA-256 of all bytes of the file (length,
 *   header, padding and tensor data), computed with these 64 digits replaced by zeros. A writer encodes the file with 64 zeros, hashes
 *   it, and overwrites the zeros with the digest. A reader finds the digits in the header by the regular expression
 *   `"zfnet\.sha256"[ \t\r\n]*:[ \t\r\n]*"([0-9a-f]{64})"` (which must match exactly once), hashes the file with zeros in their place,
 *   and compares. Every changed byte is detected. Version 1 may lack the entry; it is verified if present.
 * - `recipe`: the settings of the training run: `{ training, init, freeze? }`, copied from `config.json` of the run, with `training`
 *   without `epochs`. A resume compares them with `config.json`. Absent in files that contain a model without training state.
 * - `architecture`, `init`, `classes`, `fingerprint`, `preprocess`: the network and its data, as in `config.json`.
 * - `training`: the training state, see `TrainingState`.
 * - `optimizer`: `{ kind, groups, steps }`, the part of the optimiser's state that is JSON. Absent for SGD.
 *
 * Weights, the state of the optimiser and the mean image must be finite: files with NaN or infinite values are rejected.
 */
import {
  checkArgument,
  indexOfNonFinite,
  instanceOf,
  isPlainObject,
  objectWith,
  quote,
  rule,
  show,
  text as textRule,
} from '../backend/validate.js';
import { CHECKSUM } from './checksum.js';
import { FormatError } from './errors.js';
import { parseJson } from './json.js';
import { type HostTensor, readSafetensors, saveWithChecksum } from './safetensors.js';

/** Version of files with no slot but `velocity`, which earlier versions of zfnet and the script for PyTorch read. */
const VERSION = 2;
const VERSION_WITH_SLOTS = 3;
const VERSION_KEY = 'zfnet.checkpoint';
const VELOCITY = 'optimizer.velocity.';
/** Name of a tensor of the optimiser's state: slot and parameter. */
const SLOT = /^optimizer\.([^.]+)\.(.+)$/;
const MEAN = 'mean';

/** The contents of a checkpoint file. */
export interface Checkpoint {
  /** Parameters by name. */
  weights: Record<string, HostTensor>;
  /** Velocities of SGD with momentum by parameter name. Empty in a file that contains only a model. */
  velocities: Record<string, HostTensor>;
  /** State of another optimiser: tensors by slot, such as `square`, and parameter name. Absent for SGD. */
  slots?: Record<string, Record<string, HostTensor>>;
  /** Mean image [C, side, side] in pixel units, or undefined if no mean is subtracted. */
  mean?: HostTensor;
  /** JSON values by key: `architecture`, `classes`, `preprocess`, `data`, `training`, … */
  info: Record<string, unknown>;
  /** Whether the file has a checksum (which was verified). Set by `decodeCheckpoint`. */
  hasChecksum?: boolean;
}

const anObject = rule('an object', isPlainObject);

/** Encodes a checkpoint as the bytes of a safetensors file. */
export function encodeCheckpoint(checkpoint: Checkpoint): Uint8Array {
  const fields = { weights: anObject, velocities: anObject, info: anObject };
  checkArgument('encodeCheckpoint', 'checkpoint', checkpoint, objectWith('a checkpoint { weights, velocities, info }', fields));
  const { weights, velocities, slots = {}, mean, info } = checkpoint;
  const moving = Object.entries(velocities).map(([name, velocity]) => [VELOCITY + name, velocity]);
  const others = Object.entries(slots).flatMap(([slot, state]) =>
    Object.entries(state).map(([name, value]) => [`optimizer.${slot}.${name}`, value]),
  );
  const state = Object.fromEntries([...moving, ...others]);
  const tensors: Record<string, HostTensor> = { ...weights, ...state, ...(mean && { [MEAN]: mean }) };
  const version = others.length > 0 ? VERSION_WITH_SLOTS : VERSION;
  const metadata: Record<string, string> = { [VERSION_KEY]: String(version) };
  for (const [key, value] of Object.entries(info)) if (value !== undefined) metadata[key] = JSON.stringify(value);
  return saveWithChecksum(tensors, metadata);
}

/**
 * Decodes the bytes of a checkpoint file.
 *
 * @param name name of the file in error messages
 * @throws FormatError if the file is damaged (it does not match its checksum, or contains NaN or infinite values), has a later version,
 * or is a safetensors file but not a checkpoint
 */
export function decodeCheckpoint(bytes: Uint8Array, name: string): Checkpoint {
  checkArgument('decodeCheckpoint', 'bytes', bytes, instanceOf(Uint8Array));
  checkArgument('decodeCheckpoint', 'name', name, textRule);
  const { tensors, metadata } = naming(name, () => readSafetensors(bytes));
  const version = checkVersion(metadata, name);
  const weights: [string, HostTensor][] = [];
  const slots = new Map<string, [string, HostTensor][]>();
  const velocities: [string, HostTensor][] = [];
  let mean: HostTensor | undefined;
  for (const [key, tensor] of Object.entries(tensors)) {
    const bad = indexOfNonFinite(tensor.data);
    if (bad >= 0)
      throw new FormatError(
        `${name}: tensor ${quote(key)} has the value ${tensor.data[bad]} at index ${bad}, expected finite values; use another checkpoint`,
      );
    if (key === MEAN) mean = tensor;
    else if (key.startsWith(VELOCITY)) velocities.push([key.slice(VELOCITY.length), tensor]);
    else {
      const [, slot, parameter] = (version === VERSION_WITH_SLOTS && SLOT.exec(key)) || [];
      if (slot === undefined) weights.push([key, tensor]);
      else slots.set(slot, [...(slots.get(slot) ?? []), [parameter, tensor]]);
    }
  }
  const info = Object.entries(metadata)
    .filter(([key]) => key !== VERSION_KEY && key !== CHECKSUM)
    .map(([key, text]) => [key, parse(name, key, text)]);
  return {
    weights: Object.fromEntries(weights),
    velocities: Object.fromEntries(velocities),
    ...(slots.size > 0 && { slots: Object.fromEntries([...slots].map(([slot, state]) => [slot, Object.fromEntries(state)])) }),
    ...(mean && { mean }),
    info: Object.fromEntries(info),
    hasChecksum: Object.hasOwn(metadata, CHECKSUM),
  };
}

/** Returns the version of the format. */
function checkVersion(metadata: Record<string, string>, name: string): number {
  const version = Object.hasOwn(metadata, VERSION_KEY) ? metadata[VERSION_KEY] : undefined;
  if (version === undefined)
    throw new FormatError(`${name}: a safetensors file, but not a checkpoint of zfnet: its metadata has no '${VERSION_KEY}'`);
  if (version === '1') return 1;
  if (version !== String(VERSION) && version !== String(VERSION_WITH_SLOTS))
    throw new FormatError(
      `${name}: a checkpoint of version ${show(version)}, this zfnet reads versions 1 to ${VERSION_WITH_SLOTS}; update zfnet, or use another checkpoint`,
    );
  if (!Object.hasOwn(metadata, CHECKSUM))
    throw new FormatError(`${name}: its metadata lacks the checksum '${CHECKSUM}'; the file is damaged, use another checkpoint`);
  return Number(version);
}

function parse(name: string, key: string, text: string): unknown {
  try {
    return parseJson(text);
  } catch (error) {
    throw new FormatError(`${name}: its metadata ${quote(key)} is not JSON`, { cause: error });
  }
}

/** Prefixes the messages of format errors with the name of the file. */
function naming<T>(name: string, fn: () => T): T {
  try {
    return fn();
  } catch (error) {
    if (error instanceof FormatError) throw new FormatError(`${name}: ${error.message.replace(/^safetensors: /, '')}`, { cause: error });
    throw error;
  }
}
