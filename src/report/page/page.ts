/** Puts sections into one HTML document with a title and a list of contents. */
import { pngDataUri } from '../pictures/png.js';
import type { Html } from './html.js';
import { html, type PictureEncoder, trusted, writeHtml } from './html.js';
import { contentSecurityPolicy } from './policy.js';
import type { Section } from './section.js';
import { STYLE } from './style.js';

export interface PageInput {
  title: string;
  description: string;
  lead: Html;
  sections: readonly Section[];
  /** Seconds after which the browser reloads the page. Default: never. */
  refreshSeconds?: number;
}

/**
 * Returns a complete HTML document that loads nothing from elsewhere.
 *
 * @param encode encodes the pictures; default: PNG
 */
export async function page(
  { title, description, lead, sections, refreshSeconds }: PageInput,
  encode: PictureEncoder = pngDataUri,
): Promise<string> {
  const policy = await contentSecurityPolicy(lead, ...sections.map(({ body }) => body));
  const document = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${trusted(policy)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="description" content="${description}">
<title>${title}</title>
${
  refreshSeconds !== undefined &&
  html`<meta http-equiv="refresh" content="${refreshSeconds}">
`
}<link rel="icon" href="data:,">
<style>${trusted(STYLE)}</style>
</head>
<body>
<a class="skip" href="#content">Skip to the content</a>
<header>
<h1>${title}</h1>
${lead}
</header>
${sections.length > 1 && html`<nav aria-label="Contents"><ul>${sections.map(({ id, title }) => html`<li><a href="#${id}">${title}</a></li>`)}</ul></nav>`}
<main id="content">
${sections.map(({ id, title: heading, body }) => html`<section id="${id}" aria-labelledby="${id}-title">\n<h2 id="${id}-title"${heading === title ? html` class="hidden"` : ''}>${heading}</h2>\n${body}\n</section>\n`)}
</main>
<footer><p class="note">Written by zfnet. This page loads nothing from elsewhere; all pictures are part of the file.</p></footer>
</body>
</html>
`;
  return await writeHtml(document, encode);
}
