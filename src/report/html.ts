/** Text to HTML without slips: what goes into a template is escaped unless it is HTML already. */

/** A piece of HTML. */
export class Html {
  constructor(private readonly text: string) {}
  toString(): string {
    return this.text;
  }
}

type Content = Html | string | number | null | undefined | false | readonly Content[];

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

/** Text as it may stand between tags and in quoted attributes. */
export const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, (char) => ENTITIES[char]);

function render(content: Content): string {
  if (content === null || content === undefined || content === false) return '';
  if (content instanceof Html) return content.toString();
  if (Array.isArray(content)) return content.map(render).join('');
  return escapeHtml(String(content));
}

/** Template tag: values are escaped, but for `Html`; arrays are joined, and null, undefined and false leave nothing. */
export const html = (parts: TemplateStringsArray, ...values: Content[]): Html =>
  new Html(String.raw({ raw: parts }, ...values.map(render)));

/** HTML that another library made. */
export const trusted = (text: string): Html => new Html(text);
