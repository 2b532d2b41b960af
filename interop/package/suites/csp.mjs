// Pages under content security policies: what works, and what a page is told where the policy forbids it. docs/CSP.md lists the policies.
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { openPage } from '../browser.mjs';
import { checkFallback, checkResult, Project } from '../project.mjs';
import { ISOLATED, serve } from '../server.mjs';

/** The page asks for the threads once more after a while: a browser reports a forbidden worker in an event. */
const MAIN = `import { backendInfo } from 'zfnet';
import { program } from './program.mjs';
const workerUrl = new URLSearchParams(location.search).get('worker') ?? undefined;
program({ threads: 2, workerUrl }).then(async (result) => {
  await new Promise((resolve) => setTimeout(resolve, 300));
  window.result = { ...result, ...backendInfo() };
}).catch((error) => { window.failure = String(error?.stack ?? error); });
`;
const HTML = '<!doctype html><html lang="en"><title>zfnet</title><script type="module" src="./main.js"></script></html>';

const BASE = "default-src 'none'; connect-src 'self'; script-src 'self' 'wasm-unsafe-eval'";

/** Checks that one thread is used, for a reason that names the way out. */
const oneThread = (reason) => (result) => {
  if (!reason.test(result.threadsOffBecause)) throw new Error(`the reason is "${result.threadsOffBecause}", expected ${reason}`);
  return checkResult(result, { threads: 1 });
};
const twoThreads = (result) => checkResult(result, { threads: 2 });

const POLICIES = [
  {
    name: 'without wasm-unsafe-eval',
    policy: "default-src 'none'; connect-src 'self'; script-src 'self'; worker-src blob:",
    check(result, messages) {
      const warnings = messages.filter((text) => /^zfnet: .*reference backend.*'wasm-unsafe-eval'/.test(text));
      if (warnings.length !== 1) throw new Error(`${warnings.length} warnings, expected one:\n${messages.join('\n')}`);
      return checkFallback(result, /'wasm-unsafe-eval'/);
    },
  },
  { name: 'worker-src blob:', policy: `${BASE}; worker-src blob:`, check: twoThreads },
  { name: "worker-src 'self'", policy: `${BASE}; worker-src 'self'`, check: oneThread(/worker-src.*workerUrl/) },
  { name: "worker-src 'self' and workerUrl", policy: `${BASE}; worker-src 'self'`, query: '?worker=worker.js', check: twoThreads },
  {
    name: 'workerUrl of no file',
    policy: `${BASE}; worker-src 'self'`,
    query: '?worker=none.js',
    check: oneThread(/none\.js could not be loaded/),
  },
  {
    name: 'Trusted Types, policy zfnet',
    policy: `${BASE}; worker-src blob:; require-trusted-types-for 'script'; trusted-types zfnet`,
    check: twoThreads,
  },
  {
    name: 'Trusted Types, another policy',
    policy: `${BASE}; worker-src blob:; require-trusted-types-for 'script'; trusted-types other`,
    check: oneThread(/trusted-types zfnet/),
  },
];

export const csp = {
  name: 'csp',
  async run({ folder, registry, check, wanted }) {
    const names = POLICIES.flatMap(({ name }) => ['Chromium', 'Firefox'].map((browser) => `csp: ${browser}, ${name}`));
    if (!names.some(wanted)) return;
    const project = new Project(join(folder, 'project'), registry);
    project.install('zfnet', 'esbuild');
    project.write('main.js', MAIN);
    project.run(project.bin('esbuild'), [
      'main.js',
      '--bundle',
      '--minify',
      '--splitting',
      '--format=esm',
      '--outdir=out',
      '--log-level=warning',
    ]);
    const out = join(project.folder, 'out');
    project.write('out/index.html', HTML);
    cpSync(join(project.folder, 'node_modules/zfnet/dist/worker.js'), join(out, 'worker.js'));
    for (const browser of ['Chromium', 'Firefox']) {
      for (const { name, policy, query = '', check: verify } of POLICIES) {
        await check(`csp: ${browser}, ${name}`, async () => {
          const server = await serve(out, { ...ISOLATED, 'Content-Security-Policy': policy });
          try {
            const opened = await openPage(browser, server.url + query);
            return opened.skipped ? opened : verify(opened.result, opened.messages);
          } finally {
            server.close();
          }
        });
      }
    }
  },
};
