/** Checks for the options of the torchvision networks. */
import { integer, positive } from '../../backend/validate.js';
import { probabilityRule } from '../../tensor/ops/dropout.js';

export const CLASSIFIER_RULES = { classes: integer(1), dropout: probabilityRule };
export const RESNET_RULES = { classes: integer(1), width: positive };
