/**
 * The suite of the command line: commands with `--backend webgpu` on the device, each in a process of its own, on a network and a data set
 * that take a software device seconds. Needs the build; where there is none, as in a pack of the benchmark, the suite is left out.
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { encode } from 'fast-png';
import { bars, CLASSES } from '../../test/zfnet/support.js';
import { check, type SuiteContext } from './suite.js';

const HERE = dirname(fileURLToPath(import.meta.url));
const CLI = join(HERE, '../../cli');
const TINY = ['--preset', 'small', '--input-size', '28', '--width', '0.02', '--batch-size', '8', '--workers', '0'];
const IMAGE = 'bars/val/vertical/1.png';
const LIMIT_MS = 5 * 60_000;

/** The commands in order, and what each must print. Without `--long`, only the `first` ones run. */
const COMMANDS: readonly { args: readonly string[]; prints: RegExp; first?: true }[] = [
  { args: ['train', '--data', 'bars', '--out', 'run', '--epochs', '1', ...TINY], prints: /1 epoch done[\s\S]*^device: /m, first: true },
  { args: ['evaluate', 'run', '--json'], prints: /^\{"examples":8,"top1Error":[\d.]+/m },
  { args: ['predict', 'run', IMAGE], prints: /horizontal +[\d.]+ %/ },
  { args: ['info', 'small'], prints: /largest tensor of a step [\d.]+ MiB of [\d.]+ [MG]iB per buffer/, first: true },
  { args: ['deconv', 'run', IMAGE, '--layer', 'conv2', '--strongest', '2', '--out', 'conv2.png'], prints: /written: conv2\.png/ },
  {
    first: true,
    args: ['profile', 'run', '--batch-size', '2', '--repeat', '1', '--trace', 'trace.json'],
    prints:
      /conv2d .*[\s\S]*device: \d+ dispatches, busy [\d.]+ ms, idle [\d.]+ ms .* encoding took [\s\S]*ceiling [\d.]+ GFLOP\/s; copy [\d.]+ GB\/s/,
  },
  { args: ['bench', 'run', '--batch-size', '2', '--repeat', '1'], prints: /conv2 +conv2dWeightGrad .*[\s\S]*copy [\d.]+ GB\/s/ },
];

export async function commands(context: SuiteContext, long: boolean): Promise<void> {
  if (!existsSync(join(CLI, 'dist/main.js'))) return console.log('commands: left out, cli/dist is not built');
  const folder = await mkdtemp(join(tmpdir(), 'zfnet-gpu-'));
  try {
    await writeBars(folder);
    // The command line looks for the package `webgpu` in the user's project.
    await symlink(join(HERE, 'node_modules'), join(folder, 'node_modules'));
    for (const { args, prints } of COMMANDS.filter(({ first }) => long || first))
      await check(context, `zfnet ${args.slice(0, 2).join(' ')}`, async () => {
        const { status, output } = await zfnet(folder, [...args, '--backend', 'webgpu']);
        if (status !== 0) return `exit status ${status}: ${output.slice(-400)}`;
        return prints.test(output) ? null : `printed ${output.slice(-400)}, expected ${prints}`;
      });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Writes the data set of the tests as a folder of images. */
async function writeBars(folder: string): Promise<void> {
  const { splits } = bars({ train: 24, val: 8, channels: 3 });
  for (const [name, split] of Object.entries(splits)) {
    for (const label of CLASSES) await mkdir(join(folder, 'bars', name, label), { recursive: true });
    for (let i = 0; i < split.length; i++) {
      const { image, label } = await split.get(i);
      await writeFile(join(folder, 'bars', name, CLASSES[label], `${i}.png`), encode(image));
    }
  }
}

function zfnet(cwd: string, args: readonly string[]): Promise<{ status: number | null; output: string }> {
  return new Promise((resolve) => {
    const options = { cwd, timeout: LIMIT_MS, env: { ...process.env, NO_COLOR: '1' } };
    const child = execFile(process.execPath, [join(CLI, 'bin/zfnet.js'), ...args], options, (_error, stdout, stderr) =>
      resolve({ status: child.exitCode, output: stdout + stderr }),
    );
  });
}
