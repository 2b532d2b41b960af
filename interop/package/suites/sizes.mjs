// The size of pages that use a part of the engine, and the time until a page has its first result.
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { openPage } from '../browser.mjs';
import { Project } from '../project.mjs';
import { serve } from '../server.mjs';

/**
 * Pages whose size is held: what they do, the mark in KB of JavaScript after gzip with one build of the kernels, and the most that passes. The
 * operations and kernels of version 0.2 cost more than the marks allow, and `zfnet(name)` keeps every network that it can name (12 KB);
 * `most` keeps the sizes from growing further.
 */
const SIZES = [
  {
    name: 'trains ZFNet with SGD',
    mark: 66,
    most: 88,
    code: `import { init, tensor, zfnet, SGD, crossEntropy } from 'zfnet';
await init();
const model = zfnet('a', { classes: 5, inputSize: 64 });
const sgd = new SGD(model.parameters(), { lr: 0.01 });
crossEntropy(model.forward(tensor(new Float32Array(12288), [1, 3, 64, 64])), tensor(new Int32Array(1))).backward();
sgd.step();`,
  },
  {
    name: 'runs a small network',
    mark: 60,
    most: 69,
    code: `import { init, tensor, Sequential, Conv2d, ReLU, MaxPool2d, Flatten, Linear } from 'zfnet';
await init();
const model = new Sequential([new Conv2d(1, 8, 3), new ReLU(), new MaxPool2d(2), new Flatten(), new Linear(1352, 10)]).eval();
window.scores = await model.forward(tensor(new Float32Array(784), [1, 1, 28, 28])).data();`,
  },
];

/** A page that loads the engine after itself, and measures the time until a first sum is there. */
const COLD_START = `addEventListener('load', async () => {
  const start = performance.now();
  const { init, tensor } = await import('zfnet');
  await init();
  const [six] = await tensor([1, 2, 3]).sum().data();
  if (six === 6) window.result = performance.now() - start;
  else window.failure = 'the sum is ' + six;
});`;

const HTML = '<!doctype html><html lang="en"><title>zfnet</title><script type="module" src="./cold.js"></script></html>';

/** Most milliseconds from the import of the engine to the first result: the mark, and the most that passes on a busy machine. */
const COLD = { name: 'sizes: cold import, init and first result in Chromium', mark: 150, most: 450 };

/** Imports the engine in new pages of Chromium, and prints the shortest time to the first result: other programs only add to it. */
async function checkColdStart(project, check) {
  await check(COLD.name, async () => {
    project.write('cold.js', COLD_START);
    const args = ['cold.js', '--bundle', '--minify', '--splitting', '--format=esm', '--outdir=cold', '--log-level=warning'];
    project.run(project.bin('esbuild'), args);
    project.write('cold/index.html', HTML);
    const server = await serve(join(project.folder, 'cold'));
    const times = [];
    try {
      for (let i = 0; i < 5; i++) {
        const opened = await openPage('Chromium', server.url);
        if (opened.skipped) return opened;
        times.push(opened.result);
      }
    } finally {
      server.close();
    }
    const best = Math.min(...times);
    if (best > COLD.most) throw new Error(`the first result comes after ${best.toFixed(0)} ms, expected ${COLD.most} ms or less`);
    return `${best.toFixed(0)} ms, the shortest of ${times.length} (mark ${COLD.mark})`;
  });
}

/** Bundles the pages of `SIZES`, minified, and holds the size of their first script and the largest build of the kernels. */
async function checkSizes(project, check) {
  for (const { name, mark, most, code } of SIZES) {
    await check(`sizes: a page that ${name}`, () => {
      project.write('page.js', code);
      project.run(project.bin('esbuild'), ['page.js', '--bundle', '--minify', '--splitting', '--format=esm', '--outdir=page']);
      const sizes = readdirSync(join(project.folder, 'page')).map((file) => [
        file,
        gzipped(readFileSync(join(project.folder, 'page', file))),
      ]);
      const kernels = sizes.filter(([file]) => /^(simd|relaxed)/.test(file)).map(([, size]) => size);
      const own = sizes.filter(([file]) => /^(page|chunk)/.test(file)).reduce((sum, [, size]) => sum + size, 0);
      const kb = (own + Math.max(...kernels)) / 1000;
      rmSync(join(project.folder, 'page'), { recursive: true });
      if (kb > most) throw new Error(`it loads ${kb.toFixed(1)} KB, expected ${most} KB or less`);
      return `${kb.toFixed(1)} KB (mark ${mark})`;
    });
  }
}

const gzipped = (content) => gzipSync(content, { level: 9 }).length;

export const sizes = {
  name: 'sizes',
  async run({ folder, registry, check, wanted }) {
    const names = [...SIZES.map(({ name }) => `sizes: a page that ${name}`), COLD.name];
    if (!names.some(wanted)) return;
    const project = new Project(join(folder, 'project'), registry);
    project.install('zfnet', 'esbuild');
    await checkSizes(project, check);
    await checkColdStart(project, check);
  },
};
