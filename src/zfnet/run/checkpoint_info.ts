/** Reads and checks the description of a network in a checkpoint's metadata, before the network is built. */
import { arrayOf, checkArgument, isPlainObject, objectWith, rule, text } from '../../backend/validate.js';
import type { Checkpoint } from '../../formats/checkpoint.js';
import { FormatError } from '../../formats/errors.js';
import type { HostTensor } from '../../formats/safetensors.js';
import { type InitScheme, shapesOnly } from '../../nn/index.js';
import { withBackend } from '../../tensor/index.js';
import type { PreprocessOptions } from '../input/preprocess.js';
import { type Architecture, isClassifier, zfnet } from '../model/model.js';
import { initScheme } from '../rules.js';
import { checkArchitecture } from './run_config.js';
import { checkedBy, checkField, checkFields, PREPROCESS_RULES } from './run_rules.js';

/** Description of the network in a checkpoint. */
export interface CheckpointInfo {
  /** Everything needed to build the network before its weights are loaded. */
  architecture: Architecture;
  /** Scheme by which the weights were initialised before training. */
  init: InitScheme;
  /** Class names in the order of the network's outputs. */
  classes: string[];
  /** Fingerprint of the training data. */
  fingerprint: string;
  /** Options of the preprocessing; the mean image is a tensor of the checkpoint. */
  preprocess: PreprocessOptions;
}

/**
 * The description of the network in a checkpoint. The network itself is not allocated.
 *
 * @param name of the file, for errors
 * @throws FormatError if a part is missing or has the wrong type, or if the parts or the weights are inconsistent
 */
export function checkpointInfo(checkpoint: Checkpoint, name: string): CheckpointInfo {
  const expected = objectWith('a checkpoint, as decodeCheckpoint() returns', { info: rule('an object', isPlainObject) });
  checkArgument('checkpointInfo', 'checkpoint', checkpoint, expected);
  checkArgument('checkpointInfo', 'name', name, text);
  const { architecture, init, classes, fingerprint = '', preprocess } = checkpoint.info;
  const where = (key: string) => `${name}: its metadata '${key}'`;
  checkArchitecture(where('architecture'), architecture);
  checkField(where('init'), init, initScheme);
  checkField(where('classes'), classes, arrayOf(text));
  checkField(where('fingerprint'), fingerprint, text);
  checkFields(where('preprocess'), preprocess, PREPROCESS_RULES);
  const info = { architecture, init, classes, fingerprint, preprocess } as unknown as CheckpointInfo;
  checkFit(info, checkpoint, name);
  return info;
}

function checkFit({ architecture, classes, preprocess }: CheckpointInfo, { weights, mean }: Checkpoint, name: string): void {
  const fail = (what: string): never => {
    throw new FormatError(`${name}: ${what}; restore the file from a copy`);
  };
  const { inputSize, side, channels } = preprocess;
  if (inputSize !== architecture.inputSize || channels !== architecture.channels)
    fail(
      `its preprocessing gives [${channels}, ${inputSize}, ${inputSize}], its network takes [${architecture.channels}, ${architecture.inputSize}, ${architecture.inputSize}]`,
    );
  if (side < inputSize) fail(`its preprocessing cuts crops of ${inputSize} pixels from images of ${side}`);
  if (mean && mean.shape.join() !== [channels, side, side].join())
    fail(`its mean image has shape [${mean.shape}], expected [${channels}, ${side}, ${side}]`);
  const { shapes: expected, outputs } = shapesOf(architecture, name);
  if (outputs !== null && outputs !== classes.length) fail(`it names ${classes.length} classes, its network has ${outputs}`);
  for (const [key, shape] of expected) {
    const found: HostTensor | undefined = Object.hasOwn(weights, key) ? weights[key] : undefined;
    if (!found) fail(`tensor '${key}' is missing`);
    else if (found.shape.join() !== shape.join()) fail(`tensor '${key}' has shape [${found.shape}], expected [${shape}]`);
  }
  const surplus = Object.keys(weights).filter((key) => !expected.has(key));
  if (surplus.length > 0) fail(`its network has no tensor '${surplus[0]}'`);
}

/** Shapes of the parameters and buffers by name, and the number of class scores, from a network on a backend without memory. */
function shapesOf(architecture: Architecture, name: string): { shapes: Map<string, readonly number[]>; outputs: number | null } {
  return checkedBy(`${name}: its metadata 'architecture'`, () =>
    withBackend(shapesOnly(), () => {
      const model = zfnet(architecture.preset, architecture);
      const shapes = new Map(Object.entries(model.stateDict()).map(([key, { shape }]) => [key, [...shape]]));
      const output = isClassifier(architecture.preset) ? model.outputShape(model.inputShape) : null;
      return { shapes, outputs: output?.[1] ?? null };
    }),
  );
}

/** @internal Names of the parameters of a network, without its buffers, which optimisers have no state for. */
export const parameterNames = (architecture: Architecture): string[] =>
  withBackend(shapesOnly(), () => zfnet(architecture.preset, architecture).namedParameters()).map(([name]) => name);
