/**
 * The networks of the line from LeNet-5 to ResNet. Those that torchvision has have its layers, names and shapes, so that its state
 * dictionaries can be loaded: `resnet18().loadStateDict(loadSafetensors(bytes))`; for GoogLeNet, `torchvision.googlenet` does.
 */
export { alexnet } from './alexnet.js';
export { alexnet2012 } from './alexnet_2012.js';
export { bnInception } from './bn_inception.js';
export { googlenet } from './googlenet.js';
export { inceptionV3 } from './inception_v3.js';
export { type LenetOptions, lenet5, lenet51998 } from './lenet5.js';
export { NETWORKS, type NetworkName, type NetworkPreset } from './networks.js';
export { nin, ninImagenet, ninMnist } from './nin.js';
export type { AuxiliaryModelOptions, DropoutModelOptions, ModelOptions, SizedModelOptions } from './options.js';
export {
  BasicBlock,
  Bottleneck,
  plain18,
  plain20Cifar,
  plain34,
  plain56Cifar,
  Residual,
  type ResidualShortcut,
  type ResnetOptions,
  resnet18,
  resnet20Cifar,
  resnet32Cifar,
  resnet34,
  resnet44Cifar,
  resnet50,
  resnet56Cifar,
  resnet101,
  resnet110Cifar,
  resnet152,
} from './resnet.js';
export { torchvision } from './torchvision.js';
export {
  type VggOptions,
  vgg11,
  vgg11Bn,
  vgg11Lrn,
  vgg13,
  vgg13Bn,
  vgg16,
  vgg16Bn,
  vgg16C,
  vgg19,
  vgg19Bn,
} from './vgg.js';
