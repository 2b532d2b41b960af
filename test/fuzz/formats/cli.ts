/** Input of the command line other than models and data: class lists, parts files, locks of runs, and its own arguments. */
import { existsSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import type { Command as CommandType } from 'commander';
import sharp from 'sharp';
import { toOnnx } from '../../../src/formats/onnx/export.js';
import { init, zfnet } from '../../../src/index.js';
import { expectThat, type Format } from '../format.js';
import { mutateBytes, noise } from '../mutate_bytes.js';
import { mutateJson } from '../mutate_json.js';
import { Random } from '../random.js';
import { writeAll } from './pixels.js';

const encoder = new TextEncoder();
/** The command line's sources see the engine by its package's name; the worker's settings lead that to `src`. */
const CLI = resolve(import.meta.dirname, '../../../cli');
const source = (path: string) => import(join(CLI, 'src', path));

const ENGINE = ['--threads', '1'];

interface Ended {
  /** The standard output of the command. */
  printed: string;
}

/** Runs a command in this process, in a folder. Commander's own messages are swallowed. */
async function runCommand(argv: readonly string[], folder: string): Promise<Ended> {
  // The command line's own commander: others in this repository may bring another version.
  const { Command } = await import(createRequire(join(CLI, 'package.json')).resolve('commander'));
  const { addCommonOptions } = await source('options.ts');
  const program: CommandType = new Command('zfnet').exitOverride();
  const commands = join(CLI, 'src/commands');
  for (const file of readdirSync(commands)
    .filter((name) => name.endsWith('.ts'))
    .sort()) {
    const module = await source(`commands/${file}`);
    for (const [name, register] of Object.entries(module)) if (name.endsWith('Command')) (register as (to: CommandType) => void)(program);
  }
  for (const command of program.commands)
    addCommonOptions(command)
      .exitOverride()
      .configureOutput({ writeOut() {}, writeErr() {} });
  program.configureOutput({ writeOut() {}, writeErr() {} });
  const { write } = process.stdout;
  const errors = process.stderr.write;
  const before = process.cwd();
  let printed = '';
  process.chdir(folder);
  process.stdout.write = ((text: string) => {
    printed += text;
    return true;
  }) as typeof write;
  process.stderr.write = (() => true) as typeof write;
  try {
    await program.parseAsync(['node', 'zfnet', ...argv]);
    return { printed };
  } finally {
    process.stdout.write = write;
    process.stderr.write = errors;
    process.chdir(before);
  }
}

/** An exported network. The commands are loaded here, so that the time for it counts for no input. */
async function smallModel(): Promise<Uint8Array> {
  await init({ threads: 1 });
  await runCommand(['info', 'small', '--input-size', '28', '--width', '0.01', ...ENGINE], process.cwd());
  const model = zfnet('small', { classes: 3, width: 0.01, inputSize: 28, channels: 1 }).eval();
  const bytes = await toOnnx(model, { inputSize: 28, channels: 1 });
  model.dispose();
  return bytes;
}

/** `import --classes FILE`: a list of names, one per line. */
export const classLists: Format = {
  async open() {
    const model = await smallModel();
    const lists = ['ant\nbee\ncicada\n', '\ufeffant\r\nbee\r\ncicada', 'Ameise\nBär\nKäfer\n', 'a b\n"c"\n[d]\n'].map((list) =>
      encoder.encode(list),
    );
    return {
      make: (random) => ({ 'model.onnx': model, 'classes.txt': mutateBytes(random.pick(lists), random, lists) }),
      async attempt(files, folder) {
        await writeAll(folder, files);
        const argv = ['import', 'model.onnx', '--out', 'run', '--classes', 'classes.txt', '--json', ...ENGINE];
        const { printed } = await runCommand(argv, folder);
        expectThat(JSON.parse(printed).classes === 3, () => `the import says ${printed}`);
        const { readFileSync } = await import('node:fs');
        const { classes } = JSON.parse(readFileSync(join(folder, 'run/config.json'), 'utf8')).data;
        const odd = classes.find((name: string) => name.trim() === '' || name.startsWith('\ufeff') || /[\r\n\ufffd]/.test(name));
        expectThat(odd === undefined, () => `a class is called ${JSON.stringify(odd)}`);
        expectThat(new Set(classes).size === 3, () => `two classes have one name: ${JSON.stringify(classes)}`);
      },
    };
  },
};

/** `correspond --parts FILE`: boxes around parts of images. */
export const partsFiles: Format = {
  async open() {
    const image = new Uint8Array(
      await sharp(noise(40 * 32 * 3, new Random('parts')), { raw: { width: 40, height: 32, channels: 3 } })
        .png()
        .toBuffer(),
    );
    const parts = { eye: [4, 10, 12, 18], nose: [14, 14, 20, 22] };
    const text = JSON.stringify({ images: ['a.png', 'b.png'].map((file) => ({ file, parts })) });
    const { readParts } = await source('files/parts_file.ts');
    return {
      make: (random) => ({ 'a.png': image, 'b.png': image, 'parts.json': mutateJson(text, random) }),
      async attempt(files, folder) {
        await writeAll(folder, files);
        const marked = await readParts(join(folder, 'parts.json'), { inputSize: 28, side: 32, channels: 3, scale: 1 });
        expectThat(marked.length >= 2, () => `${marked.length} images were accepted`);
        for (const { image: read, parts: boxes } of marked) {
          expectThat(read.data.length === 32 * 32 * 3, () => `an image has ${read.data.length} numbers`);
          for (const [y0, x0, y1, x1] of Object.values(boxes) as number[][])
            expectThat(
              [y0, x0, y1, x1].every(Number.isInteger) && 0 <= y0 && y0 < y1 && y1 <= 28 && 0 <= x0 && x0 < x1 && x1 <= 28,
              () => `a box is [${[y0, x0, y1, x1]}], in an input of 28 pixels`,
            );
        }
      },
    };
  },
};

/** A run's lock that an earlier process left, or that is none. */
export const locks: Format = {
  async open() {
    const { lockRun } = await source('run/run_lock.ts');
    const { mkdtempSync, readFileSync, rmSync } = await import('node:fs');
    const { tmpdir } = await import('node:os');
    const own = mkdtempSync(join(tmpdir(), 'zfnet-lock-'));
    const ownLock = await lockRun(own);
    const text = readFileSync(join(own, 'lock.json'), 'utf8');
    await ownLock.release();
    rmSync(own, { recursive: true, force: true });
    return {
      make: (random) => ({ 'lock.json': mutateJson(text, random) }),
      async attempt(files, folder) {
        await writeAll(folder, files);
        const lock = await lockRun(folder);
        const held = readFileSync(join(folder, 'lock.json'), 'utf8');
        expectThat(JSON.parse(held).pid === process.pid, () => `the lock was given, and its file says ${held.slice(0, 100)}`);
        await lock.release();
        expectThat(!existsSync(join(folder, 'lock.json')), () => 'the lock was given back, and its file is still there');
      },
    };
  },
};

const WORDS = [
  '',
  '0',
  '1',
  '-1',
  '2',
  '0.5',
  '-0',
  'NaN',
  'Infinity',
  '1e3',
  '0x10',
  '4294967296',
  '9007199254740993',
  'a',
  'small',
  'zfnet512',
  'x',
  'run',
  'model.onnx',
  'picture.png',
  'missing',
  'idx:run',
  'parquet:x',
  'cifar10:',
  'idx:',
  'mnist:x',
  '--',
  '-',
  '--json',
  '--quiet',
  '--verbose',
  '--help',
  '--threads',
  '--backend',
  'reference',
  'webgpu',
  '--mode',
  'fast',
  '--seed',
  '--input-size',
  '--width',
  '--batch-size',
  '--layer',
  'conv1',
  'conv99',
  '__proto__',
  'constructor',
  '--map',
  '--strongest',
  '--top',
  '--to',
  'onnx',
  'safetensors',
  '--force',
  '--split',
  'val',
  '--data',
  '--out',
  'out',
  'out.png',
  '\u0000',
  '\u202ex',
  'é',
  'x'.repeat(300),
  '--=',
  '--seed=',
  '--seed=x',
  '--no-json',
  '--preset',
  '--dropout',
  '--classes',
  '--preprocess',
  'caffe',
  '--square',
  '--stride',
  '--crops',
  '10',
  '--maps',
  '0-7',
  '7-0',
  '0-',
] as const;

/** Commands that end within a moment, on a small imported run. */
const COMMANDS: readonly (readonly string[])[] = [
  ['info', 'run'],
  ['info', 'small', '--input-size', '28', '--width', '0.01'],
  ['predict', 'run', 'picture.png', '--top', '2'],
  ['deconv', 'run', 'picture.png', '--layer', 'conv2', '--map', '0', '--out', 'out.png'],
  ['deconv', 'run', 'picture.png', '--layer', 'conv1', '--strongest', '2', '--mode', 'guided', '--out', 'out.png'],
  ['export', 'run', '--to', 'onnx', '--out', 'out.onnx'],
  ['export', 'run', '--to', 'safetensors', '--out', 'out.safetensors'],
  ['import', 'model.onnx', '--out', 'again', '--preprocess', 'unit'],
  ['filters', 'run', '--out', 'out'],
  ['occlude', 'run', 'picture.png', '--square', '14', '--stride', '14', '--out', 'out'],
  ['evaluate', 'run', '--data', 'missing', '--split', 'val'],
  ['train', '--data', 'missing', '--out', 'new', '--preset', 'small', '--width', '0.01', '--epochs', '1'],
  ['top9', 'run', '--data', 'missing', '--layer', 'conv1', '--maps', '0-1'],
  ['report', 'missing'],
];

/** Replaces, removes, doubles or inserts words; no word may name a path outside the input's folder. */
function mutateWords(words: readonly string[], random: Random): string[] {
  const changed = [...words];
  const times = 1 + random.below(3);
  for (let i = 0; i < times; i++) {
    const at = random.below(changed.length + 1);
    const kind = random.below(4);
    if (kind === 0) changed.splice(at, 1);
    else if (kind === 1) changed.splice(at, 1, random.pick(WORDS));
    else if (kind === 2) changed.splice(at, 0, random.pick(WORDS));
    else if (at < changed.length) changed.splice(at, 0, changed[at]);
  }
  // Demonstrations and measurements run for minutes.
  return ['demo', 'bench', 'profile', 'train'].includes(changed[0]) && changed[0] !== words[0] ? [...words] : changed;
}

export const commandLine: Format = {
  async open() {
    const model = await smallModel();
    const picture = new Uint8Array(
      await sharp(noise(32 * 32, new Random('argument')), { raw: { width: 32, height: 32, channels: 1 } })
        .png()
        .toBuffer(),
    );
    return {
      make: (random) => ({
        'model.onnx': model,
        'picture.png': picture,
        'arguments.json': encoder.encode(JSON.stringify([...mutateWords(random.pick(COMMANDS), random), ...ENGINE])),
      }),
      async attempt(files, folder) {
        const { 'arguments.json': list, ...rest } = files;
        await writeAll(folder, rest);
        const argv = JSON.parse(new TextDecoder().decode(list)) as string[];
        await runCommand(['import', 'model.onnx', '--out', 'run', ...ENGINE], folder);
        await runCommand(argv, folder).catch((error) => {
          // Requested help is a valid result.
          if (error?.exitCode !== 0) throw error;
        });
      },
    };
  },
};
