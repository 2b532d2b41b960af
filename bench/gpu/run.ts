/**
 * `npm run bench:gpu -- [--json] [--filter NAME] [--quick] [--peers] [--mode fast] [--out FOLDER] [--pack FOLDER]`
 *
 * Measures the WebGPU backend on this machine's device: products, every layer and pass of ZFNet, forward passes and training steps, as
 * shares of the device's measured ceilings. `--peers` adds other engines. `--out` writes report.json and report.md. `--pack` writes a
 * folder that runs the tests and this benchmark on a Linux machine without npm and Node, and measures nothing.
 */
import { parseArgs } from 'node:util';
import { bench, OPTIONS } from './bench.js';
import { pack } from './pack.js';

const { values } = parseArgs({ options: { ...OPTIONS, pack: { type: 'string' } } });
if (values.pack === undefined) process.exit(await bench(values));
else await pack(values.pack);
