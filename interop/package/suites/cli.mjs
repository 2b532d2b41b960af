// The command line, installed from the registry into an empty project.
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { Project } from '../project.mjs';

const PICTURES = `import sharp from 'sharp';
import { mkdirSync } from 'node:fs';
for (const [name, background] of [['red', '#c02020'], ['blue', '#2040c0']]) {
  mkdirSync('pictures/' + name, { recursive: true });
  for (let i = 0; i < 12; i++)
    await sharp({ create: { width: 40 + i, height: 40, channels: 3, background } }).png().toFile('pictures/' + name + '/' + i + '.png');
}`;

export const cli = {
  name: 'cli',
  async run({ folder, registry, check, wanted }) {
    if (!['cli: version and help', 'cli: demo, one epoch', 'cli: train on a folder'].some(wanted)) return;
    const project = new Project(join(folder, 'project'), registry);
    project.install('@zfnet/cli');
    const zfnet = (...args) => project.run('npx', ['--no-install', 'zfnet', ...args], { timeout: 240_000 });
    await check('cli: version and help', () => {
      const version = zfnet('--version').trim();
      if (!/^\d+\.\d+\.\d+/.test(version)) throw new Error(`the version is ${version}`);
      if (!zfnet('help').includes('deconv')) throw new Error('the help does not name deconv');
      return version;
    });
    await check('cli: demo, one epoch', () => {
      zfnet('demo', '--epochs', '1', '--quiet');
      if (!existsSync(join(project.folder, 'runs/demo/report/index.html'))) throw new Error('the demo left no report');
    });
    await check('cli: train on a folder', () => {
      mkdirSync(join(project.folder, 'pictures'), { recursive: true });
      project.write('pictures.mjs', PICTURES);
      project.run('node', ['pictures.mjs']);
      zfnet('train', '--data', 'pictures', '--out', 'runs/mine', '--epochs', '1', '--input-size', '48', '--width', '0.125', '--quiet');
      const { length } = readdirSync(join(project.folder, 'runs/mine/checkpoints'));
      if (length === 0) throw new Error('there is no checkpoint');
    });
  },
};
