/** Types of options that several files of this folder share. Their checks are in `rules.ts`. */
import type { Example } from '../data/dataset.js';
import type { DataError } from '../data/errors.js';
import type { OverlapRule, RulesName, Tensor } from '../tensor/index.js';

export type DeconvMode = RulesName;

export interface ProjectionRules {
  /** `deconvnet` (default), `gradient` (Simonyan 2013) or `guided` (Springenberg 2014). */
  mode?: DeconvMode;
  /** Where two pooling windows share a switch: `sum` (default, the exact adjoint) or `last`, as PyTorch's unpooling. */
  overlap?: OverlapRule;
}

/** One activation within a layer. */
export interface ActivationPlace {
  /** Feature map (or unit) within the layer. */
  map: number;
  /** [y, x] within the map. Default: the place of the map's strongest activation. */
  position?: readonly [number, number];
}

export interface MapMaximaOptions {
  /** Layer names, as `ProjectOptions.layer`. */
  layers: readonly string[];
  /** Images a forward pass. Default 64. */
  batchSize?: number;
  /** Makes the network's input [N, C, H, W] of the images of a batch, as in training. */
  preprocess: (examples: Example[]) => Tensor;
  /** These places of the split only, in rising order. Default all. */
  indices?: ArrayLike<number>;
  /** Called with images that cannot be read, which are left out; without it the error is thrown. */
  onBroken?: (error: DataError) => void;
  signal?: AbortSignal;
}
