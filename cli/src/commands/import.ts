/** `zfnet import`: a network from a file becomes a run, which every other command takes. */
import { readFile } from 'node:fs/promises';
import { extname } from 'node:path';
import type { Command } from 'commander';
import { DEFAULT_TRAINING, encodeCheckpoint, PATHS, writeConfig } from 'zfnet';
import { loadOnnx, OnnxClassifier, type OnnxModel } from 'zfnet/onnx';
import { defineCommand, handler, oneOf, UsageError, whole } from '../command.js';
import { readRegular } from '../confined_path.js';
import {
  besideFile,
  CONVENTION_NAMES,
  type Convention,
  describeForeign,
  externalPath,
  type ForeignOptions,
  fromOnnx,
  fromSafetensors,
  type Imported,
} from '../imported.js';
import { FolderStore, isEmptyPlace } from '../run_folder.js';

interface ImportOptions extends ForeignOptions {
  out: string;
  classes?: string;
  preprocess?: Convention;
}

export function importCommand(program: Command): void {
  defineCommand(program, 'import <file>', 'make a run of a network from an ONNX or safetensors file', [
    'zfnet import photos.onnx --out runs/photos',
    'zfnet import resnet18.onnx --out runs/resnet --classes imagenet.txt      # any classifier: evaluate, predict, deconv, report',
    'zfnet import caffenet.onnx --out runs/caffenet --preprocess caffe',
  ])
    .requiredOption('--out <run>', 'the run’s folder, new or empty')
    .option('--classes <file>', 'names of the classes, one a line (default: what the file says)')
    .option(
      '--preprocess <name>',
      `of a network from elsewhere, how pixels become its input: ${CONVENTION_NAMES.join(', ')} (default: torchvision)`,
      oneOf(CONVENTION_NAMES),
    )
    .option('--input-size <pixels>', 'where the file leaves it open (default: 224)', whole({ min: 1 }))
    .action(
      handler(async (context, file: string, options: ImportOptions) => {
        const { out } = options;
        if (!(await isEmptyPlace(out))) throw new UsageError(`${out} is not empty: take another folder for --out`);
        const kind = extname(file).toLowerCase();
        if (kind !== '.onnx' && kind !== '.safetensors') throw new UsageError(`${file} is neither an .onnx nor a .safetensors file`);
        await context.engine();
        const names = await classNames(options.classes);
        const store = new FolderStore(out);
        const bytes = await readRegular(file);
        const made =
          kind === '.safetensors'
            ? await writeOwn(store, named(fromSafetensors(bytes, file), names, options), file)
            : await importOnnx(store, bytes, file, names, options);
        const { preset, inputSize, channels, classes } = made;
        context.result({ run: out, ...made }, () => {
          const what = preset ? `preset ${preset}` : 'a network from elsewhere';
          return `${out}: ${what}, input ${channels}×${inputSize}×${inputSize}, ${classes} classes`;
        });
      }),
    );
}

/** What the command says of the run. */
interface Made {
  /** Null for a network that is none of ours. */
  preset: string | null;
  inputSize: number;
  channels: number;
  classes: number;
}

async function importOnnx(
  store: FolderStore,
  bytes: Uint8Array,
  file: string,
  names: string[] | null,
  options: ImportOptions,
): Promise<Made> {
  const beside = new Map<string, Uint8Array>();
  const read = besideFile(file);
  const externalData = async (path: string): Promise<Uint8Array> => {
    const data = beside.get(path) ?? (await read(path));
    beside.set(path, data);
    return data;
  };
  const net = await loadOnnx(bytes, { externalData, freeBatch: true });
  try {
    // Who says how pixels are prepared has another network than ours in mind.
    const own = options.preprocess ? null : await fromOnnx(net, file);
    return own
      ? await writeOwn(store, named(own, names, options), file)
      : await writeForeign(store, net, { bytes, beside, file, names, options });
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

interface Foreign {
  bytes: Uint8Array;
  beside: ReadonlyMap<string, Uint8Array>;
  file: string;
  names: string[] | null;
  options: ImportOptions;
}

/** The model itself with its files, and what its input and outputs mean. */
async function writeForeign(store: FolderStore, net: OnnxModel, { bytes, beside, file, names, options }: Foreign): Promise<Made> {
  const config = describeForeign(new OnnxClassifier(net), file, options);
  const { data, preprocess } = config;
  if (names) data.classes = matching(names, data.classes.length, options);
  for (const [path, external] of beside) await store.write(externalPath(path), external);
  await store.write(config.network.file, bytes);
  await writeConfig(store, config);
  return { preset: null, inputSize: preprocess.inputSize, channels: preprocess.channels, classes: data.classes.length };
}

async function classNames(file: string | undefined): Promise<string[] | null> {
  if (file === undefined) return null;
  return (await readFile(file, 'utf8')).split(/\r?\n/).filter((line) => line !== '');
}

const named = (imported: Imported, names: string[] | null, options: ImportOptions): Imported =>
  names ? { ...imported, classes: matching(names, imported.architecture.classes, options) } : imported;

function matching(names: string[], count: number, { classes: file }: ImportOptions): string[] {
  if (names.length !== count) throw new UsageError(`${file} names ${names.length} classes, the network has ${count}`);
  return names;
}
