/** Pictures, charts and the page made of them. */
export { visible } from '../backend/validate.js';
export { confusionPicture } from './confusion_picture.js';
export { type Experiment, type ExperimentPicture, experimentPage, pictureFile } from './experiment.js';
export * from './experiments/index.js';
export { safeFileName } from './file_names.js';
export { chooseMaps, inputOf } from './findings.js';
export type { PictureEncoder } from './html.js';
export type { Baseline, LayerFindings, ReportContext, ReportInput, Section, SectionWriter } from './input.js';
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
} from './pictures.js';
export { decodePng, encodePng, pngDataUri } from './png.js';
export { type PredictSplitOptions, predictSplit, type SplitPrediction, type SplitPredictions } from './predictions.js';
export { type ProjectionSheetInput, projectionSheet, type SheetProjection } from './projection_sheet.js';
export { buildReport } from './report.js';
export { type TrainingPageInput, trainingPage } from './training_page.js';
