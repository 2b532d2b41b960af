/** Runs the built command line in a process of its own, in a folder of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encode } from 'fast-png';
import { afterAll, beforeAll } from 'vitest';
import { bars, CLASSES } from '../zfnet/support.js';

const LAUNCHER = join(import.meta.dirname, '../../cli/bin/zfnet.js');

export interface Ended {
  status: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

/** Starts `zfnet` and collects its output. */
export function start(cwd: string, args: readonly string[]): { child: ChildProcess; ended: Promise<Ended> } {
  if (!existsSync(join(import.meta.dirname, '../../cli/dist/main.js')))
    throw new Error('cli/dist/main.js is missing: run `npm run build` first');
  const child = spawn(process.execPath, [LAUNCHER, ...args], {
    cwd,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, NO_COLOR: '1' },
  });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk) => {
    stdout += chunk;
  });
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (status, signal) => resolve({ status, signal, stdout, stderr }));
  });
  return { child, ended };
}

/** Runs `zfnet ...args` until it ends. */
export const zfnet = (cwd: string, ...args: string[]): Promise<Ended> => start(cwd, args).ended;

/** What makes a training small: 3 classes of bars, a network of a few thousand weights. */
export const TINY = ['--preset', 'small', '--input-size', '28', '--width', '0.02', '--batch-size', '8', '--threads', '1'];

/** A temporary folder for the tests of a file, with a folder of images `bars/` in it. */
export function workplace(): { path: string } {
  const place = { path: '' };
  beforeAll(async () => {
    place.path = await mkdtemp(join(tmpdir(), 'zfnet-cli-'));
    const { splits } = bars({ train: 36, val: 12, channels: 3 });
    for (const [name, split] of Object.entries(splits)) {
      for (const label of CLASSES) await mkdir(join(place.path, 'bars', name, label), { recursive: true });
      for (let i = 0; i < split.length; i++) {
        const { image, label } = await split.get(i);
        await writeFile(join(place.path, 'bars', name, CLASSES[label], `${i}.png`), encode(image));
      }
    }
  });
  afterAll(() => rm(place.path, { recursive: true, force: true }));
  return place;
}
