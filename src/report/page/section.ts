/** A part of a page under a heading of its own. */
import type { Html } from './html.js';

/** A section of a page. */
export interface Section {
  /** Anchor for links: letters and hyphens. */
  id: string;
  /** Heading of the section, plain text. */
  title: string;
  /** Contents below the heading, already escaped. */
  body: Html;
}
