/** What every experiment hands over: its numbers, its pictures, and a section that explains both. */
import { checkArgument, func, objectWith, rule, text } from '../backend/validate.js';
import type { Image } from '../data/dataset.js';
import { safeFileName } from './file_names.js';
import type { Section } from './input.js';
import { Html, html, type PictureEncoder } from './page/html.js';
import { page } from './page/page.js';

/** A picture of pixels, or a chart as SVG with colours of its own (no variables of a page). */
export type ExperimentPicture = Image | { svg: string };

export interface Experiment {
  /** What its files are called: `occlude`. */
  name: string;
  /** What `NAME.json` holds. */
  numbers: unknown;
  /** Suffix of the file name, such as a layer's name; see `pictureFile`. */
  pictures: Readonly<Record<string, ExperimentPicture>>;
  /** For the report, and for a page of its own. */
  section: Section;
}

/**
 * Name of the file of one of an experiment's pictures: `NAME.png` for `''`, `NAME-conv5.png` for `conv5`, and a safe name for a layer whose
 * name cannot be a file's.
 */
export function pictureFile(name: string, key: string): string {
  checkArgument('pictureFile', 'name', name, text);
  checkArgument('pictureFile', 'key', key, text);
  return `${name}${key === '' ? '' : `-${safeFileName(key)}`}.png`;
}

/**
 * One experiment as a page that needs nothing but itself.
 *
 * @param command what makes it again
 * @param encode how pictures are written; default PNG
 */
export async function experimentPage(experiment: Experiment, command: string, encode?: PictureEncoder): Promise<string> {
  const body = rule('HTML', (value) => value instanceof Html);
  const section = objectWith('a section', { id: text, title: text, body });
  checkArgument('experimentPage', 'experiment', experiment, objectWith('what occludeExperiment() and the like give', { section }));
  checkArgument('experimentPage', 'command', command, text);
  if (encode !== undefined) checkArgument('experimentPage', 'encode', encode, func);
  return await pageOf(experiment, command, encode);
}

function pageOf({ section }: Experiment, command: string, encode?: PictureEncoder): Promise<string> {
  const lead = html`<p class="note">Made by <code>${command}</code></p>`;
  return page({ title: section.title, description: section.title, lead, sections: [section] }, encode);
}
