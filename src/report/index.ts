/** Pictures, charts and the HTML report. Published as `zfnet/report`. */
export { firstNames, visible } from '../backend/validate.js';
export { type Experiment, type ExperimentPicture, experimentPage, pictureFile } from './experiment.js';
export * from './experiments/index.js';
export { safeFileName } from './file_names.js';
export { chooseMaps, inputOf } from './findings.js';
export type { Baseline, LayerFindings, ReportContext, ReportInput, SectionWriter } from './input.js';
export { ORIGINS, type Origin } from './origin.js';
export type { PictureEncoder } from './page/html.js';
export type { Section } from './page/section.js';
export { type TrainingPageInput, trainingPage } from './page/training_page.js';
export { confusionPicture } from './pictures/confusion_picture.js';
export {
  type Box,
  blank,
  contactSheet,
  contrastRange,
  cropPicture,
  cropPlanes,
  enlarge,
  inColour,
  paste,
  type SheetOptions,
  signedPicture,
  windowAround,
} from './pictures/pictures.js';
export { decodePng, encodePng, pngDataUri } from './pictures/png.js';
export { type ProjectionSheetInput, projectionSheet, type SheetProjection } from './pictures/projection_sheet.js';
export { type PredictSplitOptions, predictSplit, type SplitPrediction, type SplitPredictions } from './predictions.js';
export { buildReport } from './report.js';
