/** What every experiment hands over: its numbers, its pictures, and a section that explains both. */
import type { Image } from '../data/dataset.js';
import { safeFileName } from './file_names.js';
import { html, type PictureEncoder } from './html.js';
import type { Section } from './input.js';
import { page } from './page.js';

/** A picture of pixels, or a chart as SVG with colours of its own (no variables of a page). */
export type ExperimentPicture = Image | { svg: string };

export interface Experiment {
  /** What its files are called: `occlude`. */
  name: string;
  /** What `NAME.json` holds. */
  numbers: unknown;
  /** By what comes behind the name, such as a layer's: see `pictureFile`. */
  pictures: Readonly<Record<string, ExperimentPicture>>;
  /** For the report, and for a page of its own. */
  section: Section;
}

/**
 * Name of the file of one of an experiment's pictures: `NAME.png` for `''`, `NAME-conv5.png` for `conv5`, and a safe name for a layer whose
 * name cannot be a file's.
 */
export const pictureFile = (name: string, key: string): string => `${name}${key === '' ? '' : `-${safeFileName(key)}`}.png`;

/**
 * One experiment as a page that needs nothing but itself.
 *
 * @param command what makes it again
 * @param encode how pictures are written; default PNG
 */
export function experimentPage({ section }: Experiment, command: string, encode?: PictureEncoder): Promise<string> {
  const lead = html`<p class="note">Made by <code>${command}</code></p>`;
  return page({ title: section.title, description: section.title, lead, sections: [section] }, encode);
}
