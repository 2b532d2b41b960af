/** The paper's experiments: each function turns measurements into numbers, pictures and a section of the report. */

export { type AblateNumbers, ablateExperiment } from './ablate.js';
export { type AscendInput, type AscendNumbers, ascendExperiment, type RealAnswers, type StrongestReal } from './ascend.js';
export { type CorrespondNumbers, correspondExperiment, type MaskedPicture } from './correspond.js';
export { type EvolveInput, evolveExperiment } from './evolve.js';
export { type FeaturesNumbers, featuresExperiment } from './features.js';
export { type FiltersInput, type FiltersNumbers, filtersExperiment } from './filters.js';
export { type InvarianceNumbers, type InvariancePictures, invarianceExperiment } from './invariance.js';
export { type MarkableImage, markingPage } from './marking_page.js';
export { type OccludeInput, occludeExperiment } from './occlude.js';
export { type OccludeBoxesNumbers, occludeBoxesExperiment } from './occlude_boxes.js';
export { type Top9Input, top9Experiment } from './top9.js';
export { type TransferNumbers, transferExperiment } from './transfer.js';
