// Next.js: a client page that trains, and a server route that computes, built and started as a production server.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { answerOf, freePort } from '../../ports.mjs';
import { openPage } from '../browser.mjs';
import { checkResult, Project, refuseWarnings } from '../project.mjs';

const PAGE = `'use client';
import { useEffect } from 'react';
import { program } from '../program.mjs';
export default function Page() {
  useEffect(() => { program({ threads: 1 }).then((result) => { window.result = result; }, (error) => { window.failure = String(error.stack ?? error); }); }, []);
  return null;
}`;

const ROUTE = `import { init, tensor } from 'zfnet';
export const dynamic = 'force-dynamic';
export async function GET() {
  await init({ threads: 1 });
  return Response.json([...(await tensor([1, 2, 3]).mul(2).data())]);
}`;

export const next = {
  name: 'next',
  async run({ folder, registry, check, wanted }) {
    if (!wanted('next: client page and server route')) return;
    await check('next: client page and server route', async () => {
      const project = new Project(join(folder, 'project'), registry);
      project.install('zfnet', 'next@16', 'react@19', 'react-dom@19');
      project.write('app/layout.jsx', 'export default ({ children }) => <html lang="en"><body>{children}</body></html>;');
      project.write('app/page.jsx', PAGE);
      project.write('app/route-of-ours/route.js', ROUTE);
      const { stdout, stderr } = await project.runBoth(project.bin('next'), ['build'], { timeout: 240_000 });
      refuseWarnings((stdout + stderr).replace(/.*(telemetry|multiple lockfiles).*/gi, ''));
      const port = await freePort();
      const server = spawn(process.execPath, [join(project.folder, 'node_modules/next/dist/bin/next'), 'start', '-p', String(port)], {
        cwd: project.folder,
        stdio: 'ignore',
      });
      try {
        const url = `http://localhost:${port}/`;
        await answerOf(url, { seconds: 60, alive: () => server.exitCode === null });
        const product = await (await fetch(`${url}route-of-ours`)).json();
        if (String(product) !== '2,4,6') throw new Error(`the route answers ${product}`);
        const opened = await openPage('Chromium', url);
        return opened.skipped ? opened : checkResult(opened.result);
      } finally {
        server.kill();
      }
    });
  },
};
