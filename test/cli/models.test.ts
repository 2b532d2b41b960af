/** `export` and `import` on the command line, and the other commands with an imported network. */
import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { lockRun } from '../../cli/src/run/run_lock.js';
import { toOnnx } from '../../src/formats/onnx/index.js';
import { manualSeed, torchvision, withBackend, zfnet as zfnetModel } from '../../src/index.js';
import { floats, ints, node, onnx } from '../formats/onnx/build.js';
import { strict } from '../support/backends.js';
import { CLASSES } from '../zfnet/support.js';
import { TINY, workplace, zfnet } from './support.js';

const place = workplace();
const IMAGE = `bars/val/${CLASSES[1]}/1.png`;
const run = async (...args: string[]) => {
  const { status, stdout, stderr } = await zfnet(place.path, ...args, '--threads', '1', '--quiet');
  expect([stderr, status]).toEqual(['', 0]);
  return stdout;
};
const json = async (...args: string[]) => JSON.parse(await run(...args, '--json'));
const fails = async (status: number, ...args: string[]) => {
  const ended = await zfnet(place.path, ...args, '--threads', '1');
  expect(ended.status).toBe(status);
  return ended.stderr;
};
const write = (name: string, bytes: Uint8Array | string) => writeFile(join(place.path, name), bytes);

beforeAll(async () => {
  await run('train', '--data', 'bars', '--out', 'run', '--epochs', '1', ...TINY);
  await write('names.txt', `${CLASSES.join('\n')}\n`);
}, 60_000);

describe('a network trained by zfnet', () => {
  it.each(['onnx', 'safetensors'])('is restored from %s with the same outputs', async (format) => {
    const exported = await json('export', 'run', '--to', format, '--out', `out/net.${format}`);
    expect(exported).toMatchObject({ out: `out/net.${format}`, format, checkpoint: 'best.safetensors' });
    expect(await json('import', `out/net.${format}`, '--out', `back-${format}`)).toEqual({
      run: `back-${format}`,
      preset: 'small',
      inputSize: 28,
      channels: 3,
      classes: CLASSES.length,
    });
    expect(await json('predict', `back-${format}`, IMAGE)).toEqual(await json('predict', 'run', IMAGE));
    const evaluated = ['--data', 'bars', '--split', 'val'];
    const { examples, top1Error, top5Error } = await json('evaluate', 'run', ...evaluated);
    expect(examples).toBe(12);
    expect(await json('evaluate', `back-${format}`, ...evaluated)).toMatchObject({ examples, top1Error, top5Error });
  });

  it('is recognised without metadata, by its weights and outputs', async () => {
    const bytes = await withBackend(strict.backend, () => {
      const model = zfnetModel('zfnet512', { classes: 3, width: 0.0625, inputSize: 96, seed: 5 }).eval();
      return toOnnx(model, { inputSize: 96 });
    });
    await write('zoo.onnx', bytes);
    expect(await json('import', 'zoo.onnx', '--out', 'zoo', '--class-names', 'names.txt')).toMatchObject({
      preset: 'zfnet512',
      inputSize: 96,
    });
  });
});

describe('a network from another library', () => {
  beforeAll(async () => {
    const bytes = await withBackend(strict.backend, () => {
      manualSeed(8);
      return toOnnx(torchvision.resnet18({ classes: 3, width: 0.0625 }).eval(), { inputSize: 32 });
    });
    await write('resnet.onnx', bytes);
    const made = await json('import', 'resnet.onnx', '--out', 'resnet', '--class-names', 'names.txt');
    expect(made).toEqual({ run: 'resnet', preset: null, inputSize: 32, channels: 3, classes: 3 });
  });

  it('can predict, be evaluated, and be visualised', async () => {
    const [{ top }] = await json('predict', 'resnet', IMAGE);
    expect(top.map((each: { class: string }) => each.class).sort()).toEqual([...CLASSES].sort());
    expect(top.reduce((sum: number, each: { probability: number }) => sum + each.probability, 0)).toBeCloseTo(1, 6);
    expect(await json('evaluate', 'resnet', '--data', 'bars', '--split', 'val')).toMatchObject({ examples: 12 });
    const { maps } = await json('deconv', 'resnet', IMAGE, '--layer', 'layer1.0.conv1', '--strongest', '2', '--out', 'resnet.png');
    expect(maps).toHaveLength(2);
    expect(maps[0].patch[2] - maps[0].patch[0]).toBeLessThan(32);
  });

  it('is described layer by layer', async () => {
    const { layers, totals, input } = await json('info', 'resnet');
    expect(input).toEqual({ channels: 3, inputSize: 32 });
    expect(layers[0]).toMatchObject({ kind: 'Conv', outputShape: [1, 4, 16, 16], multiplyAdds: 16 * 16 * 4 * 3 * 49 });
    expect(totals.parameters).toBe(layers.reduce((sum: number, each: { parameters: number }) => sum + each.parameters, 0));
    expect(await fails(2, 'info', 'resnet', '--width', '2')).toMatch(/which is fixed: leave out width/);
  });

  it('prepares images by the options', async () => {
    const answers = [];
    for (const convention of ['torchvision', 'caffe', 'unit', 'raw']) {
      await run('import', 'resnet.onnx', '--out', `as-${convention}`, '--preprocess', convention);
      const [{ top }] = await json('predict', `as-${convention}`, IMAGE);
      answers.push(top.map((each: { probability: number }) => each.probability).join());
    }
    expect(new Set(answers).size).toBe(4);
    expect(await json('predict', 'as-torchvision', IMAGE, '--top', '1')).toMatchObject([
      { top: [{ class: expect.stringMatching(/^class \d$/) }] },
    ]);
  });

  it('cannot be trained further or exported as safetensors, with an error that says so', async () => {
    expect(await fails(1, 'export', 'resnet', '--to', 'onnx', '--out', 'x.onnx')).toMatch(/imported network/);
    expect(await fails(1, 'train', '--out', 'resnet', '--resume')).toMatch(/imported network \(model\.onnx\)/);
  });

  it('loads external data from files beside it, and from nowhere else', async () => {
    const weights = Float32Array.from({ length: 3 * 3 * 2 * 2 }, (_, i) => Math.sin(i));
    await mkdir(join(place.path, 'apart'), { recursive: true });
    await writeFile(join(place.path, 'apart/w.bin'), weights);
    const model = (location: string) =>
      onnx({
        inputs: { x: { shape: [1, 3, 8, 8] } },
        nodes: [node('Conv', 'x w', 'c'), node('GlobalAveragePool', 'c', 'p'), node('Reshape', 'p s', 'y')],
        initializers: [
          { ...floats('w', [3, 3, 2, 2], []), dataLocation: 1, externalData: [{ key: 'location', value: location }] },
          ints('s', [1, 3]),
        ],
      });
    await write('apart/net.onnx', model('w.bin'));
    await run('import', 'apart/net.onnx', '--out', 'apart-run');
    expect((await readdir(join(place.path, 'apart-run'))).sort()).toEqual(['config.json', 'model.onnx', 'w.bin']);
    expect(await readFile(join(place.path, 'apart-run/w.bin'))).toEqual(Buffer.from(weights.buffer));
    expect(await json('predict', 'apart-run', IMAGE, IMAGE)).toHaveLength(2);
    await symlink(join(place.path, 'names.txt'), join(place.path, 'apart/link.bin'));
    await write('apart/link.onnx', model('link.bin'));
    expect(await fails(1, 'import', 'apart/link.onnx', '--out', 'never')).toMatch(/lies outside its folder/);
    await write('apart/up.onnx', model('../names.txt'));
    expect(await fails(1, 'import', 'apart/up.onnx', '--out', 'never')).toMatch(/external data of "w" is .*\.\.\/names\.txt/);
  });
});

describe('a file that cannot be imported', () => {
  const wide = () =>
    onnx({
      inputs: { x: { shape: ['n', 3, 8, 12] } },
      nodes: [node('GlobalAveragePool', 'x', 'y')],
    });

  it('is refused with a reason, and leaves no run', async () => {
    await write('wide.onnx', wide());
    expect(await fails(1, 'import', 'wide.onnx', '--out', 'wide')).toMatch(/\[n,3,8,12\], expected square images/);
    expect(await fails(2, 'import', 'names.txt', '--out', 'text')).toMatch(/neither an \.onnx nor a \.safetensors/);
    expect(await fails(2, 'import', 'resnet.onnx', '--out', 'run')).toMatch(/not empty/);
    await write('four.txt', 'a\nb\nc\nd\n');
    expect(await fails(2, 'import', 'resnet.onnx', '--out', 'four', '--class-names', 'four.txt')).toMatch(
      /names 4 classes, the network has 3/,
    );
    expect(await readdir(place.path)).not.toContain('wide');
    expect(await readdir(place.path)).not.toContain('four');
  });

  it('is refused while another process holds the lock of the folder, and imported after that', async () => {
    const folder = join(place.path, 'held');
    const lock = await lockRun(folder);
    expect(await fails(1, 'import', 'resnet.onnx', '--out', 'held')).toMatch(/process \d+/);
    expect(await readdir(folder)).toEqual(['lock.json']);
    await lock.release();
    await run('import', 'resnet.onnx', '--out', 'held');
    expect(await readdir(folder)).not.toContain('lock.json');
  });
});
