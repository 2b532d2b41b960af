/** `zfnet profile` and `zfnet bench`: of a run, of a preset, of an ONNX file. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { TINY, workplace, zfnet } from './support.js';

const place = workplace();
const json = async (...path: string[]) => JSON.parse(await readFile(join(place.path, ...path), 'utf8'));

let trained: Promise<void> | undefined;
/** A run, and the same network as an ONNX file. */
function networks(): Promise<void> {
  const train = async () => {
    const first = await zfnet(place.path, 'train', '--data', 'bars', '--out', 'run', '--epochs', '1', ...TINY);
    expect(first.stderr).toContain('epoch 1/1');
    const second = await zfnet(place.path, 'export', 'run', '--to', 'onnx', '--out', 'run.onnx');
    expect(second.status, second.stderr).toBe(0);
  };
  trained ??= train();
  return trained;
}

interface Row {
  layer: string;
  kernel: string;
  calls: number;
  ms: number;
  share: number;
  flop: number;
  gflops: number;
  ofCeiling: number | null;
}

describe('profile', () => {
  it('of a training step writes all its files', async () => {
    await networks();
    const args = [
      'profile',
      'run',
      '--batch-size',
      '3',
      '--repeat',
      '2',
      '--threads',
      '1',
      '--trace',
      'traces/step.json',
      '--out',
      'found',
    ];
    const { status, stdout, stderr } = await zfnet(place.path, ...args, '--json');
    expect(status, stderr).toBe(0);
    const report = JSON.parse(stdout);
    expect(report).toMatchObject({ workload: 'run, training step, 3×3×28×28', input: [3, 3, 28, 28], repeat: 2, info: { threads: 1 } });
    const rows: Row[] = report.rows;
    const conv1 = rows.filter(({ layer }) => layer === 'conv1');
    expect(conv1.map(({ kernel }) => kernel)).toEqual(expect.arrayContaining(['conv2d', 'conv2dWeightGrad', 'reluGrad', 'channelSum']));
    for (const { kernel, calls } of conv1) expect(calls, kernel).toBe(2);
    for (const { flop, gflops, ofCeiling } of rows) {
      if (flop > 0) expect(ofCeiling).toBeCloseTo(gflops / report.ceilingGflops, 9);
      else expect(ofCeiling).toBeNull();
    }
    expect(rows.reduce((sum, { ms }) => sum + ms, report.outsideMs)).toBeCloseTo(report.wallMs, 6);
    expect(report.imagesPerSecond).toBeCloseTo((3 * 1e3) / report.msPerStep, 6);
    expect(await json('found', 'profile.json')).toEqual(report);
    const trace = await json('traces', 'step.json');
    expect(await json('found', 'trace.json')).toEqual(trace);
    expect(trace.traceEvents.filter(({ cat }: { cat: string }) => cat === 'kernel')).toHaveLength(
      rows.reduce((sum, { calls }) => sum + calls, 0),
    );
    expect(await readFile(join(place.path, 'found', 'profile.txt'), 'utf8')).toMatch(/^conv1 +conv2dWeightGrad/m);
  });

  it('of an ONNX file’s forward pass is a table with the names of its layers', async () => {
    await networks();
    const { status, stdout, stderr } = await zfnet(place.path, 'profile', 'run.onnx', '--forward', '--batch-size', '2', '--rows', '60');
    expect(status, stderr).toBe(0);
    expect(stdout).toMatch(/^run\.onnx, forward pass, 2×3×28×28: [\d.]+ ms per step, [\d.]+ images\/s; 3 steps recorded$/m);
    expect(stdout).toMatch(/^\S+ +conv2d .* 3 .* %/m);
    expect(stdout).not.toContain('WeightGrad');
    expect(stdout).toMatch(/outside kernels/);
  });

  it.each([
    ['neither', ['nothing'], /neither a run's folder, a preset nor an \.onnx file/],
    ['a preset at a size that it cannot take', ['a', '--input-size', '8'], /8 pixels is too small/],
    ['training what gives no classes', ['faster-rcnn', '--input-size', '32', '--batch-size', '1'], /only --forward/],
    ['a run at another size', ['run', '--input-size', '30'], /a run, whose network is fixed/],
  ])('of %s is wrong usage', async (_, args, message) => {
    await networks();
    const { status, stdout, stderr } = await zfnet(place.path, 'profile', ...args);
    expect(stderr).toMatch(message);
    expect(status).toBe(2);
    expect(stdout).toBe('');
  });
});

describe('bench', () => {
  it('reports products and the layers of a network as shares of the ceiling', async () => {
    await networks();
    const args = ['bench', 'run', '--batch-size', '2', '--repeat', '1', '--threads', '1', '--json'];
    const { status, stdout, stderr } = await zfnet(place.path, ...args);
    expect(status, stderr).toBe(0);
    const { rows, ceilingGflops } = JSON.parse(stdout) as { rows: (Row & { name: string; bestMs: number })[]; ceilingGflops: number };
    expect(rows.filter(({ name }) => name === '256³')).toHaveLength(3);
    expect(rows.filter(({ name }) => name === 'conv2').map(({ kernel }) => kernel.split(' ')[0])).toEqual([
      'conv2d',
      'conv2dInputGrad',
      'conv2dWeightGrad',
    ]);
    for (const { gflops, ofCeiling } of rows) expect(ofCeiling).toBeCloseTo(gflops / ceilingGflops, 9);
  });

  it('is not for the reference backend', async () => {
    const { status, stderr } = await zfnet(place.path, 'bench', 'small', '--backend', 'reference');
    expect(stderr).toMatch(/bench measures the wasm and webgpu backends/);
    expect(status).toBe(2);
  });
});
