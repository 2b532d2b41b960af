/**
 * A run that is replaced by --force: nothing of it is lost before the first step of the new one. Also: damage that `zfnet verify`
 * reports.
 */
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dropReplaced, isRunFile, putBack, recoverReplaced, setAside } from '../../cli/src/run/replaced_run.js';
import { TINY, workplace, zfnet } from './support.js';

const place = workplace();
const RECIPE = ['--data', 'bars', '--epochs', '1', '--lr', '0.02', ...TINY];

/** Digests of all files of a folder by path, except the page, which contains the time. */
async function contents(folder: string): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isFile())
      found[relative(folder, path)] = createHash('sha256')
        .update(await readFile(path))
        .digest('hex');
  }
  return found;
}

describe('the files of a replaced run', () => {
  const OLD = ['config.json', 'metrics.jsonl', 'last.safetensors', 'checkpoints/epoch-0001.safetensors', 'report/training.html'];
  const NEW = ['config.json', 'last.safetensors', 'checkpoints/epoch-0002.safetensors'];
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'zfnet-replaced-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  const put = async (path: string, text: string) => {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), text);
  };
  const fresh = async () => {
    await rm(folder, { recursive: true, force: true });
    for (const path of [...OLD, 'notes.txt', 'report/index.html']) await put(path, `old ${path}`);
    return await contents(folder);
  };

  it('can be restored, which removes those of the new run', async () => {
    const before = await fresh();
    await setAside(folder, OLD);
    expect((await readdir(folder)).sort()).toEqual(['checkpoints', 'notes.txt', 'replaced-run', 'report']);
    for (const path of NEW) await put(path, 'new');
    expect(await putBack(folder)).toBe(true);
    expect(await contents(folder)).toEqual(before);
    expect(await putBack(folder)).toBe(false);
  });

  it('are restored after a kill at any moment of moving them', async () => {
    for (let moved = 0; moved <= OLD.length; moved++) {
      const before = await fresh();
      await mkdir(join(folder, 'replaced-run-moving', 'checkpoints'), { recursive: true });
      await mkdir(join(folder, 'replaced-run-moving', 'report'));
      for (const path of OLD.slice(0, moved)) await rename(join(folder, path), join(folder, 'replaced-run-moving', path));
      expect(await recoverReplaced(folder)).toBe(moved > 0);
      expect(await contents(folder)).toEqual(before);
    }
  });

  it('are removed after the first step of the new run, even if the removal is interrupted', async () => {
    await fresh();
    await setAside(folder, OLD);
    for (const path of NEW) await put(path, 'new');
    await rename(join(folder, 'replaced-run'), join(folder, 'replaced-run-done'));
    expect(await recoverReplaced(folder)).toBe(false);
    await dropReplaced(folder);
    expect(
      Object.keys(await contents(folder))
        .filter(isRunFile)
        .sort(),
    ).toEqual([...NEW].sort());
  });
});

let run: Promise<string> | undefined;
function trained(): Promise<string> {
  run ??= zfnet(place.path, 'train', '--out', 'run', ...RECIPE).then(({ status, stderr }) => {
    expect(stderr).toMatch(/epoch 1\/1/);
    expect(status).toBe(0);
    return join(place.path, 'run');
  });
  return run;
}

describe('train --force', () => {
  it.each([
    ['data that are not there', ['--data', 'nowhere']],
    ['layers that cannot be frozen', ['--from', 'run', '--freeze', 'conv9', '--data', 'bars', '--out', 'run2']],
    ['itself as its source', ['--from', 'run', '--data', 'bars']],
    ['a size that the layers cannot take', ['--data', 'bars', '--preset', 'a', '--input-size', '8']],
    ['images that cannot be read', ['--data', 'unreadable', ...TINY, '--epochs', '1']],
  ])('leaves the old run unchanged if the new one fails: %s', async (_, args) => {
    const folder = await trained();
    const before = await contents(folder);
    for (const label of ['a', 'b']) {
      await mkdir(join(place.path, 'unreadable', label), { recursive: true });
      for (let i = 0; i < 10; i++)
        await writeFile(join(place.path, 'unreadable', label, `${i}.png`), '\x89PNG\r\n\x1a\n, and nothing else');
    }
    const { status, stderr } = await zfnet(place.path, 'train', '--out', 'run', '--force', ...args);
    expect(stderr).toMatch(/error: /);
    expect(status).toBeGreaterThan(0);
    expect(await contents(folder)).toEqual(before);
  });

  it('restores the old run with a message if the new one was killed before its first step', async () => {
    const folder = await trained();
    const before = await contents(folder);
    await setAside(folder, Object.keys(before).filter(isRunFile));
    await writeFile(join(folder, 'config.json'), 'half of the new one');
    const { status, stderr, stdout } = await zfnet(place.path, 'verify', 'run', '--json');
    expect(stderr).toMatch(/run: a new run was stopped before its first step; the run that it would have replaced is restored/);
    expect(JSON.parse(stdout)).toMatchObject({ run: 'run', whole: true });
    expect(status).toBe(0);
    expect(await contents(folder)).toEqual(before);
  });

  it('replaces the run completely', async () => {
    await zfnet(place.path, 'train', '--out', 'again', ...RECIPE, '--epochs', '2');
    const { status } = await zfnet(place.path, 'train', '--out', 'again', ...RECIPE, '--force');
    expect(status).toBe(0);
    expect((await readdir(join(place.path, 'again'))).sort()).toEqual(
      ['best.safetensors', 'checkpoints', 'config.json', 'last.safetensors', 'metrics.jsonl', 'report'].sort(),
    );
    expect(await readdir(join(place.path, 'again', 'checkpoints'))).toEqual(['epoch-0001.safetensors']);
  });
});

describe('verify, predict and --resume', () => {
  it('detect a changed byte of a checkpoint', async () => {
    const folder = await trained();
    const path = join(folder, 'best.safetensors');
    const whole = await readFile(path);
    const bad = Buffer.from(whole);
    bad[bad.length - 9] ^= 1;
    await writeFile(path, bad);
    const { status, stdout, stderr } = await zfnet(place.path, 'verify', 'run');
    expect(stdout).toMatch(/best\.safetensors +damaged +best\.safetensors: the checksum of the file is/);
    expect(stdout).toMatch(/last\.safetensors +whole +epoch 1/);
    expect(stderr).toMatch(/error: run: 1 of 5 files is damaged or missing/);
    expect(status).toBe(1);
    const asked = await zfnet(place.path, 'predict', 'run', join('bars', 'val', 'rising', '2.png'));
    expect(asked.stderr).toMatch(/run: best\.safetensors: the checksum/);
    expect(asked.status).toBe(1);
    await writeFile(path, whole);
  });
});
