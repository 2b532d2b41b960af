/** Sizes of the networks, counted without memory for their weights: parameters, multiply-adds and tensors. The numbers are those of the papers' layer tables. */
import { describe, expect, it } from 'vitest';
import { headsOf } from '../../../src/nn/containers/auxiliary_head.js';
import { countParameters, type Module, shapesOnly, torchvision } from '../../../src/nn/index.js';
import { NETWORKS, type NetworkName, resnet50, resnet101, resnet152 } from '../../../src/nn/models/index.js';
import { withBackend } from '../../../src/tensor/index.js';
import { zfnet } from '../../../src/zfnet/index.js';

interface Size {
  parameters: number;
  multiplyAdds: number;
  /** Entries of the state dictionary: parameters and running statistics. */
  tensors?: number;
  /** Parameters of the auxiliary classifiers. */
  auxiliary?: number;
}

const size = (parameters: number, multiplyAdds: number, tensors?: number, auxiliary = 0): Size => ({
  parameters,
  multiplyAdds,
  tensors,
  auxiliary,
});

/** Without auxiliary classifiers, for one image of the preset's size. */
const SIZES: Record<NetworkName, Size> = {
  lenet5: size(61_706, 416_520, 10),
  // The connections of the paper's table without biases: 117,600 + 150,000 + 48,000 + 10,080.
  'lenet5-1998': size(60_000, 325_680),
  'alexnet-2012': size(60_965_224, 724_406_816, 16),
  vgg11: size(132_863_336, 7_609_090_048, 22),
  'vgg11-lrn': size(132_863_336, 7_609_090_048, 22),
  vgg13: size(133_047_848, 11_308_466_176, 26),
  vgg16: size(138_357_544, 15_470_264_320, 32),
  'vgg16-c': size(133_638_952, 11_770_888_192, 32),
  vgg19: size(143_667_240, 19_632_062_464, 38),
  'vgg11-bn': size(132_868_840, 7_609_090_048),
  'vgg13-bn': size(133_053_736, 11_308_466_176),
  'vgg16-bn': size(138_365_992, 15_470_264_320, 84),
  'vgg19-bn': size(143_678_248, 19_632_062_464),
  nin: size(966_986, 222_486_528, 18),
  'nin-mnist': size(349_674, 50_699_712, 18),
  'nin-imagenet': size(7_595_176, 1_100_188_800, 24),
  googlenet: size(6_998_552, 1_582_671_872, undefined, 3_188_840 + 3_190_888),
  'bn-inception': size(11_295_240, 2_032_600_064),
  'inception-v3': size(23_834_568, 5_713_216_096, 484, 3_326_696),
  resnet18: size(11_689_512, 1_814_073_344, 102),
  resnet34: size(21_797_672, 3_663_761_408, 182),
  resnet50: size(25_557_032, 4_089_184_256, 267),
  resnet101: size(44_549_160, 7_801_405_440, 522),
  resnet152: size(60_192_808, 11_513_626_624, 777),
  'resnet20-cifar': size(269_722, 40_551_040),
  'resnet32-cifar': size(464_154, 68_862_592),
  'resnet44-cifar': size(658_586, 97_174_144),
  'resnet56-cifar': size(853_018, 125_485_696),
  'resnet110-cifar': size(1_727_962, 252_887_680),
  'plain20-cifar': size(269_722, 40_551_040),
  'plain56-cifar': size(853_018, 125_485_696),
  // Without the 1×1 convolutions of the shortcuts and their normalisation.
  plain18: size(11_689_512 - 173_824, 1_814_073_344 - 3 * 6_422_528),
  plain34: size(21_797_672 - 173_824, 3_663_761_408 - 3 * 6_422_528),
};

function sizeOf(model: Module, input: readonly number[]): Size {
  const auxiliary = headsOf(model).reduce((sum, head) => sum + countParameters(head), 0);
  const parameters = countParameters(model) - auxiliary;
  return size(parameters, model.multiplyAdds(input)!, Object.keys(model.stateDict()).length, auxiliary);
}

const dry = <T>(fn: () => T): T => withBackend(shapesOnly(), fn);

describe('networks by name', () => {
  it('has a size for each', () => {
    expect(Object.keys(SIZES).sort()).toEqual(Object.keys(NETWORKS).sort());
  });

  it.each(Object.entries(SIZES))('counts %s', (name, expected) => {
    const found = dry(() => {
      const model = zfnet(name as NetworkName);
      expect(model.summarize(model.inputShape).reduce((sum, { parameters }) => sum + parameters, 0)).toBe(countParameters(model));
      return sizeOf(model, model.inputShape);
    });
    expect(found).toEqual({ ...expected, tensors: expected.tensors ?? found.tensors });
  });
});

describe('torchvision', () => {
  it('has the sizes of torchvision where they differ from the papers', () => {
    const found = dry(() => sizeOf(torchvision.googlenet(), [1, 3, 224, 224]));
    expect(found).toEqual(size(6_624_904, 1_498_376_192, 305, 13_004_888 - 6_624_904));
    expect(dry(() => sizeOf(torchvision.alexnet(), [1, 3, 224, 224]))).toEqual(size(61_100_840, 714_188_480, 16));
  });

  it('counts the residual networks with the stride of the paper', () => {
    const multiplyAdds = [resnet50, resnet101, resnet152].map((make) => dry(() => make({ strided: '1x1' }).multiplyAdds([1, 3, 224, 224])));
    expect(multiplyAdds).toEqual([3_857_973_248, 7_570_194_432, 11_282_415_616]);
  });

  it('has the names of torchvision', () => {
    const names = dry(() => [torchvision.googlenet(), torchvision.inception_v3(), torchvision.vgg16_bn()].map((each) => each.stateDict()));
    for (const key of [
      'conv1.conv.weight',
      'conv1.bn.running_var',
      'inception3a.branch1.conv.weight',
      'inception4e.branch2.1.bn.bias',
      'inception5b.branch4.1.conv.weight',
      'aux1.conv.conv.weight',
      'aux2.fc1.bias',
      'fc.weight',
    ])
      expect(names[0]).toHaveProperty([key]);
    for (const key of [
      'Conv2d_1a_3x3.conv.weight',
      'Mixed_5b.branch5x5_1.conv.weight',
      'Mixed_6b.branch7x7dbl_5.bn.weight',
      'Mixed_7c.branch3x3dbl_3b.bn.running_mean',
      'AuxLogits.conv0.conv.weight',
      'AuxLogits.fc.bias',
    ])
      expect(names[1]).toHaveProperty([key]);
    const convolutions = [0, 3, 7, 10, 14, 17, 20, 24, 27, 30, 34, 37, 40];
    const weights = Object.entries(names[2]).filter(([key, { shape }]) => key.startsWith('features') && shape.length === 4);
    expect(weights.map(([key]) => Number(key.split('.')[1]))).toEqual(convolutions);
  });
});
