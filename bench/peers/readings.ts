/** The engines that are compared, and how they are measured: each in a process of its own, so that memory and threads are separate. */
import { execFile, execFileSync, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { toOnnx } from '../../src/formats/onnx/index.js';
import { saveSafetensors } from '../../src/formats/safetensors.js';
import { defaultBackend, init, zfnet } from '../../src/index.js';

export type Workload = 'zfnet-forward' | 'zfnet-train' | 'lenet-train';

/** The workload, the same for every engine. */
export interface Task {
  workload: Workload;
  batch: number;
  threads: number;
}

export interface Reading extends Task {
  peer: PeerName;
  version: string;
  imagesPerSecond: number;
  peakMemoryBytes: number;
  /** Size of the heap, for our own engine. */
  heapBytes?: number;
  /** The loaded library of matrix products, for PyTorch. */
  blas?: string;
  /** What PyTorch says of its build (`torch.__config__.show()`). */
  config?: string;
  /** Output for the first image, for a forward pass. */
  logits?: number[];
}

/** Duration of a measurement. */
export interface Effort {
  seconds: number;
  /** Smallest number of steps. */
  runs: number;
  /** Smallest number of warm-up steps. */
  warm: number;
}

interface Peer {
  command: readonly [string, ...string[]];
  /** Reason why the engine cannot run a task; undefined where it can. */
  absent?: (task: Task) => string | undefined;
}

const HERE = fileURLToPath(new URL('.', import.meta.url));
const node = (file: string, ...more: string[]): Peer['command'] => [process.execPath, join(HERE, file), ...more];
const inference = ({ workload }: Task) => (workload === 'zfnet-forward' ? undefined : 'does not train');

export const PEERS = {
  zfnet: { command: node('zfnet.mjs') },
  'zfnet fast': { command: node('zfnet.mjs', '--mode', 'fast') },
  'tfjs-wasm': { command: node('tfjs-wasm.mjs') },
  'onnxruntime-web': { command: node('onnxruntime-web.mjs'), absent: inference },
  'jax-js': {
    command: node('jax-js.mjs'),
    absent({ workload, batch, threads }) {
      if (threads > 1) return 'has no threads in Node';
      return workload === 'zfnet-train' || (workload === 'zfnet-forward' && batch > 1) ? 'takes minutes' : undefined;
    },
  },
  'onnxruntime-node': { command: node('onnxruntime-node.mjs'), absent: inference },
  pytorch: { command: ['/usr/bin/python3', join(HERE, 'pytorch.py')] },
} as const satisfies Record<string, Peer>;

export type PeerName = keyof typeof PEERS;
export const PEER_NAMES = Object.keys(PEERS) as PeerName[];

export const absentFrom = (peer: PeerName, task: Task): string | undefined => (PEERS[peer] as Peer).absent?.(task);

/**
 * Whether an engine computes matrix products by the reference BLAS, which is about half as fast as PyTorch can be. Ratios to it would
 * flatter us. It is Debian's default where no better BLAS is installed (`libopenblas0-pthread`).
 */
export const hasReferenceBlas = (blas: string | undefined): boolean => blas !== undefined && !/openblas|mkl|blis/.test(blas);

const OURS: readonly PeerName[] = ['zfnet', 'zfnet fast'];

/**
 * Makes the requested engines ready where possible; installs their packages at the first use.
 *
 * @returns the engines that are left out, with the reason
 */
export function preparePeers(peers: readonly PeerName[]): Map<PeerName, string> {
  if (!existsSync(join(HERE, '../../dist/index.js'))) throw new Error('dist/ is missing: run `npm run build` first');
  const left = new Map<PeerName, string>();
  if (peers.includes('pytorch') && spawnSync('/usr/bin/python3', ['-c', 'import torch, numpy']).status !== 0)
    left.set('pytorch', 'it is not installed for /usr/bin/python3 (Debian: python3-torch)');
  if (!existsSync(join(HERE, 'node_modules')) && peers.some((peer) => peer !== 'pytorch' && !OURS.includes(peer)))
    execFileSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: HERE, stdio: ['ignore', 2, 2] });
  return left;
}

/** Files with one network's weights, used by all engines. */
export interface Files {
  weights: string;
  model: string;
}

/**
 * Writes the weights of a ZFNet to a temporary folder while `use` runs. He initialisation makes the outputs clearly different from each
 * other.
 */
export async function withFiles<T>(use: (files: Files) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'zfnet-peers-'));
  try {
    const files = { weights: join(folder, 'zfnet.safetensors'), model: join(folder, 'zfnet.onnx') };
    await init({ threads: 1 });
    const model = zfnet('a', { init: 'he', seed: 1 });
    await writeFile(files.weights, saveSafetensors(model.stateDict()));
    await writeFile(files.model, await toOnnx(model, { inputShape: model.inputShape }));
    model.dispose();
    defaultBackend().dispose();
    return await use(files);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The environment of an engine: Debian's PyTorch finds OpenBLAS, where it is installed, also if the system prefers another BLAS. */
function environment(peer: PeerName): NodeJS.ProcessEnv {
  const folders = ['x86_64', 'aarch64'].map((cpu) => `/usr/lib/${cpu}-linux-gnu/openblas-pthread`).filter((folder) => existsSync(folder));
  if (peer !== 'pytorch' || folders.length === 0) return process.env;
  return { ...process.env, LD_LIBRARY_PATH: [...folders, process.env.LD_LIBRARY_PATH ?? ''].filter(Boolean).join(':') };
}

/** Time limit of one reading. Engines whose threads spin while waiting can be this slow when the machine is shared. */
const TIME_LIMIT_MS = 20 * 60_000;

/** Takes one reading. Throws the engine's own error message where it fails. */
export async function take(peer: PeerName, task: Task, effort: Effort, files?: Files): Promise<Reading> {
  const [program, ...first] = PEERS[peer].command;
  const options = { ...task, ...effort, ...(task.workload === 'zfnet-forward' ? files : {}) };
  const given = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const output = await new Promise<string>((resolve, reject) => {
    execFile(
      program,
      [...first, ...given],
      { maxBuffer: 2 ** 24, timeout: TIME_LIMIT_MS, env: environment(peer) },
      (error, stdout, stderr) => {
        if (error?.killed) reject(new Error(`no reading after ${TIME_LIMIT_MS / 60_000} minutes`));
        else if (error) reject(new Error(/^\w*Error\b.*$/m.exec(stderr)?.[0] ?? error.message));
        else resolve(stdout);
      },
    );
  });
  // Some engines write to standard output as well.
  const line = output.split('\n').findLast((text) => text.startsWith('{'));
  const result = JSON.parse(line ?? '{"error":"no reading"}') as Reading & { error?: string };
  if (result.error !== undefined) throw new Error(result.error);
  return { ...result, peer };
}
