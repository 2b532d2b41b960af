/**
 * `npm run bench:peers -- [--quick] [--only zfnet-forward,zfnet-train,lenet,memory,size] [--peers tfjs-wasm,pytorch] [--rounds 3] [--json | --markdown]`
 *
 * Compares our engine with others on the same workloads in one run, and prints our targets. The other engines are in a package of
 * their own, which is installed at the first run; PyTorch is used where /usr/bin/python3 has it, with OpenBLAS where that is installed. Its
 * BLAS is printed, and no ratio to the reference BLAS. In brackets: our strict mode divided by the engine.
 */
import { parseArgs } from 'node:util';
import { markLine, memoryMarks, speedMarks, startMarks } from './marks.js';
import { lineOf, measureMemory } from './memory.js';
import { type Effort, PEER_NAMES, type PeerName, preparePeers, withFiles } from './readings.js';
import { type Compared, compare, FORWARD, LENET, nameOf, TRAIN } from './speed.js';
import { measureSizes, measureStart } from './start.js';
import { blasLine, machine, speedTable } from './tables.js';

const SPEEDS = { 'zfnet-forward': FORWARD, 'zfnet-train': TRAIN, lenet: LENET };
const SECTIONS = [...(Object.keys(SPEEDS) as (keyof typeof SPEEDS)[]), 'memory', 'size'] as const;
const THOROUGH: Effort = { seconds: 5, runs: 3, warm: 2 };
const QUICK: Effort = { seconds: 0.5, runs: 1, warm: 1 };

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string', default: SECTIONS.join() },
    peers: { type: 'string', default: PEER_NAMES.join() },
    rounds: { type: 'string' },
    json: { type: 'boolean', default: false },
    markdown: { type: 'boolean', default: false },
  },
});

/** Splits a comma-separated list and checks that every entry is known. */
function chosen<T extends string>(option: string, list: string, known: readonly T[]): T[] {
  const words = list.split(',');
  const strange = words.find((word) => !known.some((each) => each === word));
  if (strange !== undefined) throw new Error(`--${option}: there is no '${strange}'; expected some of ${known.join(', ')}`);
  return known.filter((each) => words.includes(each));
}

const only = chosen('only', values.only, SECTIONS);
const asked = chosen('peers', values.peers, PEER_NAMES);
const left = preparePeers(asked);
// Our engine runs first, because the outputs of the others are checked against it.
const peers: PeerName[] = PEER_NAMES.filter((peer) => peer.startsWith('zfnet') || (asked.includes(peer) && !left.has(peer)));
const rounds = Number(values.rounds ?? (values.quick ? 1 : 3));
const effort = values.quick ? QUICK : THOROUGH;

const say = (text: string) => console.error(text);
const show = values.json ? () => {} : console.log;
for (const [peer, reason] of left) say(`without ${peer}: ${reason}`);

const tasks = only.flatMap((section) => (section in SPEEDS ? SPEEDS[section as keyof typeof SPEEDS] : []));
const compared: Compared[] =
  tasks.length === 0
    ? []
    : await withFiles(async (files) => {
        const results: Compared[] = [];
        for (const task of tasks) results.push(await compare(task, peers, rounds, effort, files, say));
        return results;
      });
const memory = only.includes('memory') ? await measureMemory(peers, say) : [];
const size = only.includes('size') ? { sizes: await measureSizes(), start: measureStart(values.quick ? 1 : 9) } : null;
const marks = [...compared.flatMap(speedMarks), ...memoryMarks(memory), ...(size ? startMarks(size.sizes, size.start) : [])];

const { cpu, processors, node } = machine();
show(
  `${cpu}, ${processors} processors, Node ${node}; median of ${rounds} round${rounds === 1 ? '' : 's'}${values.quick ? ', each short: not for conclusions' : ''}`,
);
if (compared.length > 0) show(speedTable(compared, peers, values.markdown));
const blas = blasLine(compared);
if (blas !== null) show(blas);
for (const { task, failed } of compared)
  for (const [peer, reason] of Object.entries(failed)) show(`${nameOf(task)}: ${peer} failed: ${reason}`);
for (const each of memory) show(lineOf(each));
for (const each of marks) show(values.markdown ? `- ${markLine(each)}` : markLine(each));
if (values.json) console.log(JSON.stringify({ machine: machine(), left: Object.fromEntries(left), compared, memory, ...size, marks }));
process.exit();
