/**
 * `npm run test:figures`: recomputes the figures of README.md and docs/PERFORMANCE.md that take seconds (the error of the short example,
 * the number of operator tests, the size of the engine) and fails if the text says something else.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { measureSizes } from '../bench/peers/start.js';
import { findCases } from '../conformance/cases.js';

const ROOT = join(import.meta.dirname, '..');
/** The texts that state the figures. */
const TEXT = ['README.md', 'docs/PERFORMANCE.md'].map((file) => readFileSync(join(ROOT, file), 'utf8')).join('\n');
const OPERATORS = process.env.ONNX_NODE_TESTS ?? join(ROOT, '../shared/onnx-node-tests');

interface Figure {
  name: string;
  /** Finds the figure in the text: the first group. */
  stated: RegExp;
  /** The figure as it should be stated, or the reason why it cannot be measured here. */
  measure(): Promise<string | { left: string }>;
}

const FIGURES: readonly Figure[] = [
  {
    name: 'error of examples/twenty-lines, in %',
    stated: /twenty-lines\/train\.mjs` is a complete program: one epoch of MNIST, ([\d.]+) % error/,
    async measure() {
      if (!existsSync(join(ROOT, 'dist/index.js'))) return 'nothing: there is no dist/index.js, run npm run build first';
      const output = execFileSync(process.execPath, ['examples/twenty-lines/train.mjs'], { cwd: ROOT, encoding: 'utf8', timeout: 100_000 });
      return output.match(/epoch: ([\d.]+) %/)?.[1] ?? `no error in: ${output}`;
    },
  },
  {
    name: 'operator tests of ONNX',
    stated: /all (\d+) operator tests/,
    async measure() {
      if (!existsSync(OPERATORS)) return { left: `there is no ${OPERATORS}; name a folder by ONNX_NODE_TESTS` };
      return String((await findCases(OPERATORS)).length);
    },
  },
  {
    name: 'engine with its kernels, in KB, minified and compressed',
    stated: /engine with its\s+kernels is ([\d.]+) KB/,
    async measure() {
      const { engineBytes, inlinedKernelBytes } = await measureSizes();
      return ((engineBytes + inlinedKernelBytes) / 1e3).toFixed(0);
    },
  },
];

let differing = 0;
for (const { name, stated, measure } of FIGURES) {
  const said = TEXT.match(stated)?.[1];
  const found = await measure();
  if (said === undefined) {
    differing++;
    console.log(`✗ ${name}: no text states it any more; change the pattern in test/figures.ts`);
  } else if (typeof found !== 'string') console.log(`– ${name}: left out, ${found.left}`);
  else if (found === said) console.log(`✓ ${name}: ${said}`);
  else {
    differing++;
    console.log(`✗ ${name}: the text says ${said}, measured ${found}`);
  }
}
if (differing > 0) process.exit(1);
