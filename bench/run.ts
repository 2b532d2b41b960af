/**
 * `npm run bench -- [--filter NAME] [--quick] [--json] [--threads N] [--mode strict|fast]`
 *
 * Times the compute-bound kernels as shares of the arithmetic ceiling and then the memory-bound kernels as shares of a copy's speed. Both
 * limits are measured in the same run.
 */
import { parseArgs } from 'node:util';
import { createWasmBackend } from '../src/backend/wasm/index.js';
import { createCeiling } from '../src/backend/wasm/runtime/ceiling.js';
import { bandwidthCases, copyBandwidth } from './bandwidth.js';
import { convCases } from './conv2d.js';
import { gemmCases } from './gemm.js';
import { type BenchCase, HEADER, line, MEMORY_HEADER, measure, type Result } from './harness.js';

const { values } = parseArgs({
  options: {
    filter: { type: 'string', default: '' },
    quick: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    threads: { type: 'string', default: '1' },
    mode: { type: 'string', default: 'strict' },
  },
});

const wanted = (cases: BenchCase[]) => cases.filter(({ name }) => name.includes(values.filter));
const backend = await createWasmBackend({ threads: Number(values.threads), mode: values.mode === 'fast' ? 'fast' : 'strict' });
const ceiling = await createCeiling();
const { mulAdd, fma } = ceiling();
const { threads } = backend.info();

const say = values.json ? () => {} : console.log;
say(`ceiling of one thread: ${mulAdd.toFixed(1)} GFLOP/s by mul + add${fma === undefined ? '' : `, ${fma.toFixed(1)} by fma`}`);
const copying = copyBandwidth(backend);
say(`copying within the engine: ${copying.toFixed(1)} GB/s read and written`);
const results: Result[] = [];
for (const [header, cases] of [
  [HEADER, wanted([...gemmCases, ...convCases])],
  [MEMORY_HEADER, wanted(bandwidthCases)],
] as const) {
  if (cases.length > 0) say(header);
  for (const benchCase of cases) {
    const result = await measure(benchCase, backend, { threads, ceiling, copying, quick: values.quick });
    results.push(result);
    say(line(result));
  }
}
say(`${backend.info().variant}, ${threads} thread${threads === 1 ? '' : 's'}, ${values.mode} mode`);
if (values.json) console.log(JSON.stringify({ info: backend.info(), ceiling: { mulAdd, fma }, copying, results }, null, 2));
backend.dispose();
