/** Builds HTML safely: values in templates are escaped unless they are HTML already. Pictures are encoded when the page is written. */
import type { Image } from '../../data/dataset.js';
import { ValueError } from '../../tensor/index.js';
import { pngDataUri } from '../pictures/png.js';

/** An inline script. The Content-Security-Policy of a page allows only the scripts of this class among its parts. */
export class InlineScript {
  /** @param text the code between the tags */
  constructor(readonly text: string) {
    if (/<\/script|<!--/i.test(text))
      throw new ValueError('script: got code that contains "</script" or "<!--", expected code without them; split the string');
  }

  toString(): string {
    return `<script>${this.text}</script>`;
  }
}

type Part = string | Image | InlineScript;

/** A piece of HTML: text, scripts, and pictures in place of their addresses. */
export class Html {
  constructor(readonly parts: readonly Part[]) {}

  /** Returns the HTML as text, with pictures as PNG. */
  toString(): string {
    return this.parts.map((part) => (isPicture(part) ? pngDataUri(part) : String(part))).join('');
  }
}

const isPicture = (part: Part): part is Image => typeof part !== 'string' && !(part instanceof InlineScript);

type Content = Html | Image | string | number | null | undefined | false | readonly Content[];

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

/** Escapes text for use between tags and in quoted attributes. */
export const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, (char) => ENTITIES[char]);

function* partsOf(content: Content): Generator<Part> {
  if (content === null || content === undefined || content === false) return;
  if (content instanceof Html) yield* content.parts;
  else if (Array.isArray(content)) for (const each of content) yield* partsOf(each);
  else if (typeof content === 'object') yield content as Image;
  else yield escapeHtml(String(content));
}

/**
 * Template tag for HTML. Values are escaped except `Html`; arrays are joined; null, undefined and false are omitted. A picture stands for
 * its address: `src="${picture}"`.
 */
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

/** Marks text as HTML, without escaping. Only for text from our own code and from libraries. */
export const trusted = (text: string): Html => new Html([text]);

/** Returns an inline script. Pass data to it in attributes, which are escaped. */
export const script = (text: string): Html => new Html([new InlineScript(text)]);

/** Encodes a picture as a data URI. */
export type PictureEncoder = (picture: Image) => string | Promise<string>;

/** Returns HTML as text. */
export async function writeHtml({ parts }: Html, encode: PictureEncoder): Promise<string> {
  const texts = await Promise.all(parts.map((part) => (isPicture(part) ? encode(part) : String(part))));
  return texts.join('');
}
