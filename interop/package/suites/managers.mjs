// Package managers that lay out packages in their own ways: pnpm, and Yarn with Plug'n'Play, which has no node_modules.
import { join } from 'node:path';
import { checkResult, lastLine, Project } from '../project.mjs';

const PROGRAM = `import { program } from './program.mjs';
import { openDataset } from 'zfnet/data';
if (typeof openDataset !== 'function') throw new Error('zfnet/data exports no openDataset');
console.log(JSON.stringify(await program({ threads: 2 })));`;

const MANAGERS = [
  { name: 'managers: pnpm', tool: 'pnpm@10', install: ['pnpm', 'add', 'zfnet'], run: ['pnpm', 'exec', 'node', 'main.mjs'] },
  {
    name: "managers: Yarn Plug'n'Play",
    tool: '@yarnpkg/cli-dist@4',
    install: ['yarn', 'add', 'zfnet'],
    run: ['yarn', 'node', 'main.mjs'],
  },
];

export const managers = {
  name: 'managers',
  async run({ folder, registry, check, wanted }) {
    for (const { name, tool, install, run } of MANAGERS) {
      if (!wanted(name)) continue;
      await check(name, () => {
        const tools = new Project(join(folder, `${tool.split('@').join('')}-tool`), registry);
        tools.install(tool);
        const env = {
          YARN_NPM_REGISTRY_SERVER: registry.url,
          YARN_UNSAFE_HTTP_WHITELIST: '127.0.0.1',
          YARN_ENABLE_TELEMETRY: '0',
          YARN_NPM_MINIMAL_AGE_GATE: '0',
          YARN_ENABLE_GLOBAL_CACHE: '0',
          YARN_ENABLE_IMMUTABLE_INSTALLS: '0',
        };
        const project = new Project(join(folder, tool.split('@').join('')), registry);
        project.write('main.mjs', PROGRAM);
        project.write('yarn.lock', '');
        project.run(tools.bin(install[0]), install.slice(1), { env });
        return checkResult(lastLine(project.run(tools.bin(run[0]), run.slice(1), { env })), { threads: 2 });
      });
    }
  },
};
