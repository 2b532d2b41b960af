// Runs the examples for Node one after the other; fails if one fails. `node examples/run.mjs [NAME]`, after `npm run build`.
import { spawnSync } from 'node:child_process';

const PROGRAMS = [
  'twenty-lines/train.mjs',
  'custom-operation/main.mjs',
  'property-test/main.mjs',
  'deconvnet-of-onnx/main.mjs',
  'fine-tune/main.mjs',
];

const only = process.argv[2] ?? '';
const failed = [];
for (const program of PROGRAMS.filter((name) => name.includes(only))) {
  console.log(`== ${program}`);
  const { status } = spawnSync(process.execPath, [new URL(program, import.meta.url).pathname], { stdio: 'inherit', timeout: 120_000 });
  if (status !== 0) failed.push(program);
}
if (failed.length > 0) {
  console.error(`failed: ${failed.join(', ')}`);
  process.exitCode = 1;
}
