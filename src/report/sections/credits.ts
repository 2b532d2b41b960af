/** Whose work the data is, and how to make this page again. */

import type { ReportContext } from '../input.js';
import { type Html, html } from '../page/html.js';
import type { Section } from '../page/section.js';

export function creditsSection({ dataset, command }: ReportContext): Section {
  return {
    id: 'credits',
    title: 'Sources, and how to repeat this',
    body: html`<p>This page and the network in it were made by</p>
<pre tabindex="0"><code>${command}</code></pre>
<p>The same command gives the same network again. The method is that of M. D. Zeiler and R. Fergus, <cite>Visualizing and Understanding Convolutional
Networks</cite> (2013, arXiv 1311.2901).</p>
${
  dataset.credits.length > 0 &&
  html`<p>The images are made of other people’s work, used under these licences:</p>
<ul class="credits">${dataset.credits.map(({ title, author, license, url }) => html`<li>${linked(url, html`<cite>${title}</cite>`)}, ${author} <small>(${license})</small></li>`)}</ul>`
}`,
  };
}

/** A link if the address is one of the web, the text alone otherwise. */
const linked = (url: string, text: Html): Html => (/^https?:\/\//i.test(url) ? html`<a href="${url}">${text}</a>` : text);
