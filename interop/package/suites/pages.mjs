// Every bundler builds the same page from the packed engine without a warning; the page runs in the installed browsers, with and without
// isolation headers and under content security policies. The
// bytes that pages load are printed and held.
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { openPage } from '../browser.mjs';
import { BUNDLERS } from '../bundlers.mjs';
import { checkResult, Project, refuseWarnings } from '../project.mjs';
import { ISOLATED, serve } from '../server.mjs';

const MAIN = `import { program } from './program.mjs';
const threads = Number(new URLSearchParams(location.search).get('threads') ?? 1);
program({ threads }).then((result) => { window.result = result; }, (error) => { window.failure = String(error?.stack ?? error); });
`;

/** A page that uses the other entry points, which must bundle for the web. */
const ENTRIES = `import { saveSafetensors } from 'zfnet/safetensors';
import { loadOnnx } from 'zfnet/onnx';
import { openDataset } from 'zfnet/data';
import * as report from 'zfnet/report';
window.result = [saveSafetensors, loadOnnx, openDataset].map((fn) => typeof fn).join() + Object.keys(report).length;
`;

/** A page that loads the engine after itself, and measures the time until a first sum is there. */
const COLD_START = `addEventListener('load', async () => {
  const start = performance.now();
  const { init, tensor } = await import('zfnet');
  await init();
  const [six] = await tensor([1, 2, 3]).sum().data();
  if (six === 6) window.result = performance.now() - start;
  else window.failure = 'the sum is ' + six;
});`;

const HTML = (script) => `<!doctype html><html lang="en"><title>zfnet</title><script type="module" src="./${script}"></script></html>`;

/**
 * Pages whose size is held: what they do, the mark in KB of JavaScript after gzip with one build of the kernels, and the most that passes. The
 * operations and kernels of version 0.2 cost more than the mark allows; `most` keeps the size from growing further.
 */
const SIZES = [
  {
    name: 'trains ZFNet with SGD',
    mark: 66,
    most: 78,
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
    most: 71,
    code: `import { init, tensor, Sequential, Conv2d, ReLU, MaxPool2d, Flatten, Linear } from 'zfnet';
await init();
const model = new Sequential([new Conv2d(1, 8, 3), new ReLU(), new MaxPool2d(2), new Flatten(), new Linear(1352, 10)]).eval();
window.scores = await model.forward(tensor(new Float32Array(784), [1, 1, 28, 28])).data();`,
  },
];

const CSP = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src blob:; connect-src 'self'; img-src 'self'";

const WAYS = [
  { name: 'isolated, 2 threads', query: '?threads=2', headers: ISOLATED, threads: 2 },
  { name: 'not isolated', query: '?threads=2', headers: {}, threads: 1 },
  { name: 'content security policy', query: '', headers: { 'Content-Security-Policy': CSP }, threads: 1 },
];

export const pages = {
  name: 'pages',
  async run({ folder, registry, check, wanted }) {
    const extra = ['pages: size of a page', 'pages: cold import, init and first result in Chromium'];
    for (const bundler of BUNDLERS) {
      const measured = bundler.name === 'esbuild' && extra.some(wanted);
      if (!measured && !wanted(`pages: ${bundler.name}`) && !WAYS.some(({ name }) => wanted(`pages: ${bundler.name}, ${name}`))) continue;
      let output;
      const project = new Project(join(folder, bundler.name), registry);
      await check(`pages: ${bundler.name} builds`, async () => {
        project.install('zfnet', ...bundler.packages);
        project.write('main.js', MAIN);
        project.write('entries.js', ENTRIES);
        project.write('index.html', HTML('main.js'));
        const { stdout, stderr } = await bundler.build(project);
        refuseWarnings(stdout + stderr);
        output = join(project.folder, bundler.output);
        if (!bundler.keepsHtml) project.write(join(bundler.output, 'index.html'), HTML('main.js'));
      });
      if (!output) continue;
      if (bundler.name === 'esbuild') {
        await checkSizes(project, check);
        await checkColdStart(project, check);
      }
      for (const browser of ['Chromium', 'Firefox']) {
        if (browser === 'Firefox' && !bundler.firefox) continue;
        for (const { name, query, headers, threads } of WAYS) {
          await check(`pages: ${bundler.name}, ${browser}, ${name}`, async () => {
            if (headers['Content-Security-Policy'] && bundler.withoutCsp) return { skipped: bundler.withoutCsp };
            const server = await serve(output, headers);
            try {
              const opened = await openPage(browser, server.url + query);
              if (opened.skipped) return opened;
              if (opened.messages.length > 0) throw new Error(`console: ${opened.messages.join('\n')}`);
              return `${checkResult(opened.result, { threads })}, ${sizeOf(server.requested).toFixed(1)} KB`;
            } finally {
              server.close();
            }
          });
        }
      }
    }
  },
};

/** Most milliseconds from the import of the engine to the first result: the mark, and the most that passes on a busy machine. */
const COLD = { mark: 150, most: 450 };

/** Imports the engine in new pages of Chromium, and prints the median time to the first result. */
async function checkColdStart(project, check) {
  await check('pages: cold import, init and first result in Chromium', async () => {
    project.write('cold.js', COLD_START);
    const args = ['cold.js', '--bundle', '--minify', '--splitting', '--format=esm', '--outdir=cold', '--log-level=warning'];
    project.run(project.bin('esbuild'), args);
    project.write('cold/index.html', HTML('cold.js'));
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
    const median = times.sort((a, b) => a - b)[2];
    if (median > COLD.most) throw new Error(`the first result comes after ${median.toFixed(0)} ms, expected ${COLD.most} ms or less`);
    return `${median.toFixed(0)} ms (mark ${COLD.mark})`;
  });
}

/** Bundles the pages of `SIZES`, minified, and holds the size of their first script and the largest build of the kernels. */
async function checkSizes(project, check) {
  for (const { name, mark, most, code } of SIZES) {
    await check(`pages: size of a page that ${name}`, () => {
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

/** KB after gzip of the scripts that the page requested. */
function sizeOf(requested) {
  let bytes = 0;
  for (const [path, content] of requested) if (!path.endsWith('.html')) bytes += gzipped(content);
  return bytes / 1000;
}
