/** Where experiments put what they found: `NAME.json`, `NAME.html` and `NAME.png` (or `NAME-*.png`) in one folder. */
import { join } from 'node:path';
import sharp from 'sharp';
import { type Experiment, type ExperimentPicture, encodePng, experimentPage, pictureFile, visible } from 'zfnet/report';
import { FolderStore } from '../run/run_folder.js';
import { webpDataUri } from './webp.js';

/** Where they go unless `--out` says otherwise; `zfnet report` looks there. */
export const experimentsFolder = (run: string): string => join(run, 'experiments');

/** Dots an inch of charts: twice what a page shows, so that they stay sharp. */
const CHART_DENSITY = 144;

/**
 * Writes an experiment's files, each whole or not at all, and returns their paths.
 *
 * @param command what makes it again, for the page
 */
export async function writeExperiment(experiment: Experiment, out: string, command: string): Promise<string[]> {
  const { name, numbers, pictures } = experiment;
  const store = new FolderStore(out);
  const files: [string, Uint8Array][] = [];
  for (const [key, picture] of Object.entries(pictures)) files.push([pictureFile(name, key), await pngOf(picture)]);
  const text = new TextEncoder();
  files.push([`${name}.html`, text.encode(await experimentPage(experiment, command, webpDataUri))]);
  // The numbers come last: where they are, everything is.
  files.push([`${name}.json`, text.encode(`${JSON.stringify(numbers)}\n`)]);
  for (const [file, bytes] of files) await store.write(file, bytes);
  return files.map(([file]) => join(out, file));
}

/** A picture as the bytes of a PNG file. */
export async function pngOf(picture: ExperimentPicture): Promise<Uint8Array> {
  if (!('svg' in picture)) return encodePng(picture);
  return await sharp(Buffer.from(inXml(picture.svg)), { density: CHART_DENSITY })
    .flatten({ background: 'white' })
    .png()
    .toBuffer();
}

/** Names in a chart may hold characters that XML does not allow, not even escaped; they are written as `\u…`. */
const inXml = (svg: string): string =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for.
  svg.replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, (character) => visible(character));
