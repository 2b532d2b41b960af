// Every bundler builds the same page from the packed engine without a warning; the page runs in the installed browsers, with and without
// isolation headers and under content security policies.
// The bytes that pages load are printed.
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

const HTML = (script) => `<!doctype html><html lang="en"><title>zfnet</title><script type="module" src="./${script}"></script></html>`;

const CSP = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src blob:; connect-src 'self'; img-src 'self'";

const WAYS = [
  { name: 'isolated, 2 threads', query: '?threads=2', headers: ISOLATED, threads: 2 },
  { name: 'not isolated', query: '?threads=2', headers: {}, threads: 1 },
  { name: 'content security policy', query: '', headers: { 'Content-Security-Policy': CSP }, threads: 1 },
];

export const pages = {
  name: 'pages',
  async run({ folder, registry, check, wanted }) {
    for (const bundler of BUNDLERS) {
      if (!wanted(`pages: ${bundler.name}`) && !WAYS.some(({ name }) => wanted(`pages: ${bundler.name}, ${name}`))) continue;
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

const gzipped = (content) => gzipSync(content, { level: 9 }).length;

/** KB after gzip of the scripts that the page requested. */
function sizeOf(requested) {
  let bytes = 0;
  for (const [path, content] of requested) if (!path.endsWith('.html')) bytes += gzipped(content);
  return bytes / 1000;
}
