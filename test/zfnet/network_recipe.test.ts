/** The recipes of the networks' papers as defaults of training. */
import { describe, expect, it } from 'vitest';
import { DEFAULT_TRAINING, networkRecipe, PRESETS, type PresetName, trainingOptions, ValueError } from '../../src/index.js';

describe('networkRecipe', () => {
  it('is complete and valid for every preset, and empty for those of ZFNet', () => {
    for (const preset of Object.keys(PRESETS) as PresetName[]) {
      const options = trainingOptions(networkRecipe(preset));
      if ('conv' in PRESETS[preset]) expect(options).toEqual(DEFAULT_TRAINING);
      else expect(options.maxFilterRms, preset).toBeNull();
    }
  });

  it('has the numbers of the papers', () => {
    expect(networkRecipe('vgg16')).toMatchObject({ batchSize: 256, lr: 0.01, momentum: 0.9, weightDecay: 5e-4, epochs: 74 });
    expect(networkRecipe('resnet56-cifar')).toMatchObject({ schedule: { kind: 'multi-step', milestones: [82, 123] }, lr: 0.1 });
    const v3 = trainingOptions(networkRecipe('inception-v3'));
    expect(v3).toMatchObject({ optimizer: { kind: 'rmsprop', alpha: 0.9, eps: 1, momentum: 0 }, clipGradNorm: 2, labelSmoothing: 0.1 });
    expect(() => networkRecipe('vgg15' as PresetName)).toThrow(ValueError);
  });
});
