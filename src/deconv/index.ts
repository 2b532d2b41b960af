/** Exports of the deconvnet and of the experiments with it. They accept any `LayeredModel`. */

export { convolutions, hiddenLayers } from '../analysis/hidden_layers.js';
export type { Spread } from '../analysis/spread.js';
export { DOMINATES, standingOut } from '../analysis/standing_out.js';
export { evaluating } from '../nn/evaluating.js';
export { fieldSize, type Patch, type PatchFinder, patchFinder } from './activations/receptive_fields.js';
export { strongestMaps } from './activations/strongest_maps.js';
export {
  type MapActivations,
  type StrongActivation,
  type TopActivationsOptions,
  type TopActivationsState,
  topActivations,
} from './activations/top_activations.js';
export { type BatchProjection, type Deconvnet, deconvnet, type Projection, type ProjectOptions, projectBatch } from './deconvnet.js';
export { type AscendedMap, type AscentOptions, ascend } from './experiments/ascent.js';
export {
  type Correspondence,
  type CorrespondenceOptions,
  correspondence,
  type MarkedImages,
  type PartCorrespondence,
  RANDOM_PART,
} from './experiments/correspondence.js';
export {
  type EpochModel,
  type Evolution,
  type EvolutionOptions,
  type EvolutionPictures,
  type EvolvedMap,
  evolution,
  type LayerEvolution,
  projectEvolution,
  SETTLED,
} from './experiments/evolution.js';
export { BAND_LIMITS, type Bands, bandOf, type FilterMeasures, filterMeasures } from './experiments/filters.js';
export {
  type Invariance,
  type InvarianceOptions,
  invariance,
  invarianceAmounts,
  pickExamples,
  TRANSFORMATIONS,
  type Transformation,
  type TransformedFeatures,
} from './experiments/invariance.js';
export {
  type Occlusion,
  type OcclusionAnswer,
  type OcclusionGrid,
  type OcclusionOptions,
  occlude,
  type ProbabilitySweep,
  type SweepOptions,
  squarePlaces,
} from './occlusion/occlusion.js';
export { type DropShare, dropInside, type OccludeSplitOptions, occludeSplit, type SplitOcclusion } from './occlusion/occlusion_share.js';
export type { ActivationPlace, DeconvMode, ProjectionRules } from './options.js';
export { type MapProjection, type ProjectMapsOptions, projectMaps } from './projection/project_maps.js';
export { type ProjectedActivation, type ProjectedMap, type ProjectTopOptions, projectTop } from './projection/project_top.js';
