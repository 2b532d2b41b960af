/** What every experiment hands over: its numbers, its pictures, and a section that explains both. */
import type { Image } from '../data/dataset.js';
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
  /** By what comes behind the name: `''` is `NAME.png`, `conv5` is `NAME-conv5.png`. */
  pictures: Readonly<Record<string, ExperimentPicture>>;
  /** For the report, and for a page of its own. */
  section: Section;
}

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
