/**
 * `npm run bench:memory -- [--json]`: measures the peak memory of ZFNet, beside PyTorch's where it is installed, and the cost of
 * starting: bytes to load, `init()` and the first forward pass.
 */
import { parseArgs } from 'node:util';
import { markLine, memoryMarks, startMarks } from './peers/marks.js';
import { measureMemory } from './peers/memory.js';
import { preparePeers } from './peers/readings.js';
import { measureSizes, measureStart } from './peers/start.js';
import { machine } from './peers/tables.js';

const { values } = parseArgs({ options: { json: { type: 'boolean', default: false } } });
const show = values.json ? () => {} : console.log;
const { cpu, processors, node } = machine();
show(`${cpu}, ${processors} processors, Node ${node}`);
const left = preparePeers(['zfnet', 'pytorch']);
for (const [peer, reason] of left) console.error(`without ${peer}: ${reason}`);

const memory = await measureMemory(left.has('pytorch') ? ['zfnet'] : ['zfnet', 'pytorch'], show);
const sizes = await measureSizes();
const start = measureStart(9);
const kb = (bytes: number) => `${(bytes / 1e3).toFixed(1)} KB`;
show(
  `gzip: engine ${kb(sizes.engineBytes)}, its kernels ${kb(sizes.kernelBytes)} (as base64 in a module ${kb(sizes.inlinedKernelBytes)}); ` +
    `the whole entry point, with ZFNet and the deconvnet, ${kb(sizes.entryBytes)}`,
);
const marks = [...memoryMarks(memory), ...startMarks(sizes, start)];
for (const each of marks) show(markLine(each));
if (values.json) console.log(JSON.stringify({ machine: machine(), memory, sizes, start, marks }));
