/** Sources and licences of the data, and the command that repeats the report. */

import type { ReportContext } from '../input.js';
import { type Html, html } from '../page/html.js';
import type { Section } from '../page/section.js';

export function creditsSection({ dataset, command }: ReportContext): Section {
  return {
    id: 'credits',
    title: 'Sources, and how to repeat this',
    body: html`<p>This command made the page:</p>
<pre tabindex="0"><code>${command}</code></pre>
<p>The same command gives the same result again. The method is that of M. D. Zeiler and R. Fergus, <cite>Visualizing and Understanding
Convolutional
Networks</cite> (2013, arXiv 1311.2901).</p>
${
  dataset.credits.length > 0 &&
  html`<p>The images contain the work of other authors, used under these licences:</p>
<ul class="credits">${dataset.credits.map(
    ({ title, author, license, url }) => html`<li>${linked(url, html`<cite>${title}</cite>`)},
${author} <small>(${license})</small></li>`,
  )}</ul>`
}`,
  };
}

/** Returns a link if the address is a web address, otherwise the text alone. */
const linked = (url: string, text: Html): Html => (/^https?:\/\//i.test(url) ? html`<a href="${url}">${text}</a>` : text);
