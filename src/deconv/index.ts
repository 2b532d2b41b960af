/** The deconvnet and what is done with it, for any layered model. */
export { type AscendedMap, type AscentOptions, ascend } from './ascent.js';
export {
  type Correspondence,
  type CorrespondenceOptions,
  correspondence,
  type MarkedImages,
  type PartCorrespondence,
  RANDOM_PART,
  signDistances,
  upperLayers,
} from './correspondence.js';
export {
  type ActivationPlace,
  type BatchProjection,
  type DeconvMode,
  type Deconvnet,
  deconvnet,
  evaluating,
  type Projection,
  type ProjectionRules,
  type ProjectOptions,
  projectBatch,
} from './deconvnet.js';
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
} from './evolution.js';
export { BAND_LIMITS, type Bands, bandOf, type FilterMeasures, filterMeasures } from './filters.js';
export { convolutions, hiddenLayers } from './hidden_layers.js';
export {
  type Invariance,
  type InvarianceOptions,
  invariance,
  invarianceAmounts,
  outerLayers,
  pickExamples,
  TRANSFORMATIONS,
  type Transformation,
  type TransformedFeatures,
} from './invariance.js';
export {
  type Occlusion,
  type OcclusionAnswer,
  type OcclusionGrid,
  type OcclusionOptions,
  occlude,
  type ProbabilitySweep,
  type SweepOptions,
  squarePlaces,
} from './occlusion.js';
export { type DropShare, dropInside, type OccludeSplitOptions, occludeSplit, type SplitOcclusion } from './occlusion_share.js';
export { type MapProjection, type ProjectMapsOptions, projectMaps } from './project_maps.js';
export { type ProjectedActivation, type ProjectedMap, type ProjectTopOptions, projectTop } from './project_top.js';
export { fieldSize, type Patch, type PatchFinder, patchFinder } from './receptive_fields.js';
export type { Spread } from './spread.js';
export { DOMINATES, standingOut } from './standing_out.js';
export { strongestMaps } from './strongest_maps.js';
export {
  type MapActivations,
  type StrongActivation,
  type TopActivationsOptions,
  type TopActivationsState,
  topActivations,
} from './top_activations.js';
