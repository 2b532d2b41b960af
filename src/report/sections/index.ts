/** The sections of the report in their order. Each has a file in this folder. */
import type { SectionWriter } from '../input.js';
import { creditsSection } from './credits.js';
import { dataSection } from './data.js';
import { featuresSection } from './features.js';
import { filtersSection } from './filters.js';
import { layersSection } from './layers.js';
import { learningSection } from './learning.js';
import { mistakesSection } from './mistakes.js';
import { modesSection } from './modes.js';
import { numbersSection } from './numbers.js';

export const SECTIONS: readonly SectionWriter[] = [
  dataSection,
  learningSection,
  layersSection,
  filtersSection,
  featuresSection,
  modesSection,
  mistakesSection,
  numbersSection,
  creditsSection,
];
