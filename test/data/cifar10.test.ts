/** `cifar10:DIR`: the binary batches, whose colour planes are interleaved, and folders that are not CIFAR-10. */
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openDataset } from '../../src/data/index.js';
import { cifarBatch } from './pixel_files.js';
import { everything, failure, farthest, noiseBytes, pixel, temporaryFolder, text, tree } from './support.js';

const root = temporaryFolder();
const batch = (labels: readonly number[], seed: number) => cifarBatch(labels, noiseBytes(labels.length * 3072, seed));

describe('two batches and a test batch', () => {
  const open = async (imageSize?: number) => {
    const folder = await tree(join(root, 'good'), {
      'data_batch_2.bin': batch([9, 4], 2),
      'data_batch_1.bin': batch([6, 0, 9], 1),
      'test_batch.bin': batch([3, 8], 3),
      'batches.meta.txt': text('airplane\n'),
    });
    return openDataset(`cifar10:${folder}`, { imageSize });
  };

  it('are concatenated in the order of their numbers and labelled with ten classes', async () => {
    const { splits, classes, channels, imageSize, warnings } = await open();
    expect([...splits.train.labels]).toEqual([6, 0, 9, 9, 4]);
    expect([...splits.val.labels]).toEqual([3, 8]);
    expect([classes[6], classes[0], classes[9], classes[3], classes.length]).toEqual(['frog', 'airplane', 'truck', 'cat', 10]);
    expect([channels, imageSize]).toEqual([3, [32, 32]]);
    expect(warnings[0]).toContain('data_batch_3.bin, data_batch_4.bin, data_batch_5.bin are missing');
    expect((await everything(splits.train)).map((example) => example.name)).toEqual([0, 1, 2, 3, 4].map((i) => `train/${i}`));
  });

  it('have red, green and blue planes, which are interleaved', async () => {
    const { splits } = await open();
    for (const [split, index, seed, place] of [
      ['train', 1, 1, 1],
      ['train', 4, 2, 1],
      ['val', 0, 3, 0],
    ] as const) {
      const planes = noiseBytes(3072 * 3, seed).subarray(place * 3072);
      const { image } = await splits[split].get(index);
      const expected = Uint8Array.from({ length: 3072 }, (_, i) => planes[(i % 3) * 1024 + Math.floor(i / 3)]);
      expect(farthest(image.data, expected)).toBe(0);
      expect(pixel(image, 3, 7)).toEqual([planes[103], planes[1127], planes[2151]]);
    }
  });

  it('are resized if imageSize is given', async () => {
    const { splits, imageSize } = await open(48);
    expect(imageSize).toEqual([48, 48]);
    const { image } = await splits.train.get(3);
    expect([image.width, image.height, image.channels, image.data.length]).toEqual([48, 48, 3, 48 * 48 * 3]);
  });
});

describe('files that are not the binary version are refused', () => {
  const faultOf = async (name: string, files: Record<string, Uint8Array>) =>
    failure(openDataset(`cifar10:${await tree(join(root, name), files)}`));

  it('such as the Python version', async () => {
    const error = await faultOf('python', { data_batch_1: text('pickled'), test_batch: text('pickled') });
    expect(error.message).toMatch(/contains the Python version; expected the binary version \(cifar-10-binary\.tar\.gz/);
  });

  it('such as a folder without batches, a missing folder, or a file', async () => {
    const error = await faultOf('other', { 'data_batch_1.bin': batch([1], 1), 'readme.html': text('hello') });
    expect(error.message).toContain('expected data_batch_1.bin to data_batch_5.bin and test_batch.bin, got data_batch_1.bin, readme.html');
    expect((await faultOf('empty', { './': text('') })).message).toContain('got an empty folder');
    expect((await failure(openDataset(`cifar10:${join(root, 'missing')}`))).message).toMatch(/missing: cannot be opened: ENOENT/);
    expect((await failure(openDataset(`cifar10:${join(root, 'other/readme.html')}`))).message).toContain(
      'expected the folder cifar-10-batches-bin',
    );
  });

  it('such as a batch of another size, or an empty one', async () => {
    const cut = await faultOf('cut', { 'data_batch_1.bin': batch([1, 2], 1).subarray(0, 5000), 'test_batch.bin': batch([1], 2) });
    expect(cut.message).toMatch(/data_batch_1\.bin: has 5000 bytes, expected a multiple of 3073/);
    const none = await faultOf('none', { 'data_batch_1.bin': batch([1, 2], 1), 'test_batch.bin': new Uint8Array(0) });
    expect(none.file).toBe(join(root, 'none/test_batch.bin'));
    const folder = await faultOf('folder', { 'data_batch_1.bin/': text(''), 'test_batch.bin': batch([1], 2) });
    expect(folder.message).toMatch(/data_batch_1\.bin: cannot be read: it is a folder, expected a regular file/);
  });

  it('such as a label above 9', async () => {
    const error = await faultOf('label', { 'data_batch_1.bin': batch([1, 2, 10], 1), 'test_batch.bin': batch([1], 2) });
    expect(error.message).toMatch(/data_batch_1\.bin: record 2 has the label 10, expected 0 to 9/);
  });
});
