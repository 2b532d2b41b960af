/** The result of an experiment: its numbers, its pictures, and a section of the report that explains both. */
import { checkArgument, func, objectWith, rule, text } from '../backend/validate.js';
import type { Image } from '../data/dataset.js';
import { safeFileName } from './file_names.js';
import { Html, html, type PictureEncoder } from './page/html.js';
import { page } from './page/page.js';
import type { Section } from './page/section.js';

/** A picture of pixels, or a chart as SVG that uses no colour variables of a page. */
export type ExperimentPicture = Image | { svg: string };

/** An experiment ready to be written: its name, pictures, data and page. */
export interface Experiment {
  /** Name of its files without an extension, such as `occlude`. */
  name: string;
  /** Content of `NAME.json`. */
  numbers: unknown;
  /** Pictures by the suffix of their file names, such as the name of a layer: see `pictureFile`. */
  pictures: Readonly<Record<string, ExperimentPicture>>;
  /** Section of the report, and of the experiment's own page. */
  section: Section;
}

/**
 * Returns the file name of a picture of an experiment: `NAME.png` for the key `''`, `NAME-conv5.png` for `conv5`, and a safe name for a key
 * that cannot be part of a file name.
 */
export function pictureFile(name: string, key: string): string {
  checkArgument('pictureFile', 'name', name, text);
  checkArgument('pictureFile', 'key', key, text);
  return `${name}${key === '' ? '' : `-${safeFileName(key)}`}.png`;
}

/**
 * Returns the HTML page of one experiment. The page loads nothing from elsewhere.
 *
 * @param command command line that repeats the experiment, shown on the page
 * @param encode encodes the pictures; default: PNG
 */
export async function experimentPage(experiment: Experiment, command: string, encode?: PictureEncoder): Promise<string> {
  const body = rule('HTML', (value) => value instanceof Html);
  const section = objectWith('a section', { id: text, title: text, body });
  checkArgument(
    'experimentPage',
    'experiment',
    experiment,
    objectWith('the result of a function such as occludeExperiment()', { section }),
  );
  checkArgument('experimentPage', 'command', command, text);
  if (encode !== undefined) checkArgument('experimentPage', 'encode', encode, func);
  return await pageOf(experiment, command, encode);
}

function pageOf({ section }: Experiment, command: string, encode?: PictureEncoder): Promise<string> {
  const lead = html`<p class="note">Made by <code>${command}</code></p>`;
  return page({ title: section.title, description: section.title, lead, sections: [section] }, encode);
}
