/** IDX and CIFAR-10: lists of pixels behind a header, or behind none. */
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { openDataset } from '../../../src/data/index.js';
import { expectThat, type Files, type Format } from '../format.js';
import { concat, EDGES, mutateBytes, noise } from '../mutate_bytes.js';
import { Random } from '../random.js';

export async function writeAll(folder: string, files: Files): Promise<void> {
  for (const [path, bytes] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), bytes);
  }
}

/** Opens a source and reads all of it: labels are places in the classes, images have the pixels that their sizes say. */
export async function readSource(source: string): Promise<void> {
  const dataset = await openDataset(source, { cacheBytes: 0 });
  const { classes, splits, channels } = dataset;
  expectThat(new Set(classes).size === classes.length, () => `two classes have one name: ${classes.slice(0, 20)}`);
  expectThat(/^[0-9a-f]{16}$/.test(dataset.fingerprint), () => `the fingerprint is ${dataset.fingerprint}`);
  for (const [name, split] of Object.entries(splits)) {
    expectThat(split.labels.length === split.length, () => `${name} has ${split.length} examples and ${split.labels.length} labels`);
    for (let i = 0; i < Math.min(split.length, 40); i++) {
      const { image, label } = await split.get(i);
      expectThat(label >= 0 && label < classes.length, () => `${name} has the label ${label} among ${classes.length} classes`);
      expectThat(
        image.channels === channels && image.data.length === image.width * image.height * channels && image.data.length > 0,
        () => `an image of ${image.width}×${image.height}×${image.channels} has ${image.data.length} numbers`,
      );
    }
  }
}

function idxFile(shape: readonly number[], data: Uint8Array): Uint8Array {
  const header = new Uint8Array(4 + 4 * shape.length);
  header.set([0, 0, 8, shape.length]);
  const view = new DataView(header.buffer);
  for (const [i, extent] of shape.entries()) view.setUint32(4 + 4 * i, extent);
  return concat(header, data);
}

function idxSeeds(): Files[] {
  const pixels = (count: number, ...rest: number[]) => {
    const shape = [count, ...rest];
    const size = shape.reduce((product, extent) => product * extent, 1);
    return idxFile(shape, noise(size, new Random(`${shape}`)));
  };
  const labels = (count: number) =>
    idxFile(
      [count],
      Uint8Array.from({ length: count }, (_, i) => i % 3),
    );
  const grey = { 'train-images-idx3-ubyte': pixels(12, 5, 4), 'train-labels-idx1-ubyte': labels(12) };
  const tested = { ...grey, 't10k-images-idx3-ubyte': pixels(6, 5, 4), 't10k-labels-idx1-ubyte': labels(6) };
  const colour = { 'train-images-idx4-ubyte': pixels(9, 4, 4, 3), 'train-labels-idx1-ubyte': labels(9) };
  const zipped = Object.fromEntries(Object.entries(tested).map(([name, bytes]) => [`${name}.gz`, new Uint8Array(gzipSync(bytes))]));
  return [grey, tested, colour, zipped];
}

/** One axis of a header says another size. */
function withExtent(bytes: Uint8Array, random: Random): Uint8Array {
  const copy = bytes.slice();
  const at = 4 + 4 * random.below(copy[3]);
  new DataView(copy.buffer).setUint32(at, Number(BigInt.asUintN(32, BigInt(random.pick(EDGES)))));
  return copy;
}

function mutateIdx(bytes: Uint8Array, random: Random, others: readonly Uint8Array[]): Uint8Array {
  return random.chance(0.3) ? withExtent(bytes, random) : mutateBytes(bytes, random, others);
}

export const idx: Format = {
  async open() {
    const valid = idxSeeds();
    return {
      make(random): Files {
        const files = random.pick(valid);
        const name = random.pick(Object.keys(files));
        const others = Object.values(files);
        if (!name.endsWith('.gz')) return { ...files, [name]: mutateIdx(files[name], random, others) };
        // Half of the gzipped files are damaged after compression, the others before it.
        if (random.chance(0.5)) return { ...files, [name]: mutateBytes(files[name], random, others) };
        return { ...files, [name]: new Uint8Array(gzipSync(mutateIdx(new Uint8Array(gunzipSync(files[name])), random, others))) };
      },
      async attempt(files, folder) {
        await writeAll(folder, files);
        await readSource(`idx:${folder}`);
      },
    };
  },
};

export const cifar10: Format = {
  async open() {
    const batch = (seed: string, count: number) => {
      const bytes = noise(count * 3073, new Random(seed));
      for (let i = 0; i < count; i++) bytes[i * 3073] = i % 10;
      return bytes;
    };
    const valid: Files = { 'data_batch_1.bin': batch('1', 3), 'data_batch_2.bin': batch('2', 2), 'test_batch.bin': batch('3', 2) };
    return {
      make(random): Files {
        const name = random.pick(Object.keys(valid));
        const changed = random.chance(0.3) ? valid[name].slice() : mutateBytes(valid[name], random, Object.values(valid));
        // A label instead, in a file of the right length.
        if (changed.length === valid[name].length && random.chance(0.5)) changed[0] = random.below(256);
        return { ...valid, [name]: changed };
      },
      async attempt(files, folder) {
        await writeAll(folder, files);
        await readSource(`cifar10:${folder}`);
      },
    };
  },
};
