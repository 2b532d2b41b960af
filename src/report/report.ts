/** Builds the report: one HTML page that explains a trained network. */
import {
  arrayOf,
  boolean,
  checkFields,
  explained,
  func,
  integer,
  isPlainObject,
  objectWith,
  type RulesFor,
  rule,
  text,
} from '../backend/validate.js';
import { dataset as datasetRule } from '../data/rules.js';
import { network } from '../nn/rules.js';
import { ZfNet } from '../zfnet/index.js';
import { gatherFindings } from './findings.js';
import type { ReportInput, SectionWriter } from './input.js';
import { ORIGINS } from './origin.js';
import { page } from './page/page.js';
import type { Section } from './page/section.js';
import { SECTIONS } from './sections/index.js';
import { layersSection } from './sections/layers.js';
import { mistakesSection } from './sections/mistakes.js';
import { modesSection } from './sections/modes.js';
import { summary } from './sections/summary.js';

/** Returns the section after which an experiment is placed. */
function placeOf(experiment: string): SectionWriter {
  if (experiment === 'filters') return layersSection;
  if (experiment === 'features' || experiment === 'transfer' || experiment === 'ablate') return mistakesSection;
  return modesSection;
}

const anObject = rule('an object', isPlainObject);

const training = rule(
  `an object { examples, … } whose origin, if there is one, is ${ORIGINS.join(', ')}`,
  (value) => isPlainObject(value) && (value.origin === undefined || ORIGINS.some((origin) => origin === value.origin)),
);

const REPORT_INPUT: RulesFor<ReportInput> = {
  model: network,
  preprocess: objectWith('a Preprocess', { options: anObject, evaluation: func }),
  dataset: datasetRule,
  metrics: arrayOf(anObject),
  predictions: anObject,
  featureSplit: text,
  baselines: arrayOf(anObject),
  training,
  ownData: boolean,
  command: text,
  experiments: arrayOf(objectWith('an experiment { name, section }', { name: text, section: anObject })),
  mapsPerLayer: integer(0),
  encodePicture: func,
  onProgress: func,
};

/**
 * Returns the report as one HTML page that loads nothing from elsewhere. It contains a script only if there are interactive maps.
 */
export async function buildReport(input: ReportInput): Promise<string> {
  checkFields('buildReport', input, REPORT_INPUT, [
    'model',
    'preprocess',
    'dataset',
    'metrics',
    'predictions',
    'baselines',
    'training',
    'command',
  ]);
  const expected = 'the results of openRun(), openDataset() and predictSplit()';
  return await explained('buildReport', expected, () => writeReport(input));
}

async function writeReport(input: ReportInput): Promise<string> {
  const context = await gatherFindings(input);
  const sections: Section[] = [];
  for (const [i, write] of SECTIONS.entries()) {
    const section = await write(context);
    if (section) sections.push(section);
    sections.push(...(input.experiments ?? []).filter(({ name }) => placeOf(name) === write).map((experiment) => experiment.section));
    input.onProgress?.('writing the page', i + 1, SECTIONS.length);
  }
  const { dataset, ownData } = context;
  const description = ownData
    ? `What a convolutional network has learned from ${dataset.name}, layer by layer.`
    : `What a convolutional network responds to in images of ${dataset.name}, layer by layer.`;
  const title =
    context.model instanceof ZfNet ? `Inside a ${isSmall(context.model) ? 'small ' : ''}ZFNet` : 'Inside a convolutional network';
  return await page({ title, description, lead: summary(context), sections }, input.encodePicture);
}

/** Whether a network has fewer maps or a smaller input than that of the paper. */
const isSmall = ({ architecture: { width, inputSize } }: ZfNet): boolean => width < 1 || inputSize < 224;
