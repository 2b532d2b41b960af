/** `zfnet import`: makes a run of a network in an ONNX or safetensors file, for use with the other commands. */
import { extname } from 'node:path';
import type { Command } from 'commander';
import { DEFAULT_TRAINING, encodeCheckpoint, PATHS, writeConfig } from 'zfnet';
import { loadOnnx, type OnnxModel, SCORES } from 'zfnet/onnx';
import { type Context, defineCommand, handler, oneOf, UsageError, whole } from '../command.js';
import { readClassList } from '../files/class_list.js';
import { readRegular } from '../files/confined_path.js';
import { CONVENTION_NAMES, channelNumbers, convention, pixelsInWords } from '../importing/conventions.js';
import {
  besideFile,
  describeForeign,
  externalPath,
  type ForeignOptions,
  fromOnnx,
  fromSafetensors,
  type Imported,
} from '../importing/imported.js';
import { outOption, renamedOption } from '../options.js';
import { FolderStore, isEmptyPlace } from '../run/run_folder.js';
import { lockRun } from '../run/run_lock.js';

interface ImportOptions extends ForeignOptions {
  out: string;
  classNames?: string;
}

export function importCommand(program: Command): void {
  const command = defineCommand(program, 'import <file>', 'make a run of a network in an ONNX or safetensors file', [
    'zfnet import photos.onnx --out runs/photos',
    'zfnet import resnet18.onnx --out runs/resnet --class-names imagenet.txt  # any classifier: evaluate, predict, deconv, report',
    'zfnet import caffenet.onnx --out runs/caffenet --preprocess caffe',
    'zfnet import own.onnx --out runs/own --mean 0.5,0.5,0.5 --std 0.25,0.25,0.25 --output scores --scores sigmoid',
  ])
    .addOption(outOption('folder of the run; it must be new or empty').makeOptionMandatory())
    .option(
      '--class-names <file>',
      'file with the class names: text with one name per line, or JSON (default: the names in the model file)',
    )
    .option(
      '--preprocess <name>',
      `for a network not trained by zfnet: how pixels are normalised: ${CONVENTION_NAMES.join(', ')}; -1..1, 0..1 and 0..255 stand for tensorflow, unit and raw (default: torchvision for colour images, unit for grey ones)`,
      convention,
    )
    .option(
      '--mean <r,g,b>',
      'mean to subtract from each channel, red first, or one value for all. Pixels range from 0 to 1 if all values of --mean and --std are at most 1, otherwise from 0 to 255',
      channelNumbers(),
    )
    .option('--std <r,g,b>', 'standard deviation to divide each channel by, after subtracting the mean', channelNumbers({ above: 0 }))
    .option('--output <name>', 'name of the output with the class scores, if the model has several outputs')
    .option(
      '--scores <kind>',
      `kind of scores in this output: softmax (probabilities), log-softmax (their logarithms), sigmoid (independent probabilities), none (logits for a softmax), sigmoid-logits (default: recognised from the graph)`,
      oneOf(SCORES),
    )
    .option(
      '--layout <axes>',
      'order of the axes of the input: nchw or nhwc (default: recognised from its shape)',
      oneOf(['nchw', 'nhwc'] as const),
    )
    .option('--input-size <pixels>', 'height and width of the input, if the file leaves them open (default: 224)', whole({ min: 1 }))
    .action(
      handler(async (context, file: string, options: ImportOptions) => {
        const { out } = options;
        await checkEmpty(out);
        const kind = extname(file).toLowerCase();
        if (kind !== '.onnx' && kind !== '.safetensors') throw new UsageError(`${file} is neither an .onnx nor a .safetensors file`);
        await context.engine();
        const names = await readNames(options.classNames);
        const bytes = await readRegular(file);
        const made = await locked(out, async (store) => {
          // Another process may have written a run since the first look.
          await checkEmpty(out);
          return await removingOnFailure(store, async () =>
            kind === '.safetensors'
              ? await writeOwn(store, named(fromSafetensors(bytes, file), names, options), file)
              : await importOnnx(store, bytes, { file, names, options, context }),
          );
        });
        context.result({ run: out, ...made }, () => `${out}: ${inWords(made)}`);
      }),
    );
  renamedOption(command, '--classes <file>', '--class-names');
}

const inWords = ({ preset, inputSize, channels, classes }: Made): string =>
  `${preset ? `preset ${preset}` : 'an imported network'}, input ${channels}×${inputSize}×${inputSize}, ${classes} classes`;

/** Throws `UsageError` if the folder contains files other than the lock of a run. */
async function checkEmpty(folder: string): Promise<void> {
  if (!(await isEmptyPlace(folder)) && (await new FolderStore(folder).list()).length > 0)
    throw new UsageError(`${folder} is not empty: use another folder for --out`);
}

/** Runs `write` while this process holds the lock of the folder, as in training. */
async function locked<T>(folder: string, write: (store: FolderStore) => Promise<T>): Promise<T> {
  const lock = await lockRun(folder);
  try {
    return await write(new FolderStore(folder, '', lock.check));
  } finally {
    await lock.release();
  }
}

/** Removes the files of a failed import; the folder was empty before. */
async function removingOnFailure<T>(store: FolderStore, write: () => Promise<T>): Promise<T> {
  try {
    return await write();
  } catch (error) {
    await store.remove(await store.list()).catch(() => undefined);
    throw error;
  }
}

/** Result of the command. */
interface Made {
  /** Null for a network that is not a preset of zfnet. */
  preset: string | null;
  inputSize: number;
  channels: number;
  classes: number;
}

interface Source {
  file: string;
  names: string[] | null;
  options: ImportOptions;
  context: Context;
}

async function importOnnx(store: FolderStore, bytes: Uint8Array, source: Source): Promise<Made> {
  const { file, names, options } = source;
  const beside = new Map<string, Uint8Array>();
  const read = besideFile(file);
  const externalData = async (path: string): Promise<Uint8Array> => {
    const data = beside.get(path) ?? (await read(path));
    beside.set(path, data);
    return data;
  };
  const net = await loadOnnx(bytes, { externalData, freeBatch: true });
  try {
    // Options for normalisation and scores mark a foreign network: the files of zfnet record both themselves.
    const { preprocess, mean, std, output, scores, layout } = options;
    const foreign = [preprocess, mean, std, output, scores, layout].some((option) => option !== undefined);
    const own = foreign ? null : await fromOnnx(net, file);
    return own ? await writeOwn(store, named(own, names, options), file) : await writeForeign(store, net, { ...source, bytes, beside });
  } finally {
    net.dispose();
  }
}

async function writeOwn(store: FolderStore, imported: Imported, file: string): Promise<Made> {
  const { architecture, init, classes, fingerprint, preprocess, weights, mean } = imported;
  const info = { architecture, init, classes, fingerprint, preprocess };
  await store.write(PATHS.best, encodeCheckpoint({ weights, velocities: {}, mean, info }));
  await writeConfig(store, {
    architecture,
    init,
    data: { source: file, fingerprint, classes, trainExamples: 0, valExamples: 0 },
    preprocess,
    training: { ...DEFAULT_TRAINING, epochs: 0 },
    engine: { backend: 'imported', mode: 'strict' },
    changes: [],
  });
  const { preset, inputSize, channels } = architecture;
  return { preset, inputSize, channels, classes: classes.length };
}

interface ForeignSource extends Source {
  bytes: Uint8Array;
  beside: ReadonlyMap<string, Uint8Array>;
}

/** Stores the model with its external data, and a configuration that describes its input and output. */
async function writeForeign(store: FolderStore, net: OnnxModel, source: ForeignSource): Promise<Made> {
  const { bytes, beside, file, names, options, context } = source;
  const { config, notes } = await describeForeign(net, file, options, names);
  const { data, preprocess, network } = config;
  if (names) data.classes = matching(names, data.classes.length, options);
  for (const [path, external] of beside) await store.write(externalPath(path), external);
  await store.write(network.file, bytes);
  await writeConfig(store, config);
  for (const note of notes) context.reporter.say(`${file}: ${note}`);
  context.reporter.detail(pixelsInWords({ ...network, deviation: preprocess.deviation ?? [1, 1, 1] }));
  return { preset: null, inputSize: preprocess.inputSize, channels: preprocess.channels, classes: data.classes.length };
}

const readNames = async (file: string | undefined): Promise<string[] | null> =>
  file === undefined ? null : readClassList(await readRegular(file), file);

const named = (imported: Imported, names: string[] | null, options: ImportOptions): Imported =>
  names ? { ...imported, classes: matching(names, imported.architecture.classes, options) } : imported;

function matching(names: string[], count: number, { classNames: file }: ImportOptions): string[] {
  if (names.length !== count)
    throw new UsageError(
      `${file} names ${names.length} classes, the network has ${count}${names.length === count - 1 ? '; the lists of TensorFlow begin with a class "background" that other lists lack' : ''}`,
    );
  return names;
}
