// The engine in Node: as an ES module, as CommonJS, and both in one process.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkResult, lastLine, Project } from '../project.mjs';

const ESM = `import { program } from './program.mjs';
console.log(JSON.stringify(await program({ threads: Number(process.argv[2]) })));`;

const CJS = `const zfnet = require('zfnet');
const entries = ['train', 'data', 'safetensors', 'onnx', 'report', 'testing'];
(async () => {
  await zfnet.init({ threads: 1 });
  for (const entry of entries) {
    try { require('zfnet/' + entry); } catch (error) { if (entry !== 'testing' || !/fast-check/.test(error.message)) throw error; }
  }
  const x = zfnet.tensor([1, 2, 3], [3], { requiresGrad: true });
  x.mul(x).sum().backward();
  console.log(JSON.stringify([...(await x.grad.data())]));
})();`;

const BOTH = `import { createRequire } from 'node:module';
import * as esm from 'zfnet';
const cjs = createRequire(import.meta.url)('zfnet');
await esm.init({ threads: 1 });
// A tensor of one copy is computed with by the other: both share one engine.
const y = cjs.mul(esm.tensor([1, 2, 3]), cjs.tensor([2, 2, 2]));
console.log(JSON.stringify([...(await y.data())]));`;

export const node = {
  name: 'node',
  async run({ folder, registry, check, wanted }) {
    if (!['node: ES module, 1 thread', 'node: ES module, 2 threads', 'node: CommonJS', 'node: both in one process'].some(wanted)) return;
    const project = new Project(join(folder, 'node'), registry);
    project.install('zfnet');
    project.write('esm.mjs', ESM);
    project.write('cjs.cjs', CJS);
    project.write('both.mjs', BOTH);
    for (const threads of [1, 2])
      await check(`node: ES module, ${threads} ${threads === 1 ? 'thread' : 'threads'}`, () =>
        checkResult(lastLine(project.run('node', ['esm.mjs', String(threads)])), { threads }),
      );
    await check('node: CommonJS', () => {
      const gradient = lastLine(project.run('node', ['cjs.cjs']));
      if (String(gradient) !== '2,4,6') throw new Error(`the gradient is ${gradient}, expected 2,4,6`);
    });
    await check('node: both in one process', () => {
      const product = lastLine(project.run('node', ['both.mjs']));
      if (String(product) !== '2,4,6') throw new Error(`the product is ${product}, expected 2,4,6`);
    });
    await check('node: the engine installs nothing else', () => {
      const names = Object.keys(JSON.parse(readFileSync(join(project.folder, 'node_modules/.package-lock.json'), 'utf8')).packages);
      if (names.join() !== 'node_modules/zfnet') throw new Error(`installed: ${names}`);
    });
  },
};
