/** `--backend webgpu` of the command line: how it finds the package, and what it says without a package or an adapter. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { workplace, zfnet } from './support.js';

// The compiler does not follow this import: it checks the command line with a configuration of its own.
const { findGpu } = (await import(/* @vite-ignore */ join(import.meta.dirname, '../../cli/src/gpu.ts'))) as {
  findGpu(project?: string, own?: string): Promise<{ from: string; flags: string[] }>;
};

const folders: string[] = [];
afterAll(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true }))));

/** A folder, with a package `webgpu` whose index file is `code`. */
async function project(code?: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'zfnet-gpu-'));
  folders.push(folder);
  if (code !== undefined) await addPackage(folder, code);
  return folder;
}

async function addPackage(folder: string, code: string): Promise<void> {
  const path = join(folder, 'node_modules/webgpu');
  await mkdir(path, { recursive: true });
  await writeFile(join(path, 'package.json'), JSON.stringify({ name: 'webgpu', type: 'module', main: 'index.js' }));
  await writeFile(join(path, 'index.js'), code);
}

const stub = (from: string) => `export const create = (flags) => ({ from: '${from}', flags, requestAdapter: async () => null });`;
const own = (folder: string) => pathToFileURL(join(folder, 'main.js')).href;

describe('findGpu', () => {
  it('names the command that installs the package', async () => {
    const folder = await project();
    await expect(findGpu(folder, own(folder))).rejects.toThrow(/optional package webgpu is not installed; run `npm install webgpu`/);
  });

  it('says which package could not be loaded, and why', async () => {
    const folder = await project('throw new Error("no such library");');
    await expect(findGpu(folder, own(folder))).rejects.toThrow(/webgpu\/index\.js could not be loaded \(no such library\).*glibc/);
  });

  it('looks beside the command line if the project has no package', async () => {
    // The first one that is found is kept.
    const gpu = await findGpu(await project(), own(await project(stub('own'))));
    expect(gpu).toMatchObject({ from: 'own', flags: [expect.stringContaining('timestamp_quantization')] });
    expect(await findGpu(await project(stub('project')))).toBe(gpu);
  });
});

describe('commands', () => {
  const place = workplace();

  it('fail with the way out if there is no adapter', async () => {
    await addPackage(place.path, stub('project'));
    for (const args of [
      ['info', 'small'],
      ['bench', 'small'],
      ['profile', 'small', '--forward'],
    ]) {
      const { status, stdout, stderr } = await zfnet(place.path, ...args, '--backend', 'webgpu');
      expect(stderr).toMatch(/WebGPU found no adapter; check the driver .* VK_ICD_FILENAMES/);
      expect(status).toBe(1);
      expect(stdout).toBe('');
    }
  });
});
