/** Options that the builders of networks share, and the checks for them. */
import { integer, positive, type RulesFor } from '../../backend/validate.js';
import { probabilityRule } from '../../tensor/ops/dropout.js';

/** Options of a network. */
export interface ModelOptions {
  /** Number of classes. Default: that of the data set of the network's paper, 1000 for ImageNet. */
  classes?: number;
  /** Channels of the input. Default 3, or 1 for networks of handwritten digits. */
  channels?: number;
  /** Factor on the number of maps and units of every layer. Default 1. */
  width?: number;
}

/** Options of a network with dropout. */
export interface DropoutModelOptions extends ModelOptions {
  /** Dropout probability. Default: that of the paper. */
  dropout?: number;
}

/** Options of a network whose fully connected layers depend on the size of the input. */
export interface SizedModelOptions extends DropoutModelOptions {
  /** Height and width of the input in pixels. Default: that of the paper. */
  inputSize?: number;
}

/** Options of a network with auxiliary classifiers. */
export interface AuxiliaryModelOptions extends DropoutModelOptions {
  /** Whether the network has its auxiliary classifiers, which are active in training only. Default true. */
  auxiliary?: boolean;
}

export const MODEL_RULES: RulesFor<ModelOptions> = { classes: integer(1), channels: integer(1), width: positive };
export const DROPOUT_RULES: RulesFor<DropoutModelOptions> = { ...MODEL_RULES, dropout: probabilityRule };
export const SIZED_RULES: RulesFor<SizedModelOptions> = { ...DROPOUT_RULES, inputSize: integer(1) };

/** Returns the function that multiplies numbers of maps or units by `width`, rounded to a multiple of `multiple`, which is the least. */
export const scaledBy =
  (width: number) =>
  (count: number, multiple = 1): number =>
    Math.max(1, Math.round((count * width) / multiple)) * multiple;
