/** Which images a command uses: the run's own splits, or all images of other data; and the options of data sources. */
import { cp, mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { TINY, workplace, zfnet } from './support.js';

const place = workplace();

beforeAll(async () => {
  const { status, stderr } = await zfnet(place.path, 'train', '--data', 'bars', '--out', 'run', ...TINY, '--epochs', '1', '--workers', '0');
  expect(stderr).toContain('epoch 1/1');
  expect(status).toBe(0);
}, 120_000);

const evaluated = async (cwd: string, ...args: string[]) => {
  const { stdout, stderr, status } = await zfnet(cwd, 'evaluate', join(place.path, 'run'), '--json', '--threads', '1', ...args);
  return { status, stderr, examples: status === 0 ? (JSON.parse(stdout) as { examples: number }).examples : undefined };
};

describe('evaluate', () => {
  it('uses the run’s own images from any working directory, and refuses others of the same name', async () => {
    const { data } = JSON.parse(await readFile(join(place.path, 'run/config.json'), 'utf8'));
    expect(data.location).toBe(join(place.path, 'bars'));
    const elsewhere = join(place.path, 'elsewhere');
    await mkdir(elsewhere);
    await cp(join(place.path, 'bars/val'), join(elsewhere, 'bars'), { recursive: true });
    expect((await evaluated(elsewhere)).examples).toBe(12);
    const named = await evaluated(elsewhere, '--data', 'bars');
    expect(named.stderr).toContain('bars is not what the run was trained on');
    expect(named.examples).toBe(12);
    await cp(join(place.path, 'bars'), join(place.path, 'kept'), { recursive: true });
    await rm(join(place.path, 'bars'), { recursive: true });
    try {
      const gone = await evaluated(elsewhere);
      expect(gone.status).toBe(2);
      expect(gone.stderr).toContain('are not those that the run was trained on');
    } finally {
      await cp(join(place.path, 'kept'), join(place.path, 'bars'), { recursive: true });
    }
  }, 120_000);

  it('uses all images of a folder that is not divided, also of a single class', async () => {
    const flat = join(place.path, 'flat');
    await cp(join(place.path, 'bars/train'), flat, { recursive: true });
    const all = await evaluated(place.path, '--data', 'flat');
    expect(all.examples).toBe(36);
    expect(all.stderr).toContain('flat is not divided into splits: all 36 images are used');
    const [first] = (await zfnet(place.path, 'evaluate', 'run', '--json', '--data', 'flat', '--max-pixels', '3')).stderr.split('\n');
    expect(first).toContain('more than the limit of 3');
  }, 120_000);
});
