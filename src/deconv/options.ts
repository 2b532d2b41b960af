/** Types of options that several files of this folder share. Their checks are in `rules.ts`. */
import type { Example } from '../data/dataset.js';
import type { DataError } from '../data/errors.js';
import type { OverlapRule, RulesName, Tensor } from '../tensor/index.js';

/** Name of a set of projection rules. */
export type DeconvMode = RulesName;

/** Rules by which an activation is projected. */
export interface ProjectionRules {
  /** Rules of the backward pass: `deconvnet` (default), `gradient` (Simonyan 2013) or `guided` (Springenberg 2014). */
  mode?: DeconvMode;
  /** Result where two pooling windows share a switch: their `sum` (default, the gradient) or the `last`, as in PyTorch's unpooling. */
  overlap?: OverlapRule;
}

/** One activation within a layer. */
export interface ActivationPlace {
  /** Feature map (or unit) within the layer. */
  map: number;
  /** [y, x] within the map. Default: the position of the map's strongest activation. */
  position?: readonly [number, number];
}

/** Options of experiments that run a split through a model and record the strongest activations. */
export interface MapMaximaOptions {
  /** Layer names, as `ProjectOptions.layer`. */
  layers: readonly string[];
  /** Images per forward pass. Default 64. */
  batchSize?: number;
  /** Makes the network's input [N, C, H, W] of the images of a batch, as in training. */
  preprocess: (examples: Example[]) => Tensor;
  /** Indices of the images in the split, in rising order. Default: all images. */
  indices?: ArrayLike<number>;
  /** Called for each image that cannot be read; the image is then skipped. Without it, the error is thrown. */
  onBroken?: (error: DataError) => void;
  signal?: AbortSignal;
}
