/** What a network answers to every image of a split, for the report. */
export { type PredictSplitOptions, predictSplit, type SplitPrediction, type SplitPredictions } from '../zfnet/index.js';
