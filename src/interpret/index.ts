/** Attribution: which elements of an input contribute to the score of a class. Published as `zfnet/interpret`. */
export { attribute } from './attribute.js';
export { ATTRIBUTION_METHODS, type AttributeOptions, type AttributionMethod } from './options.js';
