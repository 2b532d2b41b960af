/** The paper's experiments: from what was found to numbers, pictures and a section of the page. */
export { type AscendInput, ascendExperiment } from './ascend.js';
export { type CorrespondNumbers, correspondExperiment, type MaskedPicture } from './correspond.js';
export { type InvarianceNumbers, type InvariancePictures, invarianceExperiment } from './invariance.js';
export { type OccludeInput, occludeExperiment } from './occlude.js';
export { type OccludeBoxesNumbers, occludeBoxesExperiment } from './occlude_boxes.js';
export { type Top9Input, top9Experiment } from './top9.js';
