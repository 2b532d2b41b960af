/** The deconvnet and what is done with it, for any layered model. */
export { type DeconvMode, type Deconvnet, deconvnet, evaluating, type Projection, type ProjectOptions } from './deconvnet.js';
