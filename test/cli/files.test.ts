/** Files that the command line writes and opens in untrusted folders: links, FIFOs and paths that lead outside. */
import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { readConfined, readRegular } from '../../cli/src/files/confined_path.js';
import { writeOutput } from '../../cli/src/files/write_file.js';
import { FolderStore } from '../../cli/src/run/run_folder.js';

let place = '';
let count = 0;
/** A run's folder, and a file and a folder outside it. */
let run = '';
let file = '';
let folder = '';
beforeAll(async () => {
  place = await mkdtemp(join(tmpdir(), 'zfnet-files-'));
});
afterAll(() => rm(place, { recursive: true, force: true }));
beforeEach(async () => {
  const own = join(place, String(count++));
  run = join(own, 'run');
  folder = join(own, 'folder');
  file = join(folder, 'file');
  await mkdir(run, { recursive: true });
  await mkdir(folder);
  await writeFile(file, 'mine');
});

const bytes = (text: string) => new TextEncoder().encode(text);
const untouched = async () => {
  expect(await readFile(file, 'utf8')).toBe('mine');
  expect(await readdir(folder)).toEqual(['file']);
};

describe('writing in a run', () => {
  it('replaces a symbolic link instead of following it, even if temporary names are in use', async () => {
    for (const name of ['last.safetensors', 'last.safetensors.part', 'config.json']) await symlink(file, join(run, name));
    const store = new FolderStore(run);
    await store.write('last.safetensors', bytes('weights'));
    await store.write('config.json', bytes('{}'));
    expect(await readFile(join(run, 'last.safetensors'), 'utf8')).toBe('weights');
    expect(await readFile(join(run, 'config.json'), 'utf8')).toBe('{}');
    expect((await readdir(run)).sort()).toEqual(['config.json', 'last.safetensors', 'last.safetensors.part']);
    await untouched();
  });

  it('does not append to a link or a FIFO', async () => {
    await symlink(file, join(run, 'metrics.jsonl'));
    await expect(new FolderStore(run).append('metrics.jsonl', 'line')).rejects.toThrow(
      /cannot be written: it is a symbolic link; remove it/,
    );
    await symlink(join(folder, 'new'), join(run, 'dangling.jsonl'));
    await expect(new FolderStore(run).append('dangling.jsonl', 'line')).rejects.toThrow(/symbolic link/);
    execFileSync('mkfifo', [join(run, 'fifo.jsonl')]);
    await expect(new FolderStore(run).append('fifo.jsonl', 'line')).rejects.toThrow(/not a regular file/);
    await untouched();
  });

  it('does not enter a folder that is a link, or a folder above', async () => {
    for (const name of ['checkpoints', 'report', 'experiments']) await symlink(folder, join(run, name));
    await writeFile(join(run, 'config.json'), '{}');
    const store = new FolderStore(run);
    await expect(store.write('checkpoints/epoch-0001.safetensors', bytes('x'))).rejects.toThrow(
      /is a symbolic link or a file, expected a folder/,
    );
    await expect(store.write('report/index.html', bytes('x'))).rejects.toThrow(/symbolic link/);
    await expect(new FolderStore(join(run, 'experiments')).write('top9.json', bytes('x'))).rejects.toThrow(
      /symbolic link in the folder of a run/,
    );
    await expect(new FolderStore(join(run, 'experiments'), 'top9-cache').write('a.json', bytes('x'))).rejects.toThrow(/symbolic link/);
    for (const path of ['../folder/file', '/etc/x', 'a/../../folder/file', 'a\0b', ''])
      await expect(store.write(path, bytes('x'))).rejects.toThrow(/lies outside its folder/);
    await untouched();
  });

  it('leaves no part of a file that could not be written', async () => {
    await mkdir(join(run, 'config.json'));
    await expect(new FolderStore(run).write('config.json', bytes('x'))).rejects.toThrow(/cannot be written/);
    expect(await readdir(run)).toEqual(['config.json']);
  });
});

describe('a file named by the user', () => {
  it('is replaced if it is a link, and written to if it is a device or a FIFO', async () => {
    await symlink(file, join(run, 'cat.png'));
    await writeOutput(join(run, 'cat.png'), bytes('picture'));
    await untouched();
    expect(await readFile(join(run, 'cat.png'), 'utf8')).toBe('picture');
    await writeOutput('/dev/null', bytes('picture'));
    const fifo = join(run, 'fifo');
    execFileSync('mkfifo', [fifo]);
    const [read] = await Promise.all([readFile(fifo, 'utf8'), writeOutput(fifo, 'through')]);
    expect(read).toBe('through');
    await writeOutput(join(run, 'new/folder/x.json'), '{}');
    expect(await readFile(join(run, 'new/folder/x.json'), 'utf8')).toBe('{}');
    await expect(writeOutput(run, '{}')).rejects.toThrow(/it is a folder; name a file in it/);
  });
});

describe('reading', () => {
  it('stays inside the folder, links included', async () => {
    await writeFile(join(run, 'w.bin'), 'inside');
    await symlink('w.bin', join(run, 'inner.bin'));
    await symlink(file, join(run, 'outer.bin'));
    await symlink(folder, join(run, 'outer'));
    expect(Buffer.from(await readConfined(run, 'w.bin')).toString()).toBe('inside');
    expect(Buffer.from(await readConfined(run, 'inner.bin')).toString()).toBe('inside');
    for (const path of ['outer.bin', 'outer/file', '../folder/file', file, 'x/../../folder/file'])
      await expect(readConfined(run, path)).rejects.toThrow(/lies outside its folder/);
  });

  it('opens regular files only, and never waits for a FIFO', async () => {
    execFileSync('mkfifo', [join(run, 'fifo')]);
    await symlink(join(run, 'fifo'), join(run, 'last.safetensors'));
    await expect(readConfined(run, 'fifo')).rejects.toThrow(/fifo is not a regular file/);
    await expect(readRegular(run)).rejects.toThrow(/not a regular file/);
    await expect(new FolderStore(run).read('last.safetensors')).rejects.toThrow(/not a regular file/);
    await expect(readRegular('/dev/zero')).rejects.toThrow(/not a regular file/);
    expect(await new FolderStore(run).read('missing')).toBeNull();
  });
});
