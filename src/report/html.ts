/** Text to HTML without slips: what goes into a template is escaped unless it is HTML already. Pictures stay pictures until the page is written. */
import type { Image } from '../data/dataset.js';
import { pngDataUri } from './png.js';

/** A piece of HTML: text, and pictures where their addresses will stand. */
export class Html {
  constructor(readonly parts: readonly (string | Image)[]) {}

  /** As text, with pictures as PNG. */
  toString(): string {
    return this.parts.map((part) => (typeof part === 'string' ? part : pngDataUri(part))).join('');
  }
}

type Content = Html | Image | string | number | null | undefined | false | readonly Content[];

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

/** Text as it may stand between tags and in quoted attributes. */
export const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, (char) => ENTITIES[char]);

function* partsOf(content: Content): Generator<string | Image> {
  if (content === null || content === undefined || content === false) return;
  if (content instanceof Html) yield* content.parts;
  else if (Array.isArray(content)) for (const each of content) yield* partsOf(each);
  else if (typeof content === 'object') yield content as Image;
  else yield escapeHtml(String(content));
}

/** Template tag: values are escaped, but for `Html`; arrays are joined, and null, undefined and false leave nothing. A picture stands for its address: `src="${picture}"`. */
export function html(texts: TemplateStringsArray, ...values: Content[]): Html {
  const parts: (string | Image)[] = [];
  const add = (part: string | Image) => {
    const last = parts.length - 1;
    if (typeof part === 'string' && typeof parts[last] === 'string') parts[last] += part;
    else parts.push(part);
  };
  texts.forEach((text, i) => {
    add(text);
    if (i < values.length) for (const part of partsOf(values[i])) add(part);
  });
  return new Html(parts);
}

/** HTML that another library made. */
export const trusted = (text: string): Html => new Html([text]);

/** Writes a picture as an address: a data URI. */
export type PictureEncoder = (picture: Image) => string | Promise<string>;

/** HTML as text. */
export async function writeHtml({ parts }: Html, encode: PictureEncoder): Promise<string> {
  const texts = await Promise.all(parts.map((part) => (typeof part === 'string' ? part : encode(part))));
  return texts.join('');
}
