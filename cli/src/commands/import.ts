/** `zfnet import`: a network from a file becomes a run, which every other command takes. */
import { readFile, realpath } from 'node:fs/promises';
import { dirname, extname, join, sep } from 'node:path';
import type { Command } from 'commander';
import { DEFAULT_TRAINING, encodeCheckpoint, FormatError, PATHS, writeConfig } from 'zfnet';
import { loadOnnx } from 'zfnet/onnx';
import { defineCommand, handler, UsageError } from '../command.js';
import { fromOnnx, fromSafetensors, type Imported } from '../imported.js';
import { FolderStore, isEmptyPlace } from '../run_folder.js';

interface ImportOptions {
  out: string;
  classes?: string;
}

export function importCommand(program: Command): void {
  defineCommand(program, 'import <file>', 'make a run of a network from an ONNX or safetensors file', [
    'zfnet import photos.onnx --out runs/photos',
    'zfnet import zfnet512.onnx --out runs/zfnet512 --classes imagenet.txt',
  ])
    .requiredOption('--out <run>', 'the run’s folder, new or empty')
    .option('--classes <file>', 'names of the classes, one a line (default: what the file says)')
    .action(
      handler(async (context, file: string, options: ImportOptions) => {
        const { out } = options;
        if (!(await isEmptyPlace(out))) throw new UsageError(`${out} is not empty: take another folder for --out`);
        await context.engine();
        const imported = await named(await read(file), options.classes);
        const { architecture, init, classes, fingerprint, preprocess, weights, mean } = imported;
        const store = new FolderStore(out);
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
        const report = { run: out, preset, inputSize, channels, classes: classes.length };
        context.result(report, () => `${out}: preset ${preset}, input ${channels}×${inputSize}×${inputSize}, ${classes.length} classes`);
      }),
    );
}

async function read(file: string): Promise<Imported> {
  const bytes = await readFile(file);
  const kind = extname(file).toLowerCase();
  if (kind === '.safetensors') return fromSafetensors(bytes, file);
  if (kind !== '.onnx') throw new UsageError(`${file} is neither an .onnx nor a .safetensors file`);
  const net = await loadOnnx(bytes, { externalData: beside(file) });
  try {
    return await fromOnnx(net, file);
  } finally {
    net.dispose();
  }
}

/** Reads files from the model's folder. A link that leads out of it is refused, as a path that does. */
function beside(file: string): (path: string) => Promise<Uint8Array> {
  return async (path) => {
    const folder = await realpath(dirname(file));
    const target = await realpath(join(folder, path));
    if (!target.startsWith(folder.endsWith(sep) ? folder : folder + sep))
      throw new FormatError(`${file}: its data ${path} lies outside its folder`);
    return await readFile(target);
  };
}

/** With the names of the classes from a file. */
async function named(imported: Imported, file: string | undefined): Promise<Imported> {
  if (file === undefined) return imported;
  const classes = (await readFile(file, 'utf8')).split(/\r?\n/).filter((line) => line !== '');
  const { classes: count } = imported.architecture;
  if (classes.length !== count) throw new UsageError(`${file} names ${classes.length} classes, the network has ${count}`);
  return { ...imported, classes };
}
