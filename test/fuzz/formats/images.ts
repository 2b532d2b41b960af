/** Encoded images: PNG by `decodePng`, and every format of the image reader, alone and as files of a folder. */
import sharp from 'sharp';
import { openDataset, readImage } from '../../../src/data/index.js';
import { decodePng, encodePng } from '../../../src/report/pictures/png.js';
import { expectThat, type Files, type Format, sameBits } from '../format.js';
import { concat, EDGES, mutateBytes, noise } from '../mutate_bytes.js';
import { Random } from '../random.js';

interface Pixels {
  width: number;
  height: number;
  channels: number;
  data: Uint8Array;
}

function checkPixels({ width, height, channels, data }: Pixels): void {
  expectThat(
    width > 0 && height > 0 && (channels === 1 || channels === 3),
    () => `an image of ${width}×${height}×${channels} was accepted`,
  );
  expectThat(data.length === width * height * channels, () => `an image of ${width}×${height}×${channels} has ${data.length} numbers`);
}

const pixelsOf = (seed: string, width: number, height: number, channels: 1 | 3 | 4) =>
  sharp(noise(width * height * channels, new Random(seed)), { raw: { width, height, channels } });

// PNG, whose chunks have checksums -----------------------------------------------------------------

const TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let bit = 0; bit < 8; bit++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n;
});

function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = TABLE[(crc ^ byte) & 0xff] ^ (crc >>> 8);
  return ~crc >>> 0;
}

/** Computes the checksums of a PNG's chunks anew, as far as its chunks can be followed. */
function withChecksums(bytes: Uint8Array): Uint8Array {
  const copy = bytes.slice();
  const view = new DataView(copy.buffer);
  for (let at = 8; at + 12 <= copy.length; ) {
    const length = view.getUint32(at);
    if (at + 12 + length > copy.length) break;
    view.setUint32(at + 8 + length, crc32(copy.subarray(at + 4, at + 8 + length)));
    at += 12 + length;
  }
  return copy;
}

/** A PNG whose header says another size, depth or kind. */
function withHeader(bytes: Uint8Array, random: Random): Uint8Array {
  const copy = bytes.slice();
  const view = new DataView(copy.buffer);
  if (random.chance(0.6)) view.setUint32(random.pick([16, 20]), Number(BigInt.asUintN(32, BigInt(random.pick(EDGES)))));
  else copy[24 + random.below(5)] = random.pick([0, 1, 2, 3, 4, 6, 8, 16, 255]);
  return withChecksums(copy);
}

async function pngSeeds(): Promise<Uint8Array[]> {
  const grey = { width: 9, height: 7, channels: 1, data: noise(63, new Random('grey')) } as const;
  const colour = { width: 12, height: 10, channels: 3, data: noise(360, new Random('colour')) } as const;
  return [
    encodePng(grey),
    encodePng(colour),
    new Uint8Array(await pixelsOf('interlaced', 11, 13, 3).png({ progressive: true }).toBuffer()),
    new Uint8Array(await pixelsOf('palette', 8, 8, 3).png({ palette: true, colours: 8 }).toBuffer()),
    new Uint8Array(await pixelsOf('alpha', 8, 8, 4).png().toBuffer()),
  ];
}

export const png: Format = {
  async open() {
    const valid = await pngSeeds();
    const decoded = valid.slice(0, 3).map((bytes) => decodePng(bytes).data);
    return {
      make(random): Files {
        const bytes = random.pick(valid);
        if (random.chance(0.25)) return { 'repaired.png': withHeader(bytes, random) };
        const mutated = mutateBytes(bytes, random, valid);
        return random.chance(0.5) ? { 'repaired.png': withChecksums(mutated) } : { 'changed.png': mutated };
      },
      async attempt(files) {
        const [[name, bytes]] = Object.entries(files);
        const image = decodePng(bytes);
        checkPixels(image);
        // An accepted file with its original checksums must contain the pixels that were written.
        if (name === 'changed.png')
          expectThat(
            decoded.some((data) => sameBits(data, image.data)),
            () => 'a damaged PNG was accepted with other pixels',
          );
      },
    };
  },
};

// Every format of the reader -----------------------------------------------------------------------

const SVG =
  '<svg xmlns="http://www.w3.org/2000/svg" width="20" height="16"><rect width="9" height="8" fill="#c03"/><text x="2" y="9">a</text></svg>';

async function imageSeeds(): Promise<Record<string, Uint8Array>> {
  const small = pixelsOf('image', 20, 16, 3);
  const frames = sharp(noise(8 * 24 * 3, new Random('frames')), { raw: { width: 8, height: 24, channels: 3, pageHeight: 8 } });
  const made: Record<string, Buffer> = {
    'baseline.jpg': await small.clone().jpeg({ quality: 80 }).toBuffer(),
    'progressive.jpg': await small.clone().jpeg({ progressive: true }).withMetadata({ orientation: 6 }).toBuffer(),
    'grey.jpg': await small.clone().greyscale().jpeg().toBuffer(),
    'a.png': await small.clone().png().toBuffer(),
    'alpha.png': await pixelsOf('clear', 9, 7, 4).png().toBuffer(),
    'a.webp': await small.clone().webp().toBuffer(),
    'lossless.webp': await small.clone().webp({ lossless: true }).toBuffer(),
    'a.gif': await small.clone().gif().toBuffer(),
    'animated.gif': await frames.gif().toBuffer(),
    'a.tiff': await small.clone().tiff({ compression: 'none' }).toBuffer(),
    'lzw.tiff': await small.clone().tiff({ compression: 'lzw' }).toBuffer(),
    'jpeg.tiff': await small.clone().tiff({ compression: 'jpeg', tile: true, tileWidth: 16, tileHeight: 16 }).toBuffer(),
    'a.avif': await small.clone().avif({ effort: 0 }).toBuffer(),
    'a.svg': Buffer.from(SVG),
  };
  return Object.fromEntries(Object.entries(made).map(([name, bytes]) => [name, new Uint8Array(bytes)]));
}

async function openImages(): Promise<(random: Random) => Files> {
  const valid = await imageSeeds();
  const names = Object.keys(valid);
  const all = Object.values(valid);
  return (random) => {
    const name = random.pick(names);
    const mutated = mutateBytes(valid[name], random, all);
    const repaired = name.endsWith('.png') && random.chance(0.5) ? withChecksums(mutated) : mutated;
    // One file of ten has the name of another format.
    return { [random.chance(0.9) ? name : random.pick(names)]: repaired };
  };
}

export const images: Format = {
  async open() {
    const make = await openImages();
    return {
      make,
      async attempt(files, folder) {
        const { writeFile } = await import('node:fs/promises');
        const [[name, bytes]] = Object.entries(files);
        const file = `${folder}/${name}`;
        await writeFile(file, bytes);
        const alone = await readImage(file).then(
          (image) => image,
          (error) => error as Error,
        );
        const fromBytes = await readImage(bytes, { size: 8, channels: 1 }).then(
          (image) => image,
          (error) => error as Error,
        );
        if (!(fromBytes instanceof Error)) checkPixels(fromBytes);
        else if (!(alone instanceof Error)) throw fromBytes;
        if (alone instanceof Error) throw alone;
        checkPixels(alone);
      },
    };
  },
};

/** A folder with a class folder each for two classes: one image in it is changed. */
export const folders: Format = {
  async open() {
    const make = await openImages();
    const good = new Uint8Array(await pixelsOf('good', 10, 10, 3).png().toBuffer());
    const sound = { 'train/ant/1.png': good, 'train/bee/1.png': good, 'val/ant/1.png': good, 'val/bee/1.png': good };
    return {
      make(random): Files {
        const [[name, bytes]] = Object.entries(make(random));
        return { ...sound, [`train/${random.pick(['ant', 'bee'])}/${name}`]: concat(bytes) };
      },
      async attempt(files, folder) {
        const { mkdir, writeFile } = await import('node:fs/promises');
        for (const [path, bytes] of Object.entries(files)) {
          await mkdir(`${folder}/${path.slice(0, path.lastIndexOf('/'))}`, { recursive: true });
          await writeFile(`${folder}/${path}`, bytes);
        }
        const { splits, classes } = await openDataset(folder, { imageSize: 8 });
        expectThat(classes.join() === 'ant,bee', () => `the classes are ${classes}`);
        for (let i = 0; i < splits.train.length; i++) checkPixels((await splits.train.get(i)).image);
      },
    };
  },
};
