/** `zfnet correspond`: measures whether masking the same part of different objects changes their features alike (paper, Table 1). */
import { join } from 'node:path';
import type { Command } from 'commander';
import sharp from 'sharp';
import { type Correspondence, correspondence, inCentreCrop, type MarkedImages, meanShade, plainImage, RANDOM_PART, type Run } from 'zfnet';
import { DataError, FACE_PARTS, type Image, loadSceneAssets, type SceneFace, sceneFaces } from 'zfnet/data';
import { correspondExperiment, type Experiment, inputOf, type MarkableImage, type MaskedPicture, markingPage } from 'zfnet/report';
import { type Context, defineCommand, handler, UsageError, whole } from '../command.js';
import { type MarkedImage, readParts } from '../files/parts_file.js';
import { asUsage, layersNamed, stoppable } from '../look.js';
import { greyOption, layersOption, outOption, renamedOption } from '../options.js';
import { experimentsFolder, writeExperiment } from '../report/experiment.js';
import { FolderStore } from '../run/run_folder.js';
import { openRun } from '../run/runs.js';
import type { Bar } from '../terminal/reporter.js';

interface CorrespondOptions {
  parts?: string;
  mark?: boolean;
  layers?: string[];
  draws: number;
  grey?: number;
  seed?: number;
  out?: string;
}

const EXAMPLES = [
  'zfnet correspond runs/demo                                   # the animal faces of scenes',
  'zfnet correspond runs/photos a.jpg b.jpg c.jpg --mark        # write a page for marking parts of these images',
  'zfnet correspond runs/photos --parts parts.json --layers conv5,fc7',
];
const NOTE = `
Without --parts, the command masks the eyes and noses of the five animal faces of scenes, whose positions are known. To use images of
your own, mark the same parts in each image: on the page that --mark writes, or by hand in a JSON file:
  { "images": [{ "file": "a.jpg", "parts": { "left eye": [y0, x0, y1, x1], … } }, …] }      coordinates in pixels; y1 and x1 are exclusive`;

export function correspondCommand(program: Command): void {
  const command = defineCommand(
    program,
    'correspond <run> [images...]',
    'mask the same part in several images and measure whether the features change alike (Table 1)',
    EXAMPLES,
  )
    .option('--parts <file>', 'JSON file with the images and the boxes of their parts')
    .option('--mark', 'write an HTML page for marking parts of the given images, and stop')
    .addOption(layersOption('the last convolution and the last layer before the classes'))
    .option('--draws <n>', 'number of random masks per image', whole({ min: 1 }), DRAWS)
    .addOption(greyOption('of the masks'))
    .addOption(outOption('folder for correspond.json, .html and .png (default: RUN/experiments)'))
    .addHelpText('after', NOTE)
    .action(
      handler(async (context, path: string, images: string[], options: CorrespondOptions) => {
        if (options.mark && images.length < 2) throw new UsageError('--mark needs at least two images');
        if (!options.mark && images.length > 0)
          throw new UsageError('images are marked first: add --mark, then pass the marked file with --parts');
        if (options.mark && options.parts)
          throw new UsageError('--mark creates a parts file and --parts reads one: give only one of the two options');
        const { out = experimentsFolder(path) } = options;
        if (options.mark) {
          await writeMarkingPage(context, path, images, out);
          return;
        }
        await context.engine();
        const run = await openRun(path);
        try {
          await stoppable(context, 'nothing was written', () => compare(context, path, run, options, out));
        } finally {
          run.model.dispose();
        }
      }),
    );
  renamedOption(command, '--layer <name>', '--layers');
}

/** Longer side, in pixels, of the images on the marking page. */
const MARKED_SIDE = 800;
const MARKING_PAGE = 'correspond-mark.html';

async function writeMarkingPage(context: Context, path: string, files: readonly string[], out: string): Promise<void> {
  const images: MarkableImage[] = [];
  for (const file of files) images.push(await markable(file));
  const place = join(out, MARKING_PAGE);
  const page = await markingPage(images, FACE_PARTS, `npx zfnet correspond ${path} --parts parts.json`);
  await new FolderStore(out).write(MARKING_PAGE, new TextEncoder().encode(page));
  context.result({ files: [place] }, () => `open ${place} in a browser, mark the parts, and pass the downloaded file with --parts`);
}

async function markable(file: string): Promise<MarkableImage> {
  try {
    const { autoOrient } = await sharp(file).metadata();
    const picture = await sharp(file)
      .autoOrient()
      .resize(MARKED_SIDE, MARKED_SIDE, { fit: 'inside', withoutEnlargement: true })
      .flatten({ background: '#ffffff' })
      .webp({ quality: 90 })
      .toBuffer();
    return { file, width: autoOrient.width, height: autoOrient.height, picture: `data:image/webp;base64,${picture.toString('base64')}` };
  } catch (error) {
    throw new DataError(`${file}: cannot be read as an image: ${error instanceof Error ? error.message : error}`, file, error);
  }
}

async function compare(context: Context, path: string, run: Run, options: CorrespondOptions, out: string): Promise<void> {
  const { experiment, found } = await correspondenceOf(context, run, options);
  const files = await writeExperiment(experiment, out, commandLine(path, options));
  context.result({ ...(experiment.numbers as object), files }, () => table(found, files));
}

/** Default number of random masks per image. */
const DRAWS = 10;

/** Runs the experiment on the images and parts of a file, or on the faces of scenes. */
export async function correspondenceOf(
  context: Context,
  run: Run,
  options: Partial<CorrespondOptions>,
): Promise<{ experiment: Experiment; found: Correspondence }> {
  const { model, preprocess } = run;
  const { draws = DRAWS, parts: file, seed = 0 } = options;
  const groups = file ? [await readParts(file, preprocess.options)] : await faces(run);
  const shade = options.grey ?? meanShade(preprocess);
  const grey = inputOf(preprocess, [{ image: plainImage(preprocess.options, shade) }]);
  const marked = groups.map((images): MarkedImages => {
    const objects = images.flatMap(({ object }) => (object ? [object] : []));
    return {
      images: inputOf(preprocess, images),
      parts: images.map(({ parts }) => parts),
      objects: objects.length === images.length ? objects : undefined,
    };
  });
  let bar: Bar | undefined;
  const found = await asUsage(() =>
    correspondence(model, marked, {
      layers: layersNamed(run, options.layers),
      draws,
      seed,
      grey,
      signal: context.signal,
      onProgress: (done, total) => {
        bar ??= context.reporter.bar('masking', total, 'masks');
        bar.update(done);
      },
    }),
  );
  context.reporter.stop();
  for (const { images } of marked) images.dispose();
  grey.dispose();
  const experiment = correspondExperiment({ source: file ?? 'scenes', grey: shade, ...found }, pictures(run, groups[0], found, shade));
  return { experiment, found };
}

/** Returns the faces of scenes with the boxes of their parts, clipped to the network's centre crop. */
async function faces({ preprocess }: Run): Promise<MarkedImage[][]> {
  const { side, channels } = preprocess.options;
  if (channels !== 3)
    throw new UsageError(
      'the faces of scenes are in colour, but this network takes grey images: mark images of your own and pass them with --parts',
    );
  const seen = ({ class: name, style, image, box, parts }: SceneFace): MarkedImage => ({
    name: `${name}, ${style}`,
    image,
    object: inCentreCrop(preprocess.options, box)!,
    parts: Object.fromEntries(Object.entries(parts).map(([part, box]) => [part, inCentreCrop(preprocess.options, box)!])),
  });
  return sceneFaces(await loadSceneAssets(), side).map((group) => group.map(seen));
}

/** Returns one group of images as the network sees them, with each part masked. */
function pictures({ preprocess }: Run, group: readonly MarkedImage[], { parts }: Correspondence, shade: number): MaskedPicture[][] {
  const named = parts.map(({ part }) => part).filter((part) => part !== RANDOM_PART);
  return named.map((part) =>
    group.map(({ name, image, parts: boxes }) => ({
      image: masked(preprocess.toImage(preprocess.evaluation([image])), boxes[part], shade),
      words: `${part} of ${name}`,
    })),
  );
}

function masked(image: Image, [y0, x0, y1, x1]: readonly [number, number, number, number], shade: number): Image {
  const { width, channels } = image;
  for (let y = y0; y < y1; y++) image.data.fill(shade, (y * width + x0) * channels, (y * width + x1) * channels);
  return image;
}

function commandLine(path: string, { parts, layers = [], draws, grey, seed }: CorrespondOptions): string {
  const words = ['npx zfnet correspond', path];
  if (parts) words.push(`--parts ${parts}`);
  words.push(...layers.map((names) => `--layers ${names}`));
  if (draws !== DRAWS) words.push(`--draws ${draws}`);
  if (grey !== undefined) words.push(`--grey ${grey}`);
  if (seed !== undefined) words.push(`--seed ${seed}`);
  return words.join(' ');
}

function table({ layers, parts }: Correspondence, files: readonly string[]): string {
  const width = Math.max(...parts.map(({ part }) => part.length));
  const rows = parts.map(({ part, delta }) => {
    const cells = layers.map((layer) => `${layer} ${delta[layer].mean.toFixed(3)} ± ${delta[layer].deviation.toFixed(3)}`);
    return `  ${part.padEnd(width)}  ${cells.join('   ')}`;
  });
  return [
    'Δ: share of the features that change in different directions (a smaller Δ means more similar changes)',
    ...rows,
    `written: ${files.join(', ')}`,
  ].join('\n');
}
