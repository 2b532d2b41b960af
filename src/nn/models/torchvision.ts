/** torchvision's networks as one object. A plain object, unlike `export * as`, is left out of the bundle of a page that does not use it. */
import { alexnet } from './alexnet.js';
import { torchvisionGooglenet } from './googlenet.js';
import { inceptionV3 } from './inception_v3.js';
import { BasicBlock, Bottleneck, Residual, resnet18, resnet34, resnet50, resnet101, resnet152 } from './resnet.js';
import { vgg11, vgg11Bn, vgg13, vgg13Bn, vgg16, vgg16Bn, vgg19, vgg19Bn } from './vgg.js';

/** Networks with torchvision's layers and names: `torchvision.resnet18().loadStateDict(state)` takes its state dictionaries. */
export const torchvision = {
  alexnet,
  BasicBlock,
  Bottleneck,
  Residual,
  googlenet: torchvisionGooglenet,
  inception_v3: inceptionV3,
  resnet18,
  resnet34,
  resnet50,
  resnet101,
  resnet152,
  vgg11,
  vgg11_bn: vgg11Bn,
  vgg13,
  vgg13_bn: vgg13Bn,
  vgg16,
  vgg16_bn: vgg16Bn,
  vgg19,
  vgg19_bn: vgg19Bn,
};
