/** Other situations of a run on the command line: a second process, a stale lock, a page that shows its progress. */
import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { expectSafePage } from '../support/pages.js';
import { start, TINY, workplace, zfnet } from './support.js';

const place = workplace();
const RECIPE = ['--data', 'bars', '--lr', '0.02', '--checkpoint-steps', '1', ...TINY];
const at = (...path: string[]) => join(place.path, ...path);

async function waitFor(path: string): Promise<void> {
  const until = Date.now() + 50_000;
  while (!existsSync(at(path))) {
    if (Date.now() > until) throw new Error(`there is no ${path} after 50 s`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

describe('the lock of a run', () => {
  it('refuses a second process, which names the first, and is taken over after the first has died', async () => {
    const { child, ended } = start(place.path, ['train', '--out', 'busy', ...RECIPE, '--epochs', '1000']);
    await waitFor('busy/last.safetensors');
    const others = await Promise.all(
      [['--resume'], ['--force', ...RECIPE]].map((how) => zfnet(place.path, 'train', '--out', 'busy', ...how, '--epochs', '1')),
    );
    for (const { status, stderr } of others) {
      expect(stderr).toContain(`busy is being written by process ${child.pid}, since`);
      expect(status).toBe(1);
    }
    child.kill('SIGKILL');
    await ended;
    expect(existsSync(at('busy', 'lock.json'))).toBe(true);
    const after = await zfnet(place.path, 'train', '--out', 'busy', ...RECIPE, '--force', '--epochs', '1');
    expect(after.stderr).toContain('epoch 1/1');
    expect(after.status).toBe(0);
    expect(existsSync(at('busy', 'lock.json'))).toBe(false);
  });

  it('is not taken from a process of another machine, but from one whose process id now belongs to another', async () => {
    const lock = (holder: object) => writeFile(at('held', 'lock.json'), JSON.stringify({ since: '2020-01-01T00:00:00Z', ...holder }));
    const train = () => zfnet(place.path, 'train', '--out', 'held', ...RECIPE, '--epochs', '1');
    await mkdir(at('held'));
    await lock({ pid: 1, host: 'elsewhere', born: null });
    const elsewhere = await train();
    expect(elsewhere.stderr).toMatch(/held is being written by process 1 on elsewhere, since 2020.*remove held\/lock\.json/);
    expect(elsewhere.status).toBe(1);
    await lock({ pid: process.pid, host: hostname(), born: process.platform === 'linux' ? '1' : null });
    const alive = await train();
    expect(alive.status).toBe(process.platform === 'linux' ? 0 : 1);
  });

  it('leaves no folder if there is nothing to train on', async () => {
    const { status } = await zfnet(place.path, 'train', '--out', 'nothing', '--data', 'missing-folder', ...TINY);
    expect(status).toBe(1);
    expect(existsSync(at('nothing'))).toBe(false);
  });
});

describe('a run in parts of a mini-batch', () => {
  it('records their size, reports its memory, and leaves a page of curves that no longer reloads itself', async () => {
    const options = ['--epochs', '2', '--micro-batch', '3', '--baselines'];
    const { status, stdout, stderr } = await zfnet(place.path, 'train', '--out', 'parts', ...RECIPE, ...options);
    expect(status).toBe(0);
    expect(stdout).toMatch(/images\/s; peak memory of tensors \d+\.\d+ [KM]iB/);
    expect(stdout).toMatch(/this network +\d+\.\d\d %\n +linear classifier +\d+\.\d\d %\n +nearest neighbour/);
    expect(JSON.parse(await readFile(at('parts', 'config.json'), 'utf8')).training).toMatchObject({ batchSize: 8, microBatch: 3 });
    const url = /training curves: (\S+)/.exec(stderr)?.[1] ?? '';
    const page = await readFile(new URL(url), 'utf8');
    expect(page).toContain('Training parts');
    expect(page).toMatch(/2 of\s+2 epochs finished/);
    expectSafePage(page);
    expect(page).not.toContain('http-equiv="refresh"');
    const other = await zfnet(place.path, 'train', '--out', 'parts', '--resume', '--micro-batch', '4', '--epochs', '3');
    expect(other.stderr).toMatch(/microBatch is 3 in parts, not 4/);
    expect(other.status).toBe(2);
  });
});
