/** Other engines that compute through WebGPU, and our own, each in a process of its own. */
import { execFile, execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface PeerReading {
  peer: string;
  version?: string;
  workload: string;
  batch: number;
  imagesPerSecond?: number;
  /** Reason why there is no figure. */
  error?: string;
}

/** Engines and the file in bench/peers that runs them. */
const PEERS = [
  { peer: 'zfnet webgpu', file: 'zfnet.mjs' },
  { peer: 'tfjs-webgpu', file: 'tfjs-wasm.mjs' },
  { peer: 'jax-js webgpu', file: 'jax-js.mjs' },
];

/**
 * onnxruntime-web keeps its data in shared memory, which Dawn's `writeBuffer` in Node does not take. With copies in place of shared memory,
 * it did not finish loading a model.
 */
const NOT_IN_NODE = 'onnxruntime-web';
const NOT_IN_NODE_REASON = 'its WebGPU build does not run in Node on Dawn';

/** Folder of the engines' files: bench/peers of the repository, or `peers` beside the bundled benchmark. */
function peerFolder(): string {
  const here = dirname(fileURLToPath(import.meta.url));
  return [join(here, '../peers'), join(here, 'peers')].find((path) => existsSync(join(path, 'zfnet.mjs')))!;
}

/** Installs the packages of bench/peers at the first use; in a pack, the engines are bundled. */
function install(folder: string): void {
  if (!existsSync(join(folder, 'package.json')) || existsSync(join(folder, 'node_modules/webgpu'))) return;
  execFileSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: folder, stdio: ['ignore', 2, 2] });
}

/** Longest time of one reading. */
const LIMIT_MS = 10 * 60_000;

/** Takes all readings. LeNet-5 instead of ZFNet on a software device, where ZFNet would take hours. */
export async function takePeers(software: boolean, onResult: (line: string) => void): Promise<PeerReading[]> {
  const folder = peerFolder();
  install(folder);
  const network = software ? 'lenet' : 'zfnet';
  const batches = software ? [2] : [1, 16, 128];
  const found: PeerReading[] = [];
  for (const workload of [`${network}-forward`, `${network}-train`]) {
    for (const batch of batches) {
      for (const { peer, file } of PEERS) {
        if (!existsSync(join(folder, file))) continue;
        const reading = await take(join(folder, file), peer, workload, batch, software);
        found.push(reading);
        onResult(`${peer}, ${workload}, batch ${batch}: ${reading.error ?? `${reading.imagesPerSecond!.toFixed(1)} images/s`}`);
      }
    }
  }
  found.push({ peer: NOT_IN_NODE, workload: `${network}-forward`, batch: batches[0], error: NOT_IN_NODE_REASON });
  return found;
}

function take(file: string, peer: string, workload: string, batch: number, software: boolean): Promise<PeerReading> {
  const effort = software ? ['--seconds', '0.5', '--runs', '1', '--warm', '1'] : ['--seconds', '5', '--runs', '3', '--warm', '2'];
  const args = [file, '--device', 'webgpu', '--workload', workload, '--batch', `${batch}`, ...effort];
  return new Promise((resolve) => {
    execFile(process.execPath, args, { timeout: LIMIT_MS, maxBuffer: 2 ** 26 }, (error, stdout) => {
      const line = stdout.split('\n').find((each) => each.startsWith('{'));
      if (line) {
        const { peer: name, version, imagesPerSecond, error } = JSON.parse(line) as PeerReading;
        return resolve({ peer: name, version, workload, batch, imagesPerSecond, ...(error !== undefined && { error }) });
      }
      const reason = error?.killed ? `no result within ${LIMIT_MS / 60_000} minutes` : (error?.message ?? 'no result').split('\n')[0];
      resolve({ peer, workload, batch, error: reason });
    });
  });
}
