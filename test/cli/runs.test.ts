/** A run on the command line: training, stopping in every way, resuming, evaluation and prediction. */
import { mkdtemp, readdir, readFile, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decode } from 'fast-png';
import { describe, expect, it } from 'vitest';
import { readSafetensors } from '../../src/formats/safetensors.js';
import { CLASSES } from '../zfnet/support.js';
import { start, TINY, workplace, zfnet } from './support.js';

const place = workplace();
const EPOCHS = 8;
const RECIPE = ['--data', 'bars', '--epochs', String(EPOCHS), '--lr', '0.02', '--checkpoint-steps', '2', ...TINY];

const read = (...path: string[]): Promise<Buffer> => readFile(join(place.path, ...path));

async function metrics(run: string): Promise<Record<string, number>[]> {
  const text = await read(run, 'metrics.jsonl').catch(() => Buffer.from(''));
  return text
    .toString()
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));
}

/** Weights and velocities of a run's last checkpoint. */
async function tensorsOf(run: string): Promise<Record<string, unknown>> {
  return readSafetensors(await read(run, 'last.safetensors')).tensors;
}

/** Waits until the run has finished some epochs. */
async function waitForEpochs(run: string, count: number): Promise<void> {
  const until = Date.now() + 50_000;
  while ((await metrics(run)).length < count) {
    if (Date.now() > until) throw new Error(`${run} has no ${count} epochs after 50 s`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

let straight: Promise<string> | undefined;
/** Returns the folder of the same training without an interruption. */
function uninterrupted(): Promise<string> {
  straight ??= zfnet(place.path, 'train', '--out', 'straight', ...RECIPE, '--json').then((ended) => {
    expect(ended.stderr).toMatch(/epoch 8\/8/);
    expect(ended.status).toBe(0);
    // With --json, standard output contains one JSON object and nothing else.
    expect(JSON.parse(ended.stdout)).toMatchObject({ run: 'straight', status: 'done', epoch: EPOCHS, last: { epoch: EPOCHS } });
    return 'straight';
  });
  return straight;
}

async function expectSameAsUninterrupted(run: string): Promise<void> {
  const expected = await uninterrupted();
  expect(await tensorsOf(run)).toEqual(await tensorsOf(expected));
  const timeless = (lines: Record<string, number>[]) => lines.map(({ imagesPerSecond: _, peakBytes: __, ...rest }) => rest);
  expect(timeless(await metrics(run))).toEqual(timeless(await metrics(expected)));
}

describe('train', () => {
  it('prints only its result with --quiet', async () => {
    const { status, stdout, stderr } = await zfnet(place.path, 'train', '--out', 'quiet', ...RECIPE, '--epochs', '1', '--quiet');
    expect(status).toBe(0);
    expect(stderr).toBe('');
    expect(stdout).toMatch(/^quiet: 1 epochs? done/);
  });

  it('resumes after kill -9 to the same bits', async () => {
    const { child, ended } = start(place.path, ['train', '--out', 'killed', ...RECIPE]);
    await waitForEpochs('killed', 2);
    child.kill('SIGKILL');
    expect((await ended).signal).toBe('SIGKILL');
    expect((await metrics('killed')).length).toBeLessThan(EPOCHS);
    // The remains of an interrupted write.
    await writeFile(join(place.path, 'killed', 'best.safetensors.part'), 'half');
    const resumed = await zfnet(place.path, 'train', '--out', 'killed', '--resume', '--threads', '1');
    expect(resumed.stderr).toMatch(/resuming small .* from epoch [2-8], step \d+/);
    expect(resumed.status).toBe(0);
    await expectSameAsUninterrupted('killed');
    expect((await readdir(join(place.path, 'killed'))).filter((name) => name.endsWith('.part'))).toEqual([]);
  });

  it('stops at Ctrl-C with status 130, says how to resume, and resumes to the same bits', async () => {
    const { child, ended } = start(place.path, ['train', '--out', 'stopped', ...RECIPE]);
    await waitForEpochs('stopped', 1);
    child.kill('SIGINT');
    const { status, stderr } = await ended;
    expect(stderr).toMatch(/stopped at step \d+, in epoch \d+; resume with: npx zfnet train --out stopped --resume/);
    expect(status).toBe(130);
    expect((await zfnet(place.path, 'train', '--out', 'stopped', '--resume', '--threads', '1')).status).toBe(0);
    await expectSameAsUninterrupted('stopped');
  });

  it('does not touch a run without --resume or --force', async () => {
    const run = await uninterrupted();
    const again = await zfnet(place.path, 'train', '--out', run, ...RECIPE);
    expect(again.stderr).toMatch(/straight already contains a run: continue it with --resume/);
    expect(again.status).toBe(2);
    const other = await zfnet(place.path, 'train', '--out', run, '--resume', '--width', '0.05', '--lr', '0.02');
    expect(other.stderr).toMatch(/width is 0\.02 in straight, not 0\.05/);
    expect(other.status).toBe(2);
  });

  it('names changed data, and a truncated checkpoint', async () => {
    const copy = await mkdtemp(join(tmpdir(), 'zfnet-cli-run-'));
    const { cp, rm } = await import('node:fs/promises');
    await cp(join(place.path, await uninterrupted()), copy, { recursive: true });
    await cp(join(place.path, 'bars'), join(copy, 'fewer'), { recursive: true });
    await rm(join(copy, 'fewer', 'train', CLASSES[0], '0.png'));
    const changed = await zfnet(place.path, 'train', '--out', copy, '--resume', '--data', join(copy, 'fewer'), '--epochs', '9');
    expect(changed.stderr).toMatch(/the data have changed .* training examples were 36 and are 35/);
    expect(changed.status).toBe(1);
    await truncate(join(copy, 'last.safetensors'), 1000);
    const cut = await zfnet(place.path, 'train', '--out', copy, '--resume');
    expect(cut.stderr).toMatch(
      /warning: last\.safetensors: .*truncated.* Resuming from (best|checkpoints\/epoch-0008)\.safetensors instead/,
    );
    expect(cut.status).toBe(0);
    await rm(copy, { recursive: true });
  });

  it('stops if the loss is NaN, names the operation and exits with status 1', async () => {
    const { status, stderr } = await zfnet(place.path, 'train', '--out', 'exploded', ...RECIPE, '--lr', '1e20');
    expect(stderr).toMatch(/error: .*epoch 1, batch \d.*NaN or infinite.*\bop \w+.*last\.safetensors is whole/s);
    expect(stderr).not.toContain('    at ');
    expect(status).toBe(1);
    expect(
      Object.values(readSafetensors(await read('exploded', 'last.safetensors')).tensors).every(({ data }) => data.every(Number.isFinite)),
    ).toBe(true);
  });
});

describe('evaluate, predict and info of a run', () => {
  it('evaluate: one JSON object, by split, with crops and ensembles', async () => {
    const run = await uninterrupted();
    const one = await zfnet(place.path, 'evaluate', run, '--json', '--threads', '1');
    expect(one.stderr).toBe('');
    const last = (await metrics(run)).reduce((best, line) => (line.valTop1Error < best.valTop1Error ? line : best));
    expect(JSON.parse(one.stdout)).toMatchObject({ examples: 12, top1Error: last.valTop1Error, top5Error: 0, split: 'val', crops: 1 });
    const more = await zfnet(
      place.path,
      'evaluate',
      run,
      '--data',
      'bars',
      '--split',
      'train',
      '--crops',
      '10',
      '--ensemble',
      run,
      '--json',
      '--confusion',
    );
    const result = JSON.parse(more.stdout);
    expect(result).toMatchObject({ examples: 36, split: 'train', crops: 10, runs: [run, run] });
    expect(result.confusion.flat().reduce((sum: number, count: number) => sum + count, 0)).toBe(36);
    const wrong = await zfnet(place.path, 'evaluate', run, '--split', 'test');
    expect(wrong.stderr).toMatch(/no split 'test'; it has .*val/);
    expect(wrong.status).toBe(2);
  });

  it('evaluate: all classes, the confusion matrix as a picture, and simpler methods beside the network', async () => {
    const run = await uninterrupted();
    const { stdout, status } = await zfnet(
      place.path,
      'evaluate',
      run,
      '--all-classes',
      '--baselines',
      '--confusion',
      'pictures/taken.png',
    );
    expect(status).toBe(0);
    for (const name of CLASSES) expect(stdout).toMatch(new RegExp(`^ +${name} +\\d+\\.\\d\\d % +0\\.00 % +4$`, 'm'));
    for (const method of ['this network', 'linear classifier', 'nearest neighbour', 'guessing'])
      expect(stdout).toMatch(new RegExp(`^ +${method} +\\d+\\.\\d\\d %$`, 'm'));
    const picture = decode(await read('pictures', 'taken.png'));
    expect(picture.width).toBeGreaterThan(200);
    // In the page's colours, not in the black that a variable without a page would be drawn in.
    const pixels = new Set(
      Array.from({ length: picture.width * picture.height }, (_, i) =>
        picture.data.slice(i * picture.channels, i * picture.channels + 3).join(),
      ),
    );
    expect(pixels).toContain('28,98,144');
    const wrong = await zfnet(place.path, 'evaluate', run, '--confusion', 'taken.jpg');
    expect(wrong.stderr).toMatch(/'taken\.jpg' should end in \.png/);
    expect(wrong.status).toBe(2);
  });

  it('predict: an array with the most probable classes; an unreadable image is named, the others are classified', async () => {
    const run = await uninterrupted();
    await writeFile(join(place.path, 'broken.jpg'), 'no image');
    const image = join('bars', 'val', CLASSES[1], '1.png');
    const { status, stdout, stderr } = await zfnet(place.path, 'predict', run, image, 'broken.jpg', 'missing.png', '--top', '2', '--json');
    const [answer, ...others] = JSON.parse(stdout);
    expect(others).toEqual([]);
    expect(answer.image).toBe(image);
    expect(answer.top).toHaveLength(2);
    expect(CLASSES).toContain(answer.top[0].class);
    expect(answer.top[0].probability).toBeGreaterThanOrEqual(answer.top[1].probability);
    expect(stderr).toMatch(/2 of 3 images could not be read/);
    expect(stderr).toContain('broken.jpg');
    expect(stderr).toContain('missing.png');
    expect(status).toBe(1);
  });

  it('info: the network of the run and its progress', async () => {
    const { stdout } = await zfnet(place.path, 'info', await uninterrupted(), '--json');
    expect(JSON.parse(stdout)).toMatchObject({
      architecture: { preset: 'small', width: 0.02, classes: 3, channels: 3 },
      training: { batchSize: 8, microBatch: null, lr: 0.02 },
      run: { epochs: EPOCHS, of: EPOCHS },
    });
    const { totals, run } = JSON.parse(stdout);
    expect(run.peakBytes / totals.trainingBytes).toBeGreaterThan(0.9);
    expect(run.peakBytes / totals.trainingBytes).toBeLessThan(1.1);
  });
});
