/** The deconvnet and what is done with it, for any layered model. */
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
export { type ProjectedActivation, type ProjectedMap, type ProjectTopOptions, projectTop } from './project_top.js';
export { type Patch, type PatchFinder, patchFinder } from './receptive_fields.js';
export { strongestMaps } from './strongest_maps.js';
export { type MapActivations, type StrongActivation, type TopActivationsOptions, topActivations } from './top_activations.js';
