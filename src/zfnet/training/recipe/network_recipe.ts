/** The training recipes of the papers of the networks, as far as they differ from the recipe of ZFNet. */
import { checkArgument, oneOf } from '../../../backend/validate.js';
import { PRESETS, type PresetName } from '../../model/model.js';
import type { GivenTrainingOptions } from './training_options.js';

/** SGD as the other papers use it: ZFNet's limit on the filters is its own. */
const SGD: GivenTrainingOptions = { momentum: 0.9, maxFilterRms: null, augment: 'random' };

/** Krizhevsky et al. 2012, section 5: the rate is divided by ten when the validation error stops improving. */
const ALEXNET: GivenTrainingOptions = {
  ...SGD,
  epochs: 90,
  batchSize: 128,
  lr: 0.01,
  weightDecay: 5e-4,
  schedule: { kind: 'plateau', factor: 0.1, patience: 3 },
};

/** He et al. 2015, section 3.4: 600,000 steps of 256 of the 1.28 million images. */
const RESNET: GivenTrainingOptions = {
  ...SGD,
  epochs: 120,
  batchSize: 256,
  lr: 0.1,
  weightDecay: 1e-4,
  schedule: { kind: 'plateau', factor: 0.1, patience: 3 },
};

/** He et al. 2015, section 4.2: rate divided by ten after 32,000 and 48,000 of 64,000 steps of 128 of the 50,000 images. */
const CIFAR: GivenTrainingOptions = {
  ...SGD,
  epochs: 164,
  batchSize: 128,
  lr: 0.1,
  weightDecay: 1e-4,
  schedule: { kind: 'multi-step', factor: 0.1, milestones: [82, 123] },
};

/** Szegedy et al. 2014, section 6: the rate falls by 4 % every eight epochs. Rate, decay and batch are those of Caffe's replication. */
const GOOGLENET: GivenTrainingOptions = {
  ...SGD,
  batchSize: 32,
  lr: 0.01,
  weightDecay: 2e-4,
  schedule: { kind: 'step', factor: 0.96, every: 8 },
};

/** Szegedy et al. 2015, section 8: RMSProp, gradients clipped at 2, and label smoothing. */
const INCEPTION_V3: GivenTrainingOptions = {
  epochs: 100,
  batchSize: 32,
  optimizer: { kind: 'rmsprop', alpha: 0.9, eps: 1 },
  lr: 0.045,
  maxFilterRms: null,
  clipGradNorm: 2,
  labelSmoothing: 0.1,
  augment: 'random',
  schedule: { kind: 'step', factor: 0.94, every: 2 },
};

/** Recipes by the beginning of the preset's name, the first that fits. */
const RECIPES: readonly (readonly [pattern: RegExp, recipe: GivenTrainingOptions])[] = [
  [/^lenet5-1998$/, { ...SGD, epochs: 20, batchSize: 32, lr: 5e-4, schedule: { kind: 'step', factor: 0.5, every: 4 } }],
  [/^lenet5$/, { ...SGD, epochs: 20 }],
  [/^alexnet-2012$/, ALEXNET],
  // Simonyan & Zisserman 2014, section 3.1: 370,000 steps, 74 epochs.
  [/^vgg/, { ...ALEXNET, epochs: 74, batchSize: 256 }],
  [/^nin/, { ...ALEXNET, weightDecay: 1e-4 }],
  [/^googlenet$/, GOOGLENET],
  // Ioffe & Szegedy 2015, section 4.2: five times the rate, a fifth of the weight decay, and a rate that falls six times as fast.
  [/^bn-inception$/, { ...GOOGLENET, lr: 0.05, weightDecay: 4e-5, schedule: { kind: 'step', factor: 0.78, every: 8 } }],
  [/^inception-v3$/, INCEPTION_V3],
  [/-cifar$/, CIFAR],
  [/^(resnet|plain)/, RESNET],
];

/**
 * The recipe of a network's paper, as far as it differs from that of ZFNet, which is `DEFAULT_TRAINING`. The command `train` uses it where
 * its options say nothing else. Empty for the presets of ZFNet. LeNet-5 of 1998 had a rate of its own for each weight, from second
 * derivatives, in the place of which stands one falling rate.
 *
 * @example const recipe = trainingOptions({ ...networkRecipe('resnet50'), epochs: 10 });
 */
export function networkRecipe(preset: PresetName): GivenTrainingOptions {
  checkArgument('networkRecipe', 'preset', preset, oneOf(...Object.keys(PRESETS)));
  return { ...RECIPES.find(([pattern]) => pattern.test(preset))?.[1] };
}
