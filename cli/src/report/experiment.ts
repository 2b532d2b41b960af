/** Writes the results of an experiment: `NAME.json`, `NAME.html` and `NAME.png` (or `NAME-*.png`) in one folder. */
import { join } from 'node:path';
import sharp from 'sharp';
import { type Experiment, type ExperimentPicture, encodePng, experimentPage, pictureFile, visible } from 'zfnet/report';
import { FolderStore } from '../run/run_folder.js';
import { webpDataUri } from './webp.js';

/** Returns the default folder of a run's experiments, from which `zfnet report` reads them. */
export const experimentsFolder = (run: string): string => join(run, 'experiments');

/** Resolution of rendered charts in dots per inch: twice that of a page, for sharp display. */
const CHART_DENSITY = 144;

/**
 * Writes the files of an experiment, each atomically, and returns their paths.
 *
 * @param command command line that repeats the experiment, shown on the page
 */
export async function writeExperiment(experiment: Experiment, out: string, command: string): Promise<string[]> {
  const { name, numbers, pictures } = experiment;
  const store = new FolderStore(out);
  const files: [string, Uint8Array][] = [];
  for (const [key, picture] of Object.entries(pictures)) files.push([pictureFile(name, key), await pngOf(picture)]);
  const text = new TextEncoder();
  files.push([`${name}.html`, text.encode(await experimentPage(experiment, command, webpDataUri))]);
  // The JSON file is written last: if it exists, all other files exist.
  files.push([`${name}.json`, text.encode(`${JSON.stringify(numbers)}\n`)]);
  for (const [file, bytes] of files) await store.write(file, bytes);
  return files.map(([file]) => join(out, file));
}

/** Renders a picture and returns the bytes of a PNG file. */
export async function pngOf(picture: ExperimentPicture): Promise<Uint8Array> {
  if (!('svg' in picture)) return encodePng(picture);
  return await sharp(Buffer.from(inXml(picture.svg)), { density: CHART_DENSITY })
    .flatten({ background: 'white' })
    .png()
    .toBuffer();
}

/** Writes characters that XML forbids even when escaped as `\u…`; names in a chart may contain them. */
const inXml = (svg: string): string =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the expression searches for control characters.
  svg.replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, (character) => visible(character));
