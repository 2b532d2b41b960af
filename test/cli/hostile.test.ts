/** The command line with hostile names of layers and classes, closed pipes, and signals. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { floats, node, onnx } from '../formats/onnx/build.js';
import { CLASSES } from '../zfnet/support.js';
import { start, TINY, workplace, zfnet } from './support.js';

const place = workplace();
const IMAGE = `bars/val/${CLASSES[1]}/1.png`;
const at = (...path: string[]) => join(place.path, ...path);

/** Layers whose names lead out, differ by case alone, are too long, reserved, or made of control characters. */
const LAYERS = ['../../../pwned', 'A', 'a', `${'x'.repeat(300)}\u001b[31m`, 'nul.txt', 'settling'];

function hostileModel(): Uint8Array {
  const weights = (i: number) =>
    floats(
      `w${i}`,
      [3, 3, 3, 3],
      Array.from({ length: 81 }, (_, k) => Math.sin(k + i)),
    );
  const pads = { pads: [1, 1, 1, 1] };
  return onnx({
    inputs: { x: { shape: ['n', 3, 16, 16] } },
    nodes: [
      ...LAYERS.map((name, i) => node('Conv', `${i === 0 ? 'x' : `c${i - 1}`} w${i}`, `c${i}`, pads, name)),
      node('GlobalAveragePool', `c${LAYERS.length - 1}`, 'p'),
      node('Flatten', 'p', 'y'),
    ],
    initializers: LAYERS.map((_, i) => weights(i)),
  });
}

describe('hostile names', () => {
  beforeAll(async () => {
    await writeFile(at('hostile.onnx'), hostileModel());
    await writeFile(at('names.txt'), 'cat\u001b[2J\n\u202egnp.exe\nplain\n');
    const made = await zfnet(place.path, 'import', 'hostile.onnx', '--out', 'a/b/c/run', '--class-names', 'names.txt');
    expect([made.stderr, made.status]).toEqual(['', 0]);
  }, 60_000);

  const DATA = ['--data', 'bars', '--threads', '1', '--quiet'];
  it.each([
    ['top9', ['a/b/c/run', '--images', '4', '--count', '2', '--maps', '0', ...DATA]],
    ['ascend', ['a/b/c/run', ...LAYERS.flatMap((name) => ['--layers', name]), '--maps', '0', '--steps', '1', '--threads', '1', '--quiet']],
    ['filters', ['a/b/c/run', '--images', '4', ...DATA]],
    ['occlude', ['a/b/c/run', IMAGE, '--layer', LAYERS[0], '--map', '0', '--stride', '8', '--threads', '1', '--quiet']],
    ['invariance', ['a/b/c/run', IMAGE, '--layers', LAYERS[0], '--layers', LAYERS[3], '--threads', '1', '--quiet']],
    ['deconv', ['a/b/c/run', IMAGE, '--layer', LAYERS[3], '--map', '0', '--out', 'a/b/c/deconv.png', '--threads', '1', '--quiet']],
    ['report', ['a/b/c/run', '--quick', ...DATA]],
  ])('change neither the file system nor the terminal: %s', async (command, args) => {
    const { status, stdout, stderr } = await zfnet(place.path, command, ...args);
    expect(stderr.replace(/warning: .*\n/g, '')).toBe('');
    expect(status).toBe(0);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: the expression searches for control characters.
    expect(stdout + stderr).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u202e]/);
    expect((await readdir(place.path)).sort()).toEqual(['a', 'bars', 'hostile.onnx', 'names.txt']);
    const written = await readdir(at('a'), { recursive: true });
    for (const path of written) expect(path).toMatch(/^[A-Za-z0-9_./-]+$/);
    expect(new Set(written.map((path) => path.toLowerCase())).size).toBe(written.length);
    for (const path of written) for (const part of path.split('/')) expect(part.length).toBeLessThan(100);
    if (command === 'top9' || command === 'ascend')
      expect(written.filter((path) => path.startsWith(`b/c/run/experiments/${command}-`) && path.endsWith('.png'))).toHaveLength(
        LAYERS.length,
      );
  });

  it('appear unchanged in JSON', async () => {
    const { stdout } = await zfnet(place.path, 'predict', 'a/b/c/run', IMAGE, '--json');
    expect(JSON.parse(stdout)[0].top.map((each: { class: string }) => each.class)).toContain('cat\u001b[2J');
    const text = await zfnet(place.path, 'predict', 'a/b/c/run', IMAGE);
    expect(text.stdout).toContain('cat\\u001b[2J');
    expect(text.stdout).toContain('\\u202egnp.exe');
  });

  it('are shown escaped in errors', async () => {
    const { stderr, status } = await zfnet(place.path, 'info', 'no\u001b[31mwhere');
    expect(status).not.toBe(0);
    expect(stderr).toContain('no\\u001b[31mwhere');
    expect(stderr).not.toContain('\u001b');
  });
});

describe('closed pipes', () => {
  it('on standard error: training continues without progress', async () => {
    const child = spawnTrain('deaf');
    child.stderr!.once('data', () => child.stderr!.destroy());
    expect(await statusOf(child)).toEqual([0, null]);
    expect((await readFile(at('deaf/metrics.jsonl'), 'utf8')).split('\n')).toHaveLength(3);
    expect(existsSync(at('deaf/lock.json'))).toBe(false);
  });

  it('on both streams: training ends quietly and releases its lock', async () => {
    const child = spawnTrain('deafer');
    child.stdout!.destroy();
    child.stderr!.destroy();
    expect(await statusOf(child)).toEqual([0, null]);
    expect(existsSync(at('deafer/best.safetensors'))).toBe(true);
    expect(existsSync(at('deafer/lock.json'))).toBe(false);
  });

  const spawnTrain = (out: string): ChildProcess => {
    const { child } = start(place.path, ['train', '--data', 'bars', '--out', out, '--epochs', '2', '--workers', '0', ...TINY]);
    return child;
  };
});

const statusOf = (child: ChildProcess) =>
  new Promise<[number | null, NodeJS.Signals | null]>((resolve) => child.on('exit', (status, signal) => resolve([status, signal])));

describe('signals', () => {
  it('SIGHUP stops training like Ctrl-C', async () => {
    const { child, ended } = start(place.path, [
      'train',
      '--data',
      'bars',
      '--out',
      'hung-up',
      '--epochs',
      '500',
      '--checkpoint-steps',
      '1',
      ...TINY,
    ]);
    while (!existsSync(at('hung-up/last.safetensors'))) await wait(20);
    child.kill('SIGHUP');
    const { status, stderr } = await ended;
    expect(stderr).toMatch(/stopped at step \d+/);
    expect(status).toBe(129);
    expect(existsSync(at('hung-up/lock.json'))).toBe(false);
  });

  /** A process that hangs, either while it opens a FIFO without a writer or in synchronous code after the first signal. */
  const hanging = (how: string) => `
    import { open } from 'node:fs/promises';
    import { catchSignals } from ${JSON.stringify(join(import.meta.dirname, '../../cli/src/terminal/signals.ts'))};
    catchSignals((status) => {
      console.log(status);
      ${how === 'synchronous' ? 'setTimeout(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0), 200);' : ''}
    });
    setInterval(() => undefined, 1000);
    open('fifo').catch(() => undefined);
    console.log('up');`;

  it.each(['FIFO', 'synchronous'])('a second one ends a hanging process: %s', async (how) => {
    if (!existsSync(at('fifo'))) execFileSync('mkfifo', [at('fifo')]);
    const file = at(`${how}.ts`);
    await writeFile(file, hanging(how));
    const child = spawn(process.execPath, ['--import', import.meta.resolve('tsx'), file], {
      cwd: place.path,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const said: string[] = [];
    child.stdout.on('data', (data) => said.push(String(data)));
    const ended = statusOf(child);
    while (!said.join('').includes('up')) await wait(20);
    child.kill('SIGINT');
    while (!said.join('').includes('130')) await wait(20);
    await wait(600);
    expect(child.exitCode).toBeNull();
    child.kill('SIGINT');
    expect(await ended).toEqual([null, 'SIGINT']); // 130 in a shell
  });
});
