/** Runs the benchmark on the device of this machine, prints it and writes it. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findGpu } from '../../interop/gpu/find.js';
import { createBackend } from '../../src/index.js';
import { measureAll } from './measure.js';
import { takePeers } from './peers.js';
import { markdown, type Report, SOFTWARE_NOTE } from './report.js';

/** Options, by their names on the command line. */
export interface BenchOptions {
  json?: boolean;
  filter?: string;
  quick?: boolean;
  peers?: boolean;
  mode?: string;
  out?: string;
}

/** For `parseArgs`. */
export const OPTIONS = {
  json: { type: 'boolean' },
  filter: { type: 'string' },
  quick: { type: 'boolean' },
  peers: { type: 'boolean' },
  mode: { type: 'string' },
  out: { type: 'string' },
} as const;

/** Measures and prints. Returns the exit status: 0, 1 if a result was wrong, 3 without a device. */
export async function bench(options: BenchOptions): Promise<number> {
  const { json = false, filter = '', quick = false, out } = options;
  const found = await findGpu();
  if ('reason' in found) {
    console.error(`no device: ${found.reason}`);
    return 3;
  }
  const { gpu } = found;
  const backend = await createBackend({ backend: 'webgpu', gpu, mode: options.mode === 'fast' ? 'fast' : 'strict' });
  const say = json ? console.error : console.log;
  const { device } = backend.info();
  say(`device: ${[device!.description, device!.vendor, device!.architecture].filter(Boolean).join(', ')}`);
  if (device!.software) say(SOFTWARE_NOTE);
  const measured = await measureAll(backend, { filter, quick, onResult: say });
  backend.dispose();
  const peers = options.peers ? await takePeers(device!.software, say) : [];
  const report: Report = { node: process.versions.node, ...measured, peers };
  if (out !== undefined) {
    mkdirSync(out, { recursive: true });
    writeFileSync(join(out, 'report.json'), `${JSON.stringify(report, null, 2)}\n`);
    writeFileSync(join(out, 'report.md'), `${markdown(report)}\n`);
  }
  console.log(json ? JSON.stringify(report, null, 2) : `\n${markdown(report)}`);
  return measured.failures.length > 0 ? 1 : 0;
}
