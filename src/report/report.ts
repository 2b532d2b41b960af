/** The report: from a trained network to one page that explains it. */

import { ZfNet } from '../zfnet/index.js';
import { gatherFindings } from './findings.js';
import type { ReportInput, Section, SectionWriter } from './input.js';
import { page } from './page.js';
import { SECTIONS } from './sections/index.js';
import { layersSection } from './sections/layers.js';
import { mistakesSection } from './sections/mistakes.js';
import { modesSection } from './sections/modes.js';
import { summary } from './sections/summary.js';

/** Behind which section an experiment stands: what it looks into. */
function placeOf(experiment: string): SectionWriter {
  if (experiment === 'filters') return layersSection;
  if (experiment === 'features' || experiment === 'transfer' || experiment === 'ablate') return mistakesSection;
  return modesSection;
}

/** One self-contained HTML page: nothing loaded from anywhere, images within; a script only where an occlusion map can be pointed at. */
export async function buildReport(input: ReportInput): Promise<string> {
  const context = await gatherFindings(input);
  const sections: Section[] = [];
  for (const [i, write] of SECTIONS.entries()) {
    const section = await write(context);
    if (section) sections.push(section);
    sections.push(...(input.experiments ?? []).filter(({ name }) => placeOf(name) === write).map((experiment) => experiment.section));
    input.onProgress?.('writing the page', i + 1, SECTIONS.length);
  }
  const { dataset } = input;
  const description = `What a convolutional network trained on ${dataset.name} learned, layer by layer.`;
  const title = context.model instanceof ZfNet ? 'Inside a small ZFNet' : 'Inside a convolutional network';
  return await page({ title, description, lead: summary(context), sections }, input.encodePicture);
}
