/** Text to HTML without slips: what goes into a template is escaped unless it is HTML already. Pictures stay pictures until the page is written. */
import type { Image } from '../../data/dataset.js';
import { ValueError } from '../../tensor/index.js';
import { pngDataUri } from '../pictures/png.js';

/** An inline script. Pages find these among their parts, and allow no others to run. */
export class InlineScript {
  /** @param text what stands between the tags */
  constructor(readonly text: string) {
    if (/<\/script|<!--/i.test(text)) throw new ValueError('script: the text ends its own element; write "</script" in another way');
  }

  toString(): string {
    return `<script>${this.text}</script>`;
  }
}

type Part = string | Image | InlineScript;

/** A piece of HTML: text, scripts, and pictures where their addresses will stand. */
export class Html {
  constructor(readonly parts: readonly Part[]) {}

  /** As text, with pictures as PNG. */
  toString(): string {
    return this.parts.map((part) => (isPicture(part) ? pngDataUri(part) : String(part))).join('');
  }
}

const isPicture = (part: Part): part is Image => typeof part !== 'string' && !(part instanceof InlineScript);

type Content = Html | Image | string | number | null | undefined | false | readonly Content[];

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

/** Text as it may stand between tags and in quoted attributes. */
export const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, (char) => ENTITIES[char]);

function* partsOf(content: Content): Generator<Part> {
  if (content === null || content === undefined || content === false) return;
  if (content instanceof Html) yield* content.parts;
  else if (Array.isArray(content)) for (const each of content) yield* partsOf(each);
  else if (typeof content === 'object') yield content as Image;
  else yield escapeHtml(String(content));
}

/** Template tag: values are escaped, but for `Html`; arrays are joined, and null, undefined and false leave nothing. A picture stands for its address: `src="${picture}"`. */
export function html(texts: TemplateStringsArray, ...values: Content[]): Html {
  const parts: Part[] = [];
  const add = (part: Part) => {
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

/** A script of our own. Data for it stand in attributes, which are escaped. */
export const script = (text: string): Html => new Html([new InlineScript(text)]);

/** Writes a picture as an address: a data URI. */
export type PictureEncoder = (picture: Image) => string | Promise<string>;

/** HTML as text. */
export async function writeHtml({ parts }: Html, encode: PictureEncoder): Promise<string> {
  const texts = await Promise.all(parts.map((part) => (isPicture(part) ? encode(part) : String(part))));
  return texts.join('');
}
